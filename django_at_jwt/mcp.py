"""Access tokens for servers of the Model Context Protocol's Python SDK: ``pip install django-at-jwt[mcp]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.views.decorators.debug import sensitive_variables
from mcp.server.auth.provider import AccessToken as McpAccessToken

from django_at_jwt.core.errors import TokenRejected
from django_at_jwt.resource_server.verified_token import averify
from django_at_jwt.resource_server.verifier import Verifier

if TYPE_CHECKING:
    from django_at_jwt.resource_server.access_token import AccessToken

__all__ = ["TokenVerifier"]


class TokenVerifier:
    """Verify access tokens for an MCP server: ``MCPServer(token_verifier=TokenVerifier(...), auth=AuthSettings(...))``.

    Args:
        audience: the server's URL, ``resource_server_url`` of its ``AuthSettings``.
        issuer: the issuer of the tokens; then no Django settings are needed. ``None`` for the settings of the Django
            project that the server runs in.
        revocation: as for :func:`~django_at_jwt.verify`. Only without ``issuer``.
        options: further arguments of :class:`~django_at_jwt.Verifier`. Only with ``issuer``.

    Raises:
        TypeError: an argument does not go with ``issuer``, or ``Verifier`` has no such argument.
        ValueError: as for :class:`~django_at_jwt.Verifier`.
    """

    def __init__(
        self, *, audience: str, issuer: str | None = None, revocation: str | None = None, **options: Any
    ) -> None:
        if issuer is None and options:
            raise TypeError(f"{', '.join(options)} can only be used with issuer")
        if issuer is not None and revocation is not None:
            raise TypeError("revocation can only be used without issuer")
        self._audience: Final = audience
        self._revocation: Final = revocation
        self._verifier: Final = None if issuer is None else Verifier(issuer=issuer, audience=audience, **options)

    @sensitive_variables()
    async def verify_token(self, token: str) -> McpAccessToken | None:
        """Return the SDK's access token, or ``None`` if the token must not be accepted.

        Raises:
            KeysUnavailable, RevocationUnavailable: as :func:`~django_at_jwt.averify`. The SDK answers 500: a 401 would
                make clients discard valid tokens.

        Not checked: scopes, which the SDK checks if ``AuthSettings`` has ``required_scopes``.
        """
        try:
            verified = await self._verified(token)
        except TokenRejected:
            return None
        return McpAccessToken(
            token=token,
            client_id=verified.client_id,
            scopes=sorted(verified.scopes),
            expires_at=int(verified.claims.expires_at),
            resource=self._audience,
            subject=verified.claims.subject,
            claims=dict(verified.raw),
        )

    @sensitive_variables()
    async def _verified(self, token: str) -> AccessToken:
        if self._verifier is not None:
            return await self._verifier.averify(token)
        return (await averify(token, audience=self._audience, revocation=self._revocation)).auth
