"""A permission by the tool that a request to a server of the Model Context Protocol calls."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from django.http.request import RawPostDataException

from .permissions import ScopePermission
from .scopes import checked_scopes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.http import HttpRequest
    from rest_framework.request import Request
    from rest_framework.views import APIView

_CALL: Final = "tools/call"


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
        called = _called_tools(plain)
        names = self.tools if called is None else called
        return [tuple(dict.fromkeys(scope for name in names for scope in self.tools.get(name, ())))]


def _called_tools(request: HttpRequest) -> list[str] | None:
    """Return the tools that a JSON-RPC message calls, or ``None`` if it is not understood."""
    try:
        # Kept by Django, so that the view can read it again.
        message = json.loads(request.body)
    except (ValueError, RecursionError, RawPostDataException):
        return None
    calls = [_called_tool(each) for each in (message if isinstance(message, list) else [message])]
    return None if None in calls else [name for name in calls if name]


def _called_tool(message: Any) -> str | None:
    """Return the tool that a message calls, an empty string for other messages, or ``None`` if it is malformed."""
    if not isinstance(message, dict):
        return None
    if message.get("method") != _CALL:
        return ""
    parameters = message.get("params")
    name = parameters.get("name") if isinstance(parameters, dict) else None
    return name if isinstance(name, str) else None
