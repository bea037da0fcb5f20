"""How tokens of the local issuer are checked for revocation (``AT_JWT["REVOCATION"]``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django_at_jwt.authorization_server.oauthlib_bridge.bearer import check_stored
from django_at_jwt.core.revocation import Revocation
from django_at_jwt.core.token_id import is_unstored

from .deny_list import deny_list

if TYPE_CHECKING:
    from django_at_jwt.core.profile import AccessTokenClaims
    from django_at_jwt.core.revocation import RevocationPolicy


def local_policy(revocation: Revocation, audience: str) -> RevocationPolicy:
    """Return the check of tokens of the local issuer at the API with this identifier."""
    check_deny_list = deny_list.check

    def check(claims: AccessTokenClaims, token: str) -> None:
        check_deny_list(claims, audience)
        if "." not in claims.token_id:
            # From before the format: only its row knows whether it was revoked.
            check_stored(token)

    def check_with_row(claims: AccessTokenClaims, token: str) -> None:
        check_deny_list(claims, audience)
        if not is_unstored(claims.token_id):
            check_stored(token)

    return check_with_row if revocation is Revocation.ROW else check
