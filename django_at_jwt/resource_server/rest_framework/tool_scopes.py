"""A permission by the tool that a request to a server of the Model Context Protocol calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.http.request import RawPostDataException

from django_at_jwt.core.tool_scopes import scopes_of_call

from .permissions import ScopePermission
from .scopes import checked_scopes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.http import HttpRequest
    from rest_framework.request import Request
    from rest_framework.views import APIView


class HasToolScopes(ScopePermission):
    """The token has the scopes of the tool that the request calls, for MCP servers over HTTP.

    A 403 names the scopes, so that the client can request them for this call (step-up authorization). Combine it with
    :class:`HasScopes` for the scopes of all requests: a tool that is not listed needs none here.

    A body that is not understood needs the scopes of all tools. A batch needs those of all tools that it calls.

    Args:
        tools: lists of scopes by the name of the tool.

    Raises:
        ImproperlyConfigured: it is not a dict of lists of scopes.
    """

    def __init__(self, tools: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.tools: Final = {
            name: checked_scopes(scopes, where=f"HasToolScopes[{name!r}]") for name, scopes in tools.items()
        }

    def alternatives(self, request: Request, view: APIView) -> list[tuple[str, ...]]:
        """Return one set of scopes."""
        plain: HttpRequest | None = getattr(request, "_request", None)
        if plain is None or plain.method != "POST":
            return [()]
        try:
            # Kept by Django, so that the view can read it again.
            body = plain.body
        except RawPostDataException:
            return [scopes_of_call(None, self.tools)]
        return [scopes_of_call(body, self.tools)]
