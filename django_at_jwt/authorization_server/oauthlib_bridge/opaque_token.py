"""Read DOT's opaque access tokens, for sites that issue them next to JWTs or migrate from them."""

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
    """Look up an opaque token of this issuer in one query, and return the claims that a JWT would have.

    The claims are checked as for a JWT. ``jti`` is derived from the row's primary key; times are whole seconds.
    A row without a resource is a token for the default resource only; DOT itself would accept it for any.

    Raises:
        TokenRejected: no row has this token, it is for another audience, or it is expired.
    """
    if len(token) > expected.max_bytes or not token.isascii():
        raise TokenRejected(RejectionReason.MALFORMED, "not an opaque token: not ASCII, or too long")
    # As DOT looks it up: a row has the digest even if the site stores tokens in clear.
    digest = hashlib.sha256(token.encode()).hexdigest()
    rows = get_access_token_model().objects.select_related("application", "user")
    row = rows.filter(token_checksum=digest).first()
    if row is None:
        raise TokenRejected(RejectionReason.REVOKED, "the opaque token has no row")
    if row.application is None:
        raise TokenRejected(RejectionReason.REVOKED, "the client of the opaque token was deleted")
    if oauth2_settings.DCR_REGISTRATION_SCOPE in row.scope.split():
        # It manages a client's registration and is not for a resource (RFC 7592 §3).
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
    """Return the ``sub`` that a JWT of this user would have, which is not always the primary key."""
    try:
        return subject_of(row.user, row.application)
    except IssuanceError as error:
        raise TokenRejected(RejectionReason.UNKNOWN_SUBJECT, error.detail) from None


def _audience(resource: Sequence[str] | None) -> Sequence[str]:
    if resource:
        return resource
    default = registry.current().default
    return [] if default is None else [default]
