"""How tokens of the local issuer are checked for revocation (``AT_JWT["REVOCATION"]``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_at_jwt.authorization_server.oauthlib_bridge.bearer import check_stored
from django_at_jwt.core.errors import ReadNeeded
from django_at_jwt.core.revocation import Revocation
from django_at_jwt.core.token_id import is_unstored

from .deny_list import deny_list

if TYPE_CHECKING:
    from django_at_jwt.core.profile import AccessTokenClaims
    from django_at_jwt.core.revocation import RevocationPolicy


def local_policy(revocation: Revocation, audiences: frozenset[str]) -> RevocationPolicy:
    """Return the check of tokens of the local issuer at the API with these identifiers."""
    return _LocalPolicy(audiences, with_row=revocation is Revocation.ROW)


class _LocalPolicy:
    """The deny list, and the row of a token if ``with_row`` is true or only its row knows whether it was revoked."""

    def __init__(self, audiences: frozenset[str], *, with_row: bool) -> None:
        self._audiences, self._with_row = audiences, with_row

    def __call__(self, claims: AccessTokenClaims, token: str) -> None:
        deny_list.check(claims.limited_to(self._audiences))
        if self._needs_row(claims):
            check_stored(token)

    def in_memory(self, claims: AccessTokenClaims, token: str) -> None:
        deny_list.check_in_memory(claims.limited_to(self._audiences))
        if self._needs_row(claims):
            raise ReadNeeded

    def _needs_row(self, claims: AccessTokenClaims) -> bool:
        if self._with_row:
            return not is_unstored(claims.token_id)
        # Tokens from before the format of "jti" are not in the deny list one by one.
        return "." not in claims.token_id
