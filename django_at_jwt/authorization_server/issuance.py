"""Compose one access token, and sign it. Only signing needs a private key."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from django.views.decorators.debug import sensitive_variables

from django_at_jwt.authorization_server.claims.mapping import map_claims
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.claims import ClaimContext
from django_at_jwt.conf import local_issuer
from django_at_jwt.core.errors import IssuanceUnavailable
from django_at_jwt.core.jose.jws import sign_compact
from django_at_jwt.core.profile import assemble, encode_json, header_segment, with_mapped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django_at_jwt.core.audience import Audience
    from django_at_jwt.core.authentication import AuthenticationEvent
    from django_at_jwt.core.claims import CompiledMappers, MappedClaims
    from django_at_jwt.core.jose.keyring import Signer


@dataclass(frozen=True, kw_only=True, slots=True)
class IssuanceRequest:
    """The input of one access token.

    ``subject`` is the resource owner's identifier, or ``None`` if the client acts for itself; ``user`` and
    ``authentication`` are then ignored. ``grant`` is the grant type, ``lifetime`` is in seconds, and ``now`` in seconds
    since the epoch.
    """

    user: Any
    client: Any
    subject: str | None
    grant: str
    audience: Audience
    lifetime: int
    now: float
    authentication: AuthenticationEvent | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ComposedAccessToken:
    """An unsigned access token.

    ``protocol`` holds the claims of RFC 9068, ``mapped`` the claims that claim mappers add, with a step for each
    mapper, and ``signer`` the key that will sign.
    """

    protocol: Mapping[str, Any]
    mapped: MappedClaims
    signer: Signer

    @property
    def claims(self) -> dict[str, Any]:
        """All claims of the token."""
        return with_mapped(self.protocol, self.mapped.claims)


class IssuedAccessToken(str):
    """A signed access token with the ``kid`` of its key and its expiry (seconds since the epoch)."""

    __slots__ = ("expires_at", "kid")
    expires_at: int
    kid: str

    @classmethod
    def of(cls, token: str, *, expires_at: int, kid: str) -> Self:
        """Return a signed token together with its expiry and ``kid``."""
        issued = cls(token)
        issued.expires_at, issued.kid = expires_at, kid
        return issued


def compose_access_token(
    request: IssuanceRequest, mappers: CompiledMappers, *, rollback: bool = False
) -> ComposedAccessToken:
    """Compose an RFC 9068 access token without its signature. Write nothing, and decrypt no private key.

    Args:
        rollback: roll back what the site's own claim sources write to databases, for instance in a preview.

    Raises:
        IssuanceUnavailable: no issuer or signing key, the token would outlive its key, or the user's rows cannot be
            read.
        ClaimsRefused: a required mapper failed, or the claims are too large.
    """
    protocol = _protocol_claims(request)
    signer = key_store.current().signer(request.audience.algorithm)
    _require_expiry_before_end_of(signer.public_key.kid, expires_at=protocol["exp"])
    context = ClaimContext(
        user=None if request.subject is None else request.user,
        client=request.client,
        scopes=request.audience.scopes,
        resource_servers=tuple(request.audience.identifiers),
        grant=request.grant,
    )
    mapped = map_claims(
        mappers,
        context,
        servers=request.audience.servers,
        protocol=protocol,
        rollback=rollback,
    )
    return ComposedAccessToken(protocol=protocol, mapped=mapped, signer=signer)


@sensitive_variables()
def sign_access_token(composed: ComposedAccessToken) -> IssuedAccessToken:
    """Sign an access token.

    Raises:
        NoSigningKey: the private key cannot be decrypted.
    """
    key = composed.signer.open()
    token = sign_compact(key, header_segment(key), encode_json(composed.claims))
    return IssuedAccessToken.of(token, expires_at=composed.protocol["exp"], kid=key.kid)


def _protocol_claims(request: IssuanceRequest) -> dict[str, Any]:
    issuer, client_id, event = local_issuer(), request.client.client_id, request.authentication
    if not issuer:
        raise IssuanceUnavailable("OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT'] is not set; access tokens need an issuer")
    return assemble(
        issuer=issuer,
        subject=client_id if request.subject is None else request.subject,
        audience=request.audience.identifiers,
        client_id=client_id,
        issued_at=int(request.now),
        lifetime=request.lifetime,
        token_id=uuid.uuid4().hex,
        scopes=request.audience.scopes,
        # RFC 9068 §2.2.1: only for a resource owner, who has logged in.
        authentication={} if request.subject is None or event is None else event.as_claims(),
    )


def _require_expiry_before_end_of(kid: str, *, expires_at: int) -> None:
    end = key_store.end_of(kid)
    if end is not None and expires_at > end.timestamp():
        raise IssuanceUnavailable(
            f"the token would outlive signing key {kid}, which is published until {end}; if the lifetime of access "
            "tokens was raised, run manage.py rotate_signing_keys"
        )
