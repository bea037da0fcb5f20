"""``request.auth``: a verified access token."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from django_at_jwt.core.profile import AccessTokenClaims


class AccessToken:
    """A verified access token: ``request.auth``.

    It gives access to the claims, and has the methods that DOT's permission classes call on a token.
    """

    __slots__ = ("claims",)

    def __init__(self, claims: AccessTokenClaims) -> None:
        self.claims: Final = claims

    def __repr__(self) -> str:
        # Without the token and its claims, since a repr ends up in logs and tracebacks.
        return f"<{type(self).__name__} {self.claims.token_id}>"

    @property
    def scope(self) -> str:
        """The granted scopes, separated by spaces."""
        return self.claims.scope

    @property
    def scopes(self) -> frozenset[str]:
        """The granted scopes."""
        return self.claims.scopes

    @property
    def client_id(self) -> str:
        """The ID of the client that the token was issued to."""
        return self.claims.client_id

    def get(self, claim: str, default: Any = None) -> Any:
        """Return a claim of the token, or ``default``."""
        return self.claims.raw.get(claim, default)

    def __getitem__(self, claim: str) -> Any:
        return self.claims.raw[claim]

    def __contains__(self, claim: object) -> bool:
        return claim in self.claims.raw

    @property
    def raw(self) -> Mapping[str, Any]:
        """All claims as they are in the token; treat them as read-only."""
        return self.claims.raw

    def is_expired(self) -> bool:
        """Return whether ``exp`` has passed, without the leeway that applied when the token was accepted."""
        return time.time() >= self.claims.expires_at

    def allow_scopes(self, scopes: Iterable[str] | None) -> bool:
        """Return whether the token has all of ``scopes``."""
        return self.scopes.issuperset(scopes or ())

    def is_valid(self, scopes: Iterable[str] | None = None) -> bool:
        """Return whether the token has all of ``scopes``. Not checked: the times, which were checked on acceptance."""
        return self.allow_scopes(scopes)
