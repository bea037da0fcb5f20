"""Compose one access token, and sign it. Only signing needs a private key."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.views.decorators.debug import sensitive_variables

from django_at_jwt.authorization_server.claims.mapping import map_claims
from django_at_jwt.authorization_server.keys.local import local_keys
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.claims import ClaimContext
from django_at_jwt.conf import access_token_lifetime, app_settings, local_issuer
from django_at_jwt.core.errors import InvalidLifetime, IssuanceUnavailable, NoSigningKey
from django_at_jwt.core.jose.jws import sign_compact
from django_at_jwt.core.profile import assemble, encode_json, header_segment, with_mapped
from django_at_jwt.core.token_id import TokenId, is_unstored
from django_at_jwt.models.authorization import credential_hash

from .client_options import stores_access_tokens
from .site_functions import call_site_function

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django_at_jwt.core.audience import Audience
    from django_at_jwt.core.claims import CompiledMappers, MappedClaims
    from django_at_jwt.core.jose.keyring import Signer
    from django_at_jwt.core.login import AuthenticationEvent

logger = logging.getLogger("django_at_jwt")


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenRequest:
    """Who requests an access token, for whom, and how.

    Attributes:
        client: a row of DOT's application model.
        grant: the grant type, or ``implicit``.
        now: seconds since the epoch.
        user: a row of the user model, or ``None`` if the client acts for itself.
        authentication: when, how and how strongly the user logged in, if known.
        lifetime: in seconds, if the request chooses one.
    """

    client: Any
    grant: str
    now: float
    user: Any = None
    authentication: AuthenticationEvent | None = None
    lifetime: int | None = None


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
    """A signed access token with its expiry (seconds since the epoch), ``jti``, algorithm, and ``kid`` of its key.

    A string, since oauthlib and DOT pass the token through to where it is stored. ``row_checksum`` is the
    ``token_checksum`` of its row. That of a row without a token value is random, so no token has it.
    """

    __slots__ = ("algorithm", "expires_at", "kid", "row_checksum", "token_id")
    algorithm: str
    expires_at: int
    kid: str
    row_checksum: str
    token_id: str


def token_lifetime(
    request: TokenRequest, audience: Audience, *, subject: str | None, expires_in: int | None = None
) -> int:
    """Return the lifetime of an access token in seconds, before it is signed.

    It is the shortest of the lifetimes of its resource servers, unless the request or ``AT_JWT["TOKEN_LIFETIME"]``
    shortens it. Neither can extend it: keys and the deny list are kept for the lifetimes that are registered.

    Args:
        request: who requests the token.
        audience: the resolved audience and scopes.
        subject: the resource owner's identifier, or ``None`` if the client acts for itself.
        expires_in: the lifetime for resource servers without one, in seconds; by default
            ``ACCESS_TOKEN_EXPIRE_SECONDS``. At most :func:`~django_at_jwt.conf.access_token_lifetime` is used.

    Raises:
        InvalidLifetime: the request's own lifetime is too long.
        IssuanceUnavailable: ``AT_JWT["TOKEN_LIFETIME"]`` failed or did not return a lifetime, or ``expires_in`` is not
            a positive number.
    """
    longest = audience.lifetime(_default_lifetime(expires_in))
    if request.lifetime is not None:
        if request.lifetime > longest:
            raise InvalidLifetime(f"The lifetime must be at most {longest} seconds (got {request.lifetime}).")
        longest = request.lifetime
    path = app_settings().token_lifetime
    if path is None:
        return longest
    chosen = call_site_function("TOKEN_LIFETIME", path, _claim_context(request, audience, subject), longest)
    if type(chosen) is int and 1 <= chosen <= longest:
        return chosen
    got = f"{chosen}" if isinstance(chosen, int | float) else f"a {type(chosen).__name__}"
    raise IssuanceUnavailable(
        f'AT_JWT["TOKEN_LIFETIME"] ({path!r}) must return a whole number of seconds from 1 to {longest} (got {got})'
    )


def _default_lifetime(expires_in: object) -> int:
    """Return the lifetime in seconds for resource servers without one."""
    longest = access_token_lifetime()
    if expires_in is None:
        return longest
    if not isinstance(expires_in, int | float) or expires_in < 1:
        raise IssuanceUnavailable(f"the lifetime of access tokens must be at least 1 second (got {expires_in!r})")
    if expires_in > longest:
        # Keys and the deny list are kept for the longest lifetime.
        logger.warning(
            "The lifetime of an access token is shortened from %d to %d seconds, the maximum for a function in "
            "ACCESS_TOKEN_EXPIRE_SECONDS. For a longer lifetime, set it for the resource server",
            expires_in,
            longest,
        )
    return min(int(expires_in), longest)


def new_token_id(client: Any, *, authorization: str | None) -> str:
    """Return a ``jti`` for an access token, with the mark whether it gets a row.

    Args:
        client: a row of DOT's application model.
        authorization: the identifier of the token's authorization, or ``None`` if the client acts for itself.

    Raises:
        IssuanceUnavailable: client options cannot be read.
    """
    has_row = stores_access_tokens(client, has_user=authorization is not None)
    return str(TokenId(authorization or "", secrets.token_hex(16), has_row=has_row))


def compose_access_token(
    request: TokenRequest,
    audience: Audience,
    mappers: CompiledMappers,
    *,
    subject: str | None,
    lifetime: int,
    token_id: str,
    rollback: bool = False,
) -> ComposedAccessToken:
    """Compose an RFC 9068 access token without its signature. Write nothing, and decrypt no private key.

    Args:
        request: who requests the token.
        audience: the resolved audience and scopes.
        mappers: the claim mappers to apply.
        subject: the resource owner's identifier, or ``None`` if the client acts for itself; the request's user and
            authentication are then ignored.
        lifetime: in seconds.
        token_id: the ``jti``.
        rollback: roll back what the site's own claim sources write to databases, for instance in a preview.

    Raises:
        IssuanceUnavailable: no issuer or signing key, the token would outlive its key, or the user's rows cannot be
            read.
        ClaimsRefused: a required mapper failed, or the claims are too large.
    """
    issuer, client_id, event = local_issuer(), request.client.client_id, request.authentication
    if not issuer:
        raise IssuanceUnavailable("OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT'] is not set; access tokens need an issuer")
    protocol = assemble(
        issuer=issuer,
        subject=client_id if subject is None else subject,
        audience=audience.identifiers,
        client_id=client_id,
        issued_at=int(request.now),
        lifetime=lifetime,
        token_id=token_id,
        scopes=audience.scopes,
        # RFC 9068 section 2.2.1: only for a resource owner, who has logged in.
        authentication={} if subject is None or event is None else event.as_claims(),
    )
    signer = _current_signer(audience.algorithm)
    _require_expiry_before_end_of(signer.public_key.kid, expires_at=protocol["exp"])
    context = _claim_context(request, audience, subject)
    mapped = map_claims(mappers, context, servers=audience.servers, protocol=protocol, rollback=rollback)
    return ComposedAccessToken(protocol=protocol, mapped=mapped, signer=signer)


@sensitive_variables()
def sign_access_token(composed: ComposedAccessToken) -> IssuedAccessToken:
    """Sign an access token.

    Raises:
        NoSigningKey: the private key cannot be decrypted.
    """
    key = composed.signer.open()
    token = IssuedAccessToken(sign_compact(key, header_segment(key), encode_json(composed.claims)))
    token.expires_at, token.token_id = composed.protocol["exp"], composed.protocol["jti"]
    token.algorithm, token.kid = key.algorithm.name, key.kid
    token.row_checksum = secrets.token_hex(32) if is_unstored(token.token_id) else credential_hash(token)
    return token


def _claim_context(request: TokenRequest, audience: Audience, subject: str | None) -> ClaimContext:
    return ClaimContext(
        user=None if subject is None else request.user,
        client=request.client,
        scopes=audience.scopes,
        resource_servers=tuple(audience.identifiers),
        grant=request.grant,
    )


def _current_signer(algorithm: str | None) -> Signer:
    ring = local_keys().current()
    try:
        return ring.signer(algorithm)
    except NoSigningKey as error:
        is_in_use = algorithm is None or algorithm in ring.algorithms
        remedy = "run manage.py rotate_signing_keys" if is_in_use else 'add it to AT_JWT["SIGNING_ALGORITHMS"]'
        raise NoSigningKey(f"{error}; {remedy}") from None


def _require_expiry_before_end_of(kid: str, *, expires_at: int) -> None:
    end = key_store.end_of(kid)
    if end is not None and expires_at > end.timestamp():
        raise IssuanceUnavailable(
            f"the token would outlive signing key {kid}, which is published until {end}; if the lifetime of access "
            "tokens was raised, run manage.py rotate_signing_keys"
        )
