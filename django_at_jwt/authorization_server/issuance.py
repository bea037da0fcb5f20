"""Composing one access token, and signing what was composed. Only the latter needs a private key."""

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
    """All that one token depends on.

    ``subject`` is the resource owner's identifier, or ``None`` where the client acts for itself: then ``user`` and
    ``authentication`` are not looked at. ``grant`` is the grant type. ``lifetime`` is in seconds, ``now`` in seconds
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
    """A token that lacks nothing but its signature: its claims, where they come from, and whose signature it will be.

    ``protocol`` are the claims of RFC 9068, ``mapped`` what claim mappers add, with a step for each mapper.
    """

    protocol: Mapping[str, Any]
    mapped: MappedClaims
    signer: Signer

    @property
    def claims(self) -> dict[str, Any]:
        """The claims as they are signed."""
        return with_mapped(self.protocol, self.mapped.claims)


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


def compose_access_token(
    request: IssuanceRequest, mappers: CompiledMappers, *, rollback: bool = False
) -> ComposedAccessToken:
    """Put an RFC 9068 access token together, up to its signature. Nothing is written, and no key is opened.

    Args:
        rollback: undo what the site's own sources of claims write to databases, as for a preview.

    Raises:
        IssuanceUnavailable: there is no issuer or no key to sign with, the token would outlive its key, or the user's
            rows cannot be read.
        ClaimsRefused: a required mapper failed, or the claims are too large.
    """
    protocol = _protocol_claims(request)
    signer = key_store.current().signer(request.audience.algorithm)
    _hold_to_the_end_of(signer.public_key.kid, expires_at=protocol["exp"])
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
        NoSigningKey: the key cannot be opened.
    """
    key = composed.signer.open()
    token = sign_compact(key, header_segment(key), encode_json(composed.claims))
    return IssuedAccessToken.of(token, expires_at=composed.protocol["exp"], kid=key.kid)


def _protocol_claims(request: IssuanceRequest) -> dict[str, Any]:
    issuer, client_id, event = local_issuer(), request.client.client_id, request.authentication
    if not issuer:
        raise IssuanceUnavailable("OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT'] is not set, so tokens would have no issuer")
    return assemble(
        issuer=issuer,
        subject=client_id if request.subject is None else request.subject,
        audience=request.audience.identifiers,
        client_id=client_id,
        issued_at=int(request.now),
        lifetime=request.lifetime,
        token_id=uuid.uuid4().hex,
        scopes=request.audience.scopes,
        # Only a resource owner has logged in (RFC 9068 §2.2.1).
        authentication={} if request.subject is None or event is None else event.as_claims(),
    )


def _hold_to_the_end_of(kid: str, *, expires_at: int) -> None:
    end = key_store.end_of(kid)
    if end is not None and expires_at > end.timestamp():
        raise IssuanceUnavailable(
            f"the token would outlive signing key {kid}, which is published until {end}; after the lifetime of "
            "access tokens was raised, run: manage.py rotate_signing_keys"
        )
