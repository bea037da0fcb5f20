"""``python -m example_project.mcp_server``: the notes as tools for clients of the Model Context Protocol.

It runs beside the example, with the same settings and database, at ``EXAMPLE_MCP_URL``.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
import django

django.setup()

import uvicorn
from django.conf import settings
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field
from starlette.middleware import Middleware

from django_at_jwt.mcp import TokenVerifier, ToolScopes
from django_at_jwt.rest_framework import MachinePrincipal
from example_project.models import Note
from example_project.serve import MCP_SERVER_READY

if TYPE_CHECKING:
    from django.contrib.auth.models import User

server = MCPServer(
    "Notes",
    token_verifier=TokenVerifier(audience=settings.MCP_SERVER),
    auth=AuthSettings(
        issuer_url=settings.OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"],
        resource_server_url=settings.MCP_SERVER,
        required_scopes=["notes:read"],
        validate_token_resource=True,
    ),
)


@server.tool()
async def read_notes() -> list[str]:
    """Return the texts of your notes."""
    return [note.text async for note in Note.objects.filter(owner=_user()).order_by("pk")]


@server.tool()
async def write_note(text: Annotated[str, Field(max_length=200)]) -> int:
    """Write a note, and return its number."""
    note = await Note.objects.acreate(owner=_user(), text=text)
    return note.pk


def _user() -> User:
    user = get_access_token().user
    if isinstance(user, MachinePrincipal):
        raise ToolError("A client that acts for itself has no notes.")
    return user


app = server.streamable_http_app(stateless_http=True, json_response=True)
# All scopes that a call needs. "notes:write" is only requested by clients that write.
app.user_middleware.append(
    Middleware(ToolScopes, tools={"write_note": ["notes:read", "notes:write"]}, audience=settings.MCP_SERVER)
)


def main() -> int:
    address = urlsplit(settings.MCP_SERVER)
    try:
        listener = socket.create_server((address.hostname or "", address.port or 80))
    except OSError as error:
        sys.stderr.write(f"The MCP server cannot listen at EXAMPLE_MCP_URL={settings.MCP_SERVER}: {error}\n")
        return 1
    running = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    if "--until-stdin-closes" in sys.argv:
        threading.Thread(target=_stop_when_stdin_closes, args=[running], daemon=True).start()
    sys.stdout.write(f"{MCP_SERVER_READY}{settings.MCP_SERVER}\n")
    sys.stdout.flush()
    running.run(sockets=[listener])
    return 0


def _stop_when_stdin_closes(running: uvicorn.Server) -> None:
    sys.stdin.read()
    running.should_exit = True


if __name__ == "__main__":
    sys.exit(main())
