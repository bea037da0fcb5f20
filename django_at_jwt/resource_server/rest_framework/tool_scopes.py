"""A permission by the tool that a request to a server of the Model Context Protocol calls."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Final

from django.conf import settings
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

    A body that is not understood, or is not ``application/json`` in UTF-8, needs the scopes of all tools. A batch needs
    those of all tools that it calls.

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
            body = plain.body if _is_json_in_utf_8(plain) else None
        except RawPostDataException:
            body = None
        return [scopes_of_call(body, self.tools)]


def _is_json_in_utf_8(request: HttpRequest) -> bool:
    """Return whether the view finds the same message in the body: its parser depends on the content type."""
    charset = codecs.lookup(request.encoding or settings.DEFAULT_CHARSET).name
    return request.content_type == "application/json" and charset == "utf-8"
