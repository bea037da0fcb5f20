"""The tools that a message to a server of the Model Context Protocol (MCP) calls."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CALL: Final = "tools/call"


def scopes_of_call(body: bytes | None, tools: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the scopes that a message needs, by the tools that it calls.

    A body that is not understood, or could not be read (``None``), needs the scopes of all tools. A batch needs those
    of all tools that it calls. A tool that is not listed needs none.
    """
    called = None if body is None else _called_tools(body)
    names = tools if called is None else called
    return tuple(dict.fromkeys(scope for name in names for scope in tools.get(name, ())))


def _called_tools(body: bytes) -> list[str] | None:
    """Return the tools that a JSON-RPC message calls, or ``None`` if it is not understood."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
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
