"""APIs without Django settings: Starlette, FastAPI, the Python SDK of MCP, and FastMCP."""

import os
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastmcp import FastMCP
from fastmcp.server.auth import RemoteAuthProvider
from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from django_at_jwt import TokenRejected, Verifier
from django_at_jwt.mcp import TokenVerifier
from tests.patience import PATIENCE_SECONDS

ISSUER, AUDIENCE = os.environ["REMOTE_API_ISSUER"], os.environ["REMOTE_API_AUDIENCE"]
SCOPE = "api:read"
OPTIONS = {
    "issuer": ISSUER,
    "audience": AUDIENCE,
    "revocation": "deny_list",
    "revocation_max_age": 1,
    "timeout": PATIENCE_SECONDS,
    "allow_loopback_http": True,
}
INVALID, LACKS_SCOPE = 'Bearer error="invalid_token"', f'Bearer error="insufficient_scope", scope="{SCOPE}"'
verifier = Verifier(**OPTIONS)


async def with_starlette(request):
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer":
        return Response(status_code=401, headers={"WWW-Authenticate": "Bearer"})
    try:
        verified = await verifier.averify(token)
    except TokenRejected:
        return Response(status_code=401, headers={"WWW-Authenticate": INVALID})
    if SCOPE not in verified.scopes:
        return Response(status_code=403, headers={"WWW-Authenticate": LACKS_SCOPE})
    return JSONResponse({"client": verified.client_id})


fastapi = FastAPI()


Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]


async def access_token(credentials: Credentials):
    if credentials is None:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    try:
        return await verifier.averify(credentials.credentials)
    except TokenRejected:
        raise HTTPException(401, headers={"WWW-Authenticate": INVALID}) from None


@fastapi.get("/")
async def with_fastapi(token: Annotated[Any, Depends(access_token)]):
    if SCOPE not in token.scopes:
        raise HTTPException(403, headers={"WWW-Authenticate": LACKS_SCOPE})
    return {"client": token.client_id}


# Both MCP servers have the identifier of the API as their URL, as they would behind a reverse proxy.
sdk = MCPServer(
    "API",
    token_verifier=TokenVerifier(**OPTIONS),
    auth=AuthSettings(
        issuer_url=ISSUER, resource_server_url=AUDIENCE, required_scopes=[SCOPE], validate_token_resource=True
    ),
)
fastmcp = FastMCP(
    "API",
    auth=RemoteAuthProvider(
        token_verifier=TokenVerifier(**OPTIONS),
        authorization_servers=[ISSUER],
        base_url=AUDIENCE.removesuffix(urlsplit(AUDIENCE).path),
        required_scopes=[SCOPE],
        scopes_supported=[SCOPE],
    ),
)


@sdk.tool()
@fastmcp.tool
def client() -> str:
    """Return who calls."""
    return get_access_token().client_id


IN_ONE_ANSWER = {"stateless_http": True, "json_response": True}
APPLICATIONS = {
    "starlette": Starlette(routes=[Route("/", with_starlette)]),
    "fastapi": fastapi,
    "sdk": sdk.streamable_http_app(streamable_http_path="/", **IN_ONE_ANSWER),
    "fastmcp": fastmcp.http_app(path=urlsplit(AUDIENCE).path, **IN_ONE_ANSWER),
}
