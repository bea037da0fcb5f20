"""A test client that sends an access token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.test import APIClient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .issuer import InMemoryIssuer


class AccessTokenClient(APIClient):
    """Django REST framework's test client, sending a token with each request.

    The view's authentication class verifies the token, unlike with ``force_authenticate()``.

    Args:
        issuer: signs the tokens; it must be installed during requests.
        claims: of the first token, as for :meth:`InMemoryIssuer.token`.
        defaults: as for ``APIClient``.

    Attributes:
        token: the current token.
    """

    def __init__(self, issuer: InMemoryIssuer, claims: Mapping[str, Any] | None = None, **defaults: Any) -> None:
        super().__init__(**defaults)
        self.issuer = issuer
        self.token = ""
        self.carry(**claims or {})

    def carry(self, **claims: Any) -> None:
        """Send a new token with these claims from now on."""
        self.carry_token(self.issuer.token(**claims))

    def carry_token(self, token: str) -> None:
        """Send this token from now on."""
        self.token = token
        self.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
