"""The notes as tools for clients of the Model Context Protocol: ``python manage.py run_mcp_server``.

It runs in another process than the site, with the same settings and database, at ``EXAMPLE_MCP_URL``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from django.conf import settings
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field
from starlette.middleware import Middleware

from django_at_jwt.mcp import TokenVerifier, ToolScopes
from django_at_jwt.rest_framework import MachinePrincipal

from .models import Note

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
    return [note.text async for note in Note.objects.filter(owner=_user())]


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


app = server.streamable_http_app(
    streamable_http_path=urlsplit(settings.MCP_SERVER).path or "/", stateless_http=True, json_response=True
)
# All scopes that a call needs. Clients that only read never request "notes:write".
app.user_middleware.append(
    Middleware(ToolScopes, tools={"write_note": ["notes:read", "notes:write"]}, audience=settings.MCP_SERVER)
)
