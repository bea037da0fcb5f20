"""An API client that carries an access token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.test import APIClient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .issuer import InMemoryIssuer


class AccessTokenClient(APIClient):
    """Django REST framework's test client, with a token in the header of each request.

    The token goes through the view's own authentication class, unlike ``force_authenticate()``.

    Args:
        issuer: who signs the tokens; it has to be installed when a request is made.
        claims: of the first token, as for :meth:`InMemoryIssuer.token`.
        defaults: as for ``APIClient``.

    Attributes:
        token: what it carries now.
    """

    def __init__(self, issuer: InMemoryIssuer, claims: Mapping[str, Any] | None = None, **defaults: Any) -> None:
        super().__init__(**defaults)
        self.issuer = issuer
        self.token = ""
        self.carry(**claims or {})

    def carry(self, **claims: Any) -> None:
        """Carry a new token with these claims from now on."""
        self.carry_token(self.issuer.token(**claims))

    def carry_token(self, token: str) -> None:
        """Carry this token from now on, whoever made it."""
        self.token = token
        self.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
