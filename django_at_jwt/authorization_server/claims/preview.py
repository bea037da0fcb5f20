"""Preview an access token for a user, a client and an API: its claims, their origins, or why it is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from django_at_jwt.authorization_server.client_options import token_format_of
from django_at_jwt.authorization_server.issuance import (
    ComposedAccessToken,
    TokenRequest,
    compose_access_token,
    new_token_id,
    token_lifetime,
)
from django_at_jwt.authorization_server.oauthlib_bridge.client_policy import eligible_scopes
from django_at_jwt.authorization_server.resource_servers import audience_errors, registry
from django_at_jwt.authorization_server.subject import token_subject
from django_at_jwt.claims import registered_claim_sources
from django_at_jwt.conf import app_settings
from django_at_jwt.core.audience import resolve_audience
from django_at_jwt.core.claims import (
    ClaimsRefused,
    CompiledMappers,
    MapperOutcome,
    MapperStep,
    personal_mappers,
    personal_protocol_claims,
)
from django_at_jwt.core.claims.rules import parse_claim_name
from django_at_jwt.core.errors import IssuanceError
from django_at_jwt.core.profile import encode_json, token_header
from django_at_jwt.core.resource_servers import TokenFormat
from django_at_jwt.models.authorization import new_identifier

from .registry import claim_mappers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django_at_jwt.core.resource_servers import ResourceServers

SIZE_MARKS: Final = (4096, 8192)
"""Bytes: common limits of servers and proxies for one header line and for all headers together."""
# Claims that differ in every token.
_EXAMPLES: Final = frozenset({"jti", "iat", "exp", "auth_time"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why the token would be refused: the OAuth error code and description for the client, the reason for the log."""

    code: str
    description: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PreviewedClaim:
    """One top-level claim, including nested members.

    Attributes:
        mappers: the keys of the mappers that set it; empty for a protocol claim.
        is_personal: whether it holds personal data.
        is_example: whether its value differs in every token.
    """

    name: str
    value: Any
    mappers: tuple[str, ...]
    is_personal: bool
    is_example: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class PreviewedMapper:
    """What one mapper did, or the unmet condition in its ``step``."""

    step: MapperStep
    is_personal: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenSize:
    """The lengths of a compact token's three segments as sent, in bytes."""

    header: int
    claims: int
    signature: int

    @classmethod
    def of(cls, *, header: bytes, claims: bytes, signature_bytes: int) -> Self:
        """Return the size that an unsigned token would have."""
        return cls(header=_encoded(len(header)), claims=_encoded(len(claims)), signature=_encoded(signature_bytes))

    @property
    def total(self) -> int:
        """The length of the token in bytes, including its two dots."""
        return self.header + self.claims + self.signature + 2


def _encoded(length: int) -> int:
    """Return the length of ``length`` bytes in base64url without padding (RFC 7515 section 2)."""
    return (4 * length + 2) // 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """The token that would be issued, or why it would be refused.

    Attributes:
        refusal: why the token would be refused, or ``None``.
        audience: the values of ``aud``; empty if the audience could not be resolved.
        scopes: the scopes that would be granted.
        token_format: the format; for an opaque token, no claims are composed and no mappers applied.
        header: the JOSE header, with the ``kid`` of the current signing key.
        claims: the claims as they would be signed.
        claim_origins: the same claims with their origins, mapped claims last.
        mappers: what each mapper did, in order of application; set also if mapping claims failed.
        size: the size of the token.
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
        """The names of the claims that hold personal data."""
        return tuple(claim.name for claim in self.claim_origins if claim.is_personal)


def preview_access_token(
    request: TokenRequest,
    *,
    scopes: Sequence[str] = (),
    resources: Sequence[str] = (),
    mappers: CompiledMappers | None = None,
    resource_servers: ResourceServers | None = None,
) -> Preview:
    """Compose the token that a request would get, with the same code that issues tokens.

    Nothing is written or signed, and no private key is opened; database writes of registered sources are rolled back.
    A code exchange or refresh is previewed as a first request for the same resources and scopes.

    Not checked: what only a real request has, such as the client's secret, the user's password and consent.

    Args:
        request: who requests the token.
        scopes: the requested scopes; if empty, the site's default scopes.
        resources: the values of the ``resource`` parameter.
        mappers: the claim mappers to apply instead of the current ones; see
            :func:`~django_at_jwt.authorization_server.claims.registry.compile_site_rules`.
        resource_servers: the resource servers to use instead of the registered ones.
    """
    known: dict[str, Any] = {}
    try:
        eligible = eligible_scopes(request.client, grant=request.grant, user=request.user, asked=scopes)
        with audience_errors():
            servers = registry.latest() if resource_servers is None else resource_servers
            audience = resolve_audience(
                registry.for_client(servers, request.client),
                client_id=request.client.client_id,
                resources=resources,
                scopes=eligible,
                asked_scopes=scopes,
                client_format=token_format_of(request.client),
            )
        known["audience"], known["scopes"] = tuple(audience.identifiers), audience.scopes
        known["token_format"] = audience.token_format
        subject = token_subject(request.user, request.client, grant=request.grant)
        if audience.token_format is TokenFormat.OPAQUE:
            return Preview(**known)
        applied = claim_mappers.latest() if mappers is None else mappers
        composed = compose_access_token(
            request,
            audience,
            applied,
            subject=subject,
            lifetime=token_lifetime(request, audience, subject=subject),
            token_id=new_token_id(request.client, authorization=None if subject is None else new_identifier()),
            rollback=True,
        )
    except ClaimsRefused as error:
        known["mappers"] = _mappers(error.trace, personal_keys(applied, is_machine=subject is None))
        return Preview(refusal=_refusal(error), **known)
    except IssuanceError as error:
        return Preview(refusal=_refusal(error), **known)
    return Preview(**known, **_described(composed, applied, is_machine=subject is None))


def _refusal(error: IssuanceError) -> Refusal:
    return Refusal(code=error.code, description=error.description, reason=error.detail or error.description)


def _described(composed: ComposedAccessToken, mappers: CompiledMappers, *, is_machine: bool) -> dict[str, Any]:
    key, claims = composed.signer.public_key, composed.claims
    header, personal = token_header(key), personal_keys(mappers, is_machine=is_machine)
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


def _personal_claims(*, is_machine: bool) -> frozenset[str]:
    return personal_protocol_claims(is_machine=is_machine, is_pairwise=app_settings().pairwise_subject_key is not None)


def personal_keys(mappers: CompiledMappers, *, is_machine: bool = False) -> frozenset[str]:
    """Return the keys of the mappers whose claims hold personal data, in the tokens of users or of machines."""
    sources = registered_claim_sources()
    return personal_mappers(
        (mapper.rule for mapper in mappers),
        protocol=_personal_claims(is_machine=is_machine),
        is_personal_source=lambda name: name not in sources or sources[name].is_personal,
    )
