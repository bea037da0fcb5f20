"""Composing one access token: from a request on plain values to a signed string, in one direction."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from django_at_jwt.core.errors import InvalidGrant
from django_at_jwt.core.jws import sign_compact
from django_at_jwt.core.profile import assemble, encode_json, header_segment, with_mapped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django_at_jwt.core.authentication import AuthenticationEvent
    from django_at_jwt.core.keyring import KeyRing


@dataclass(frozen=True, kw_only=True, slots=True)
class IssuanceRequest:
    """All that one token depends on.

    ``user_subject`` is the resource owner's identifier, or ``None`` where the client acts for itself; only a resource
    owner has an ``authentication``. ``lifetime`` is in seconds, ``now`` in seconds since the epoch.
    """

    issuer: str
    client_id: str
    user_subject: str | None
    audience: Sequence[str]
    scopes: Sequence[str]
    lifetime: int
    now: float
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


def protocol_claims(request: IssuanceRequest) -> dict[str, Any]:
    """Give the claims of RFC 9068 for one token.

    Raises:
        InvalidGrant: the user's identifier is the client's own id, so that the token would read as the client's.
    """
    if request.user_subject == request.client_id:
        raise InvalidGrant(
            "This client cannot act for this user.",
            detail="the user's identifier equals the client's id (RFC 9068 section 5); give the client another id",
        )
    return assemble(
        issuer=request.issuer,
        subject=request.client_id if request.user_subject is None else request.user_subject,
        audience=request.audience,
        client_id=request.client_id,
        issued_at=int(request.now),
        lifetime=request.lifetime,
        token_id=uuid.uuid4().hex,
        scopes=request.scopes,
        authentication=request.authentication.as_claims() if request.authentication is not None else {},
    )


def sign_access_token(
    protocol: Mapping[str, Any], mapped: Mapping[str, Any], key_ring: KeyRing, *, algorithm: str | None
) -> IssuedAccessToken:
    """Sign an RFC 9068 access token.

    Args:
        protocol: from :func:`protocol_claims`.
        mapped: what claim mappers add.
        algorithm: the one that the resource server wants, or ``None`` for the default.

    Raises:
        NoSigningKey: there is no key to sign with.
    """
    key = key_ring.signing_key(algorithm)
    token = sign_compact(key, header_segment(key), encode_json(with_mapped(protocol, mapped)))
    return IssuedAccessToken.of(token, expires_at=protocol["exp"], kid=key.kid)
