"""A token that nobody gets: what would be signed for a user, a client and an API, which mapper sets what, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from django.db import Error as AnyDatabaseError

from django_at_jwt.authorization_server.issuance import ComposedAccessToken, IssuanceRequest, compose_access_token
from django_at_jwt.authorization_server.oauthlib_bridge.client_policy import eligible_scopes
from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.authorization_server.subject import token_subject
from django_at_jwt.claims import registered_claim_sources
from django_at_jwt.conf import access_token_lifetime, app_settings
from django_at_jwt.core.audience import AudienceRequest, resolve_audience
from django_at_jwt.core.claims import (
    ClaimsRefused,
    CompiledMappers,
    MapperOutcome,
    MapperStep,
    personal_mappers,
    personal_protocol_claims,
)
from django_at_jwt.core.claims.rules import parse_claim_name
from django_at_jwt.core.errors import IssuanceError, IssuanceUnavailable
from django_at_jwt.core.profile import encode_json, token_header
from django_at_jwt.core.resource_servers import TokenFormat

from .registry import claim_mappers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django_at_jwt.core.audience import Audience
    from django_at_jwt.core.authentication import AuthenticationEvent
    from django_at_jwt.core.resource_servers import ResourceServers

SIZE_MARKS: Final = (4096, 8192)
"""Bytes: what common servers and proxies take as one header line, and as all headers together."""
# They are other ones in each token.
_EXAMPLES: Final = frozenset({"jti", "iat", "exp", "auth_time"})


@dataclass(frozen=True, kw_only=True, slots=True)
class PreviewRequest:
    """Whose token to show, and by which rules.

    Attributes:
        client: a row of the toolkit's application model.
        grant: the grant type, or ``implicit``.
        now: seconds since the epoch.
        user: a row of the user model, or ``None`` where the client acts for itself.
        scopes: what the client asks for; without any, the site's default scopes.
        resources: the values of the ``resource`` parameter.
        authentication: when, how and how strongly the user logged in, as far as that is known.
        mappers: the claim mappers to apply in place of those that are in use; see
            :func:`~django_at_jwt.authorization_server.claims.registry.compile_site_rules`.
        resource_servers: those to go by in place of the registered ones.
    """

    client: Any
    grant: str
    now: float
    user: Any = None
    scopes: Sequence[str] = ()
    resources: Sequence[str] = ()
    authentication: AuthenticationEvent | None = None
    mappers: CompiledMappers | None = None
    resource_servers: ResourceServers | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why there would be no token: the OAuth error code and text for the client, and the reason for the log."""

    code: str
    description: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PreviewedClaim:
    """One claim, with all that is nested in it.

    Attributes:
        mappers: the keys of the mappers that set it; none for a claim of the protocol.
        is_personal: whether it tells something about a person.
        is_example: whether each token has another value.
    """

    name: str
    value: Any
    mappers: tuple[str, ...]
    is_personal: bool
    is_example: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class PreviewedMapper:
    """What one mapper did or, with its ``step``'s condition, why it did nothing."""

    step: MapperStep
    is_personal: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenSize:
    """The bytes of a compact token's three segments, as they are sent."""

    header: int
    claims: int
    signature: int

    @classmethod
    def of(cls, *, header: bytes, claims: bytes, signature_bytes: int) -> Self:
        """Work out the size of a token that was not signed."""
        return cls(header=_encoded(len(header)), claims=_encoded(len(claims)), signature=_encoded(signature_bytes))

    @property
    def total(self) -> int:
        """The length of the token, its two dots included."""
        return self.header + self.claims + self.signature + 2


def _encoded(length: int) -> int:
    """The length of so many bytes in base64url without padding (RFC 7515 §2)."""
    return (4 * length + 2) // 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """What would be issued.

    Attributes:
        refusal: why nothing would be issued, or ``None``.
        audience: what ``aud`` would hold; empty where it cannot be told.
        scopes: those that would be granted.
        token_format: an opaque token holds nothing: no claims, and no mapper is applied.
        header: as it would be signed, with the ``kid`` of the key that would sign.
        claims: as they would be signed.
        claim_origins: the same claims one by one, the mapped ones last.
        mappers: what each mapper did, in the order of application; also where the token is refused for their sake.
        size: of the token that would be sent.
    """

    refusal: Refusal | None = None
    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    token_format: TokenFormat | None = None
    header: Mapping[str, Any] = field(default_factory=dict)
    claims: Mapping[str, Any] = field(default_factory=dict)
    claim_origins: tuple[PreviewedClaim, ...] = ()
    mappers: tuple[PreviewedMapper, ...] = ()
    size: TokenSize | None = None

    @property
    def personal_claims(self) -> tuple[str, ...]:
        """The names of the claims that tell something about a person."""
        return tuple(claim.name for claim in self.claim_origins if claim.is_personal)


def preview_access_token(request: PreviewRequest) -> Preview:
    """Compose the token that a request would get, by the code that composes it to be signed, and say why it is so.

    Nothing is written or signed, and no private key is opened; what a registered source writes to a database is undone.
    The audience of a refreshed token, or of one for a code, is that of a first request for the same resources and
    scopes.

    It does *not* ask what only a real request can answer: the client's secret, the user's password, their consent.
    """
    known: dict[str, Any] = {}
    try:
        scopes = eligible_scopes(request.client, grant=request.grant, user=request.user, asked=request.scopes)
        audience = _audience(request, scopes)
        known["audience"], known["scopes"] = tuple(audience.identifiers), audience.scopes
        known["token_format"] = audience.token_format
        subject = token_subject(request.user, request.client, grant=request.grant)
        if audience.token_format is TokenFormat.OPAQUE:
            return Preview(**known)
        mappers = claim_mappers.latest() if request.mappers is None else request.mappers
        composed = compose_access_token(
            IssuanceRequest(
                user=request.user,
                client=request.client,
                subject=subject,
                grant=request.grant,
                audience=audience,
                lifetime=audience.lifetime(access_token_lifetime()),
                now=request.now,
                authentication=request.authentication,
            ),
            mappers,
            rollback=True,
        )
    except ClaimsRefused as error:
        known["mappers"] = _mappers(error.trace, _personal_keys(mappers, is_machine=subject is None))
        return Preview(refusal=_refusal(error), **known)
    except IssuanceError as error:
        return Preview(refusal=_refusal(error), **known)
    return Preview(**known, **_described(composed, mappers, is_machine=subject is None))


def _refusal(error: IssuanceError) -> Refusal:
    return Refusal(code=error.code, description=error.description, reason=error.detail or error.description)


def _audience(request: PreviewRequest, scopes: Sequence[str]) -> Audience:
    try:
        servers = registry.latest() if request.resource_servers is None else request.resource_servers
    except AnyDatabaseError as error:
        raise IssuanceUnavailable(f"the resource servers cannot be read: {error}") from None
    asked = AudienceRequest(
        client_id=request.client.client_id, resources=request.resources, scopes=scopes, asked_scopes=request.scopes
    )
    return resolve_audience(asked, servers)


def _described(composed: ComposedAccessToken, mappers: CompiledMappers, *, is_machine: bool) -> dict[str, Any]:
    key, claims = composed.signer.public_key, composed.claims
    header, personal = token_header(key), _personal_keys(mappers, is_machine=is_machine)
    set_by: dict[str, list[str]] = {}
    for step in composed.mapped.trace:
        if step.outcome is MapperOutcome.SET:
            set_by.setdefault(parse_claim_name(step.claim)[0], []).append(step.key)
    of_protocol = _personal_claims(is_machine=is_machine)
    return {
        "header": header,
        "claims": claims,
        "claim_origins": tuple(
            PreviewedClaim(
                name=name,
                value=claims[name],
                mappers=tuple(set_by.get(name, ())),
                is_personal=name in of_protocol or not personal.isdisjoint(set_by.get(name, ())),
                is_example=name in _EXAMPLES,
            )
            for name in (*composed.protocol, *composed.mapped.claims)
        ),
        "mappers": _mappers(composed.mapped.trace, personal),
        "size": TokenSize.of(
            header=encode_json(header), claims=encode_json(claims), signature_bytes=key.signature_bytes
        ),
    }


def _mappers(trace: Sequence[MapperStep], personal: frozenset[str]) -> tuple[PreviewedMapper, ...]:
    return tuple(PreviewedMapper(step=step, is_personal=step.key in personal) for step in trace)


def _personal_keys(mappers: CompiledMappers, *, is_machine: bool) -> frozenset[str]:
    return personal_keys(mappers, of_protocol=_personal_claims(is_machine=is_machine))


def _personal_claims(*, is_machine: bool) -> frozenset[str]:
    return personal_protocol_claims(is_machine=is_machine, is_pairwise=app_settings().pairwise_subject_key is not None)


def personal_keys(mappers: CompiledMappers, *, of_protocol: frozenset[str] | None = None) -> frozenset[str]:
    """Give the keys of the mappers whose claims tell something about a person, in the tokens of users."""
    sources = registered_claim_sources()
    return personal_mappers(
        (mapper.rule for mapper in mappers),
        protocol=_personal_claims(is_machine=False) if of_protocol is None else of_protocol,
        is_personal_source=lambda name: name not in sources or sources[name].is_personal,
    )
