"""Access tokens for MCP servers of the protocol's Python SDK and FastMCP: ``pip install django-at-jwt[mcp]``."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from django.views.decorators.debug import sensitive_variables
from mcp.server.auth.provider import AccessToken as McpAccessToken
from pydantic import Field

from django_at_jwt.core.bearer import INSUFFICIENT_SCOPE, Challenge, is_scope
from django_at_jwt.core.errors import TokenRejected
from django_at_jwt.core.metadata import PROTECTED_RESOURCE_PATH, place_of_metadata, with_path
from django_at_jwt.core.tool_scopes import scopes_of_call
from django_at_jwt.resource_server.verified_token import averify
from django_at_jwt.resource_server.verifier import Verifier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from django_at_jwt.resource_server.access_token import AccessToken as VerifiedAccessToken

__all__ = ["AccessToken", "TokenVerifier", "ToolScopes"]

_MAX_BODY: Final = 4 * 1024 * 1024


class AccessToken(McpAccessToken):
    """What ``mcp.server.auth.middleware.auth_context.get_access_token()`` returns in a tool.

    Attributes:
        user: as ``request.user`` in Django REST framework: the site's user, a ``TokenPrincipal`` in stateless mode, or
            a ``MachinePrincipal`` for a client that acts for itself. ``None`` if the verifier has an ``issuer``.
    """

    user: Any = Field(default=None, exclude=True, repr=False)


class TokenVerifier:
    """Verify access tokens for an MCP server: ``MCPServer(token_verifier=TokenVerifier(...), auth=AuthSettings(...))``.

    For FastMCP: ``RemoteAuthProvider(token_verifier=TokenVerifier(...), required_scopes=[...], ...)``.

    Args:
        audience: the server's URL, ``resource_server_url`` of its ``AuthSettings``.
        issuer: the issuer of the tokens; then no Django settings are needed. ``None`` for the settings of the Django
            project that the server runs in.
        revocation: as for :func:`~django_at_jwt.verify`, or with ``issuer`` as for :class:`~django_at_jwt.Verifier`.
        options: further arguments of :class:`~django_at_jwt.Verifier`. Only with ``issuer``.

    Raises:
        TypeError: options without ``issuer``, or ``Verifier`` has no such argument.
        ValueError: as for :class:`~django_at_jwt.Verifier`.
    """

    def __init__(
        self, *, audience: str, issuer: str | None = None, revocation: str | None = None, **options: Any
    ) -> None:
        if issuer is None and options:
            raise TypeError(f"{', '.join(options)} can only be used with issuer")
        if issuer is not None and revocation is not None:
            options["revocation"] = revocation
        self._audience: Final = audience
        self._revocation: Final = revocation
        self._verifier: Final = None if issuer is None else Verifier(issuer=issuer, audience=audience, **options)

    @sensitive_variables()
    async def verify_token(self, token: str) -> AccessToken | None:
        """Return the SDK's access token, or ``None`` if the token must not be accepted.

        Raises:
            KeysUnavailable, RevocationUnavailable: as :func:`~django_at_jwt.averify`. The SDK answers 500: a 401 would
                make clients discard valid tokens.

        Not checked: scopes, which the SDK checks if ``AuthSettings`` has ``required_scopes``.
        """
        try:
            verified, user = await self._verified(token)
        except TokenRejected:
            return None
        return AccessToken(
            token=token,
            client_id=verified.client_id,
            scopes=sorted(verified.scopes),
            expires_at=int(verified.claims.expires_at),
            resource=self._audience,
            subject=verified.claims.subject,
            claims=dict(verified.raw),
            user=user,
        )

    @sensitive_variables()
    async def _verified(self, token: str) -> tuple[VerifiedAccessToken, Any]:
        if self._verifier is not None:
            return await self._verifier.averify(token), None
        verified = await averify(token, audience=self._audience, revocation=self._revocation)
        return verified.auth, verified.user


class ToolScopes:
    """ASGI middleware that requires the scopes of the tool that a request calls.

    A 403 names the scopes, so that the client can request them for this call (step-up authorization). A tool that is
    not listed needs none here. A body that is not understood needs the scopes of all tools, and a batch those of all
    tools that it calls.

    It must run after the authentication of the SDK or FastMCP: append it to ``user_middleware`` of the SDK's
    application, or pass it to ``http_app(middleware=[...])``.

    Args:
        app: the application.
        tools: all scopes that a call needs, by the name of the tool.
        audience: the server's URL, as for :class:`TokenVerifier`.

    Raises:
        ValueError: an item of ``tools`` is not a list of scopes.
        RuntimeError: the authentication has not run before.

    Not checked: requests without an accepted token, which the SDK refuses.
    """

    def __init__(self, app: ASGIApp, *, tools: Mapping[str, Sequence[str]], audience: str) -> None:
        for name, scopes in tools.items():
            if isinstance(scopes, str) or not all(map(is_scope, scopes)):
                raise ValueError(f"ToolScopes: the scopes of {name!r} must be a list of scopes (got {scopes!r})")
        self._app: Final = app
        self._tools: Final = {name: tuple(scopes) for name, scopes in tools.items()}
        suffix = place_of_metadata(audience)[0]
        self._metadata: Final = with_path(audience, f"/{PROTECTED_RESOURCE_PATH}{suffix}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        if "auth" not in scope:
            raise RuntimeError("ToolScopes must run after the authentication middleware")
        if not scope["user"].is_authenticated:
            await self._app(scope, receive, send)
            return
        messages, body = await _read(receive)
        needed = scopes_of_call(body, self._tools)
        if set(needed) - set(scope["auth"].scopes):
            await self._refuse(needed, send)
            return

        async def receive_again() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, receive_again, send)

    async def _refuse(self, needed: Sequence[str], send: Send) -> None:
        challenge = Challenge(error=INSUFFICIENT_SCOPE, scopes=needed, resource_metadata=self._metadata)
        headers = [(b"www-authenticate", str(challenge).encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": HTTPStatus.FORBIDDEN.value, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


async def _read(receive: Receive) -> tuple[list[Message], bytes | None]:
    """Return the messages of a request, and its body, or ``None`` if it is not complete or longer than the limit."""
    messages: list[Message] = []
    size = 0
    while size <= _MAX_BODY:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request":
            return messages, None
        size += len(message.get("body", b""))
        if not message.get("more_body", False):
            return messages, b"".join(each.get("body", b"") for each in messages)
    return messages, None
