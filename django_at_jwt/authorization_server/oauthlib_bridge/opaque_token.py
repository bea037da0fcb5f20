"""Reading: the toolkit's opaque tokens, for a site that moves over to JWTs and has both for a while."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from oauth2_provider.models import get_access_token_model
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.authorization_server.subject import subject_of
from django_at_jwt.core.errors import IssuanceError, RejectionReason, TokenRejected
from django_at_jwt.core.profile import AccessTokenClaims, parse_claims
from django_at_jwt.core.verifier import check_claims

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_at_jwt.core.verifier import Expectations


def read_opaque_token(token: str, *, expected: Expectations, now: float) -> AccessTokenClaims:
    """Look up an opaque token of this issuer, and give its row as the claims that a JWT would have.

    The same rules hold for it as for a JWT, with one query. ``jti`` is made of the row's primary key, and the times are
    whole seconds.

    Raises:
        TokenRejected: no row has this token, it is for another audience, or its time is over. A row without a resource
            is a token for the default resource alone: the toolkit itself would take it for any.
    """
    if len(token) > expected.max_bytes or not token.isascii():
        raise TokenRejected(RejectionReason.MALFORMED, "no opaque token looks like this")
    # As the toolkit looks it up: a row has the digest even where the site stores tokens in clear.
    digest = hashlib.sha256(token.encode()).hexdigest()
    rows = get_access_token_model().objects.select_related("application", "user")
    row = rows.filter(token_checksum=digest).first()
    if row is None:
        raise TokenRejected(RejectionReason.REVOKED, "no row holds this opaque token")
    if row.application is None:
        raise TokenRejected(RejectionReason.REVOKED, "the opaque token has no client any more")
    if oauth2_settings.DCR_REGISTRATION_SCOPE in row.scope.split():
        # It manages the registration of a client and is for no resource (RFC 7592 §3).
        raise TokenRejected(RejectionReason.UNEXPECTED_TYPE, "this is a registration access token")
    claims = parse_claims(_as_claims(row, expected.issuer))
    check_claims(claims, expected=expected, now=now)
    return claims


def _as_claims(row: Any, issuer: str) -> dict[str, Any]:
    client_id = row.application.client_id
    return {
        "iss": issuer,
        "sub": client_id if row.user is None else _subject(row),
        "aud": list(_audience(row.resource)),
        "client_id": client_id,
        "iat": int(row.created.timestamp()),
        "exp": int(row.expires.timestamp()),
        "jti": f"opaque-{row.pk}",
        "scope": row.scope,
    }


def _subject(row: Any) -> str:
    """The ``sub`` that a JWT of this user would have, which is not always the primary key."""
    try:
        return subject_of(row.user, row.application)
    except IssuanceError as error:
        raise TokenRejected(RejectionReason.UNKNOWN_SUBJECT, error.detail) from None


def _audience(resource: Sequence[str] | None) -> Sequence[str]:
    if resource:
        return resource
    default = registry.current().default
    return [] if default is None else [default]
