"""Composing one access token: from a request on plain values to a signed string, in one direction."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from django_at_jwt.core.errors import InvalidGrant
from django_at_jwt.core.jws import sign_compact
from django_at_jwt.core.profile import assemble, encode_json, header_segment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_at_jwt.core.authentication import AuthenticationEvent
    from django_at_jwt.core.keyring import KeyRing


@dataclass(frozen=True, kw_only=True, slots=True)
class IssuanceRequest:
    """All that one token depends on.

    ``user_subject`` is the resource owner's identifier, or ``None`` where the client acts for itself; only a resource
    owner has an ``authentication``. ``algorithm`` is the one that the resource server wants, or ``None`` for the
    default. ``lifetime`` is in seconds, ``now`` in seconds since the epoch.
    """

    issuer: str
    client_id: str
    user_subject: str | None
    audience: Sequence[str]
    scopes: Sequence[str]
    lifetime: int
    now: float
    algorithm: str | None = None
    authentication: AuthenticationEvent | None = None


class IssuedAccessToken(str):
    """A signed access token that remembers which key signed it and when it expires (seconds since the epoch)."""

    __slots__ = ("expires_at", "kid")
    expires_at: int
    kid: str

    @classmethod
    def of(cls, token: str, *, expires_at: int, kid: str) -> Self:
        """Make one of the signed string."""
        issued = cls(token)
        issued.expires_at, issued.kid = expires_at, kid
        return issued


def issue_access_token(request: IssuanceRequest, key_ring: KeyRing) -> IssuedAccessToken:
    """Sign an RFC 9068 access token.

    Raises:
        NoSigningKey: there is no key to sign with.
        InvalidGrant: the user's identifier is the client's own id, so that the token would read as the client's.
    """
    if request.user_subject == request.client_id:
        raise InvalidGrant(
            "This client cannot act for this user.",
            detail="the user's identifier equals the client's id (RFC 9068 section 5); give the client another id",
        )
    issued_at = int(request.now)
    claims = assemble(
        issuer=request.issuer,
        subject=request.client_id if request.user_subject is None else request.user_subject,
        audience=request.audience,
        client_id=request.client_id,
        issued_at=issued_at,
        lifetime=request.lifetime,
        token_id=uuid.uuid4().hex,
        scopes=request.scopes,
        authentication=request.authentication.as_claims() if request.authentication is not None else {},
    )
    key = key_ring.signing_key(request.algorithm)
    token = sign_compact(key, header_segment(key), encode_json(claims))
    return IssuedAccessToken.of(token, expires_at=issued_at + request.lifetime, kid=key.kid)
