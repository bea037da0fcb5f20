"""Read DOT's opaque access tokens, for sites that issue them next to JWTs or migrate from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from oauth2_provider.models import get_access_token_model
from oauth2_provider.settings import oauth2_settings
from oauthlib.common import Request

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.authorization_server.revocation.deny_list import deny_list
from django_at_jwt.authorization_server.subject import subject_of
from django_at_jwt.core.errors import IssuanceError, RejectionReason, TokenRejected
from django_at_jwt.core.profile import AccessTokenClaims, parse_claims
from django_at_jwt.core.revocation import Revocation
from django_at_jwt.core.verifier import check_claims
from django_at_jwt.models import IssuedToken
from django_at_jwt.models.authorization import credential_hash
from django_at_jwt.models.primary import primary_rows

if TYPE_CHECKING:
    from django_at_jwt.core.verifier import Expectations

OPAQUE_ID_PREFIX: Final = "opaque-"
"""What the ``jti`` of an opaque token begins with; the primary key of its row follows."""


def read_opaque_token(
    token: str, *, expected: Expectations, now: float, revocation: Revocation = Revocation.OFFLINE
) -> AccessTokenClaims:
    """Look up an opaque token of this issuer in one query, and return the claims that a JWT would have.

    The claims are checked as for a JWT. ``jti`` is derived from the row's primary key; times are whole seconds.
    A row without a resource is a token for the default resource only; DOT itself would accept it for any.

    Args:
        revocation: what to check in addition to the row: with ``DENY_LIST`` the deny list, which costs another query
            while it names authorizations; with ``ROW`` also that the user is active and the client usable.

    Raises:
        TokenRejected: no row has this token, it is for another audience, expired or revoked.
        RevocationUnavailable: the deny list cannot be read.
    """
    return read_stored_token(token, expected=expected, now=now, revocation=revocation)[0]


def read_stored_token(
    token: str, *, expected: Expectations, now: float, revocation: Revocation
) -> tuple[AccessTokenClaims, Any]:
    """Return the claims of an opaque token as :func:`read_opaque_token`, and its row.

    Raises:
        TokenRejected: as there.
        RevocationUnavailable: as there.
    """
    if len(token) > expected.max_bytes or not token.isascii():
        raise TokenRejected(RejectionReason.MALFORMED, "not an opaque token: not ASCII, or too long")
    # As DOT looks it up: a row has the digest even if the site stores tokens in clear.
    rows = get_access_token_model().objects.select_related("application", "user")
    row = rows.filter(token_checksum=credential_hash(token)).first()
    if row is None:
        raise TokenRejected(RejectionReason.REVOKED, "the opaque token has no row")
    if row.application is None:
        raise TokenRejected(RejectionReason.REVOKED, "the client of the opaque token was deleted")
    check_kind(row)
    claims = parse_claims(_as_claims(row, expected.issuer))
    check_claims(claims, expected=expected, now=now)
    if revocation is not Revocation.OFFLINE:
        deny_list.check(claims if expected.audiences is None else claims.limited_to(expected.audiences))
        deny_list.check_authorization(lambda: authorization_of_row(row))
    if revocation is Revocation.ROW:
        check_holders(row, Request(""))
    return claims, row


def check_kind(row: Any) -> None:
    """Check that a stored token is for APIs, and does not manage the registration of a client (RFC 7592 section 3).

    Raises:
        TokenRejected: it is a registration access token.
    """
    if oauth2_settings.DCR_REGISTRATION_SCOPE in row.scope.split():
        raise TokenRejected(RejectionReason.UNEXPECTED_TYPE, "this is a registration access token")


def check_holders(row: Any, request: Request) -> None:
    """Check that the row of a token exists, its user is active, and its client is usable.

    Raises:
        TokenRejected: a check fails.
    """
    if row is None:
        raise TokenRejected(RejectionReason.REVOKED, "the token has no row: revoked, or replaced by a refresh")
    if row.user is not None and not getattr(row.user, "is_active", True):
        raise TokenRejected(RejectionReason.INACTIVE_SUBJECT, "the user is inactive")
    if row.application is not None and not row.application.is_usable(request):
        raise TokenRejected(RejectionReason.REVOKED, "the client is no longer usable")


def authorization_of_row(row: Any) -> str:
    """Return the identifier of the authorization of a stored token, or an empty string."""
    links = primary_rows(IssuedToken).filter(access_token=str(row.pk))
    return links.values_list("authorization", flat=True).first() or ""


def claims_of_row(row: Any) -> AccessTokenClaims:
    """Return the claims of an opaque token that the deny list can name. The others are empty."""
    return AccessTokenClaims(
        issuer="",
        subject="",
        audience=tuple(row.resource or ()),
        client_id="" if row.application is None else row.application.client_id,
        issued_at=int(row.created.timestamp()),
        expires_at=int(row.expires.timestamp()),
        token_id=opaque_token_id(row),
        scope=row.scope,
        not_before=None,
        raw={},
    )


def opaque_token_id(row: Any) -> str:
    """Return the ``jti`` of an opaque token."""
    return f"{OPAQUE_ID_PREFIX}{row.pk}"


def _as_claims(row: Any, issuer: str) -> dict[str, Any]:
    client_id = row.application.client_id
    return {
        "iss": issuer,
        "sub": client_id if row.user is None else _subject(row),
        "aud": list(row.resource or registry.current().or_default(())),
        "client_id": client_id,
        "iat": int(row.created.timestamp()),
        "exp": int(row.expires.timestamp()),
        "jti": opaque_token_id(row),
        "scope": row.scope,
    }


def _subject(row: Any) -> str:
    """Return the ``sub`` that a JWT of this user would have, which is not always the primary key."""
    try:
        return subject_of(row.user, row.application)
    except IssuanceError as error:
        raise TokenRejected(RejectionReason.UNKNOWN_SUBJECT, error.detail) from None
