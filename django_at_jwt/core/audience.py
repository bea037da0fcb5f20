"""Which audience a token gets, and which scopes: RFC 8707 §2 and RFC 9068 §3, on plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .errors import InvalidScope, InvalidTarget, NoDefaultResource
from .resource_servers import TokenFormat, is_resource_identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .resource_servers import ResourceServerConfig, ResourceServers

_ONE_EACH: Final = "Ask for one token for each resource."


@dataclass(frozen=True, kw_only=True, slots=True)
class AudienceRequest:
    """What a request says about the audience of its token.

    Attributes:
        client_id: who asks.
        resources: the values of the request's ``resource`` parameters, in order, unchecked.
        scopes: the scopes that the token would have: asked for, filled in by default, or granted before.
        asked_scopes: those of them that the client itself asked for in this authorization. Nothing is inferred from the
            others.
        granted: the resources that the resource owner agreed to before (code exchange, device and refresh narrow them
            and never widen them), or ``None`` where this request is itself the first.
    """

    client_id: str
    resources: Sequence[object]
    scopes: Sequence[str]
    asked_scopes: Sequence[str] = ()
    granted: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Audience:
    """Who a token is for, and what it may do there.

    Attributes:
        servers: one at the least, in the order of the request.
        scopes: those that mean something to one of them, or to the issuer itself.
    """

    servers: tuple[ResourceServerConfig, ...]
    scopes: tuple[str, ...]

    @property
    def identifiers(self) -> list[str]:
        """What ``aud`` holds, and ``resource`` in the rows."""
        return [server.identifier for server in self.servers]

    @property
    def token_format(self) -> TokenFormat:
        """What the token looks like: all of the servers agree."""
        return self.servers[0].token_format

    @property
    def algorithm(self) -> str | None:
        """The algorithm that the token is signed with, or ``None`` for the default: all of the servers agree."""
        return self.servers[0].algorithm

    def lifetime(self, default: int) -> int:
        """Give the lifetime of the token in seconds: the shortest that one of the servers asks for."""
        return min(default if server.lifetime is None else server.lifetime for server in self.servers)


def resolve_audience(request: AudienceRequest, registry: ResourceServers) -> Audience:
    """Work out the audience of a token, and its scopes.

    The rules, in their order: the resources of the request; else those granted before; else what the scopes imply that
    the client asked for; else the default.

    Raises:
        InvalidTarget: a resource is malformed, not registered, disabled, not for this client or was not granted, or
            several cannot share a token.
        InvalidScope: the scopes imply different resources (RFC 9068 §3).
        NoDefaultResource: nobody asked for anything, and there is no default.
    """
    if request.resources:
        servers = requested_servers(request, registry)
    elif request.granted:
        servers = _still_available(request.granted, request, registry)
    else:
        servers = (_implied(request, registry) or _default(request, registry),)
    scopes = _narrowed(request.scopes, servers, registry)
    if len(servers) > 1:
        _refuse_ambiguity(servers, scopes, registry)
    return Audience(servers=servers, scopes=scopes)


def requested_servers(request: AudienceRequest, registry: ResourceServers) -> tuple[ResourceServerConfig, ...]:
    """Give the resource servers that a request names, each once; whether they can share a token is not looked at.

    Raises:
        InvalidTarget: one is malformed, not registered, disabled, not for this client or was not granted.
    """
    servers = _named(request.resources, request, registry)
    _refuse_escalation(servers, request.granted)
    return servers


def _named(
    resources: Iterable[object], request: AudienceRequest, registry: ResourceServers
) -> tuple[ResourceServerConfig, ...]:
    """The resource servers that were asked for by name, each once."""
    servers: dict[str, ResourceServerConfig] = {}
    for resource in resources:
        # The text of the request is not repeated in the answer: it may end up in a page or a log.
        if not isinstance(resource, str) or not is_resource_identifier(resource):
            raise InvalidTarget("A requested resource is not an absolute URI without a fragment.")
        server = registry.available(resource, client_id=request.client_id)
        if server is None:
            # Whether there is such an API at all is nothing that a client without access to it has to know.
            raise InvalidTarget(
                "A requested resource is not registered with this authorization server for this client."
            )
        servers[resource] = server
    return tuple(servers.values())


def _still_available(
    granted: Sequence[str], request: AudienceRequest, registry: ResourceServers
) -> tuple[ResourceServerConfig, ...]:
    """The resource servers that were granted before, where the request itself names none."""
    servers = [registry.available(identifier, client_id=request.client_id) for identifier in dict.fromkeys(granted)]
    available = tuple(server for server in servers if server is not None)
    if len(available) < len(servers):
        # The client was granted it by its name, so that it may be told what became of it.
        advice = " Name one of the others in the resource parameter." if available else ""
        raise InvalidTarget(f"A resource that was granted is no longer available to this client.{advice}")
    return available


def _refuse_escalation(servers: Iterable[ResourceServerConfig], granted: Sequence[str] | None) -> None:
    for server in servers:
        if granted and server.identifier not in granted:
            # This one is registered, so it is no text of the client's own.
            raise InvalidTarget(
                f"The requested resource {server.identifier} was not granted. A token request cannot escalate resource "
                "permissions beyond the original authorization grant."
            )


def _implied(request: AudienceRequest, registry: ResourceServers) -> ResourceServerConfig | None:
    """The one resource server where all scopes mean something that the client asked for, or ``None`` if none does.

    A scope without a meaning anywhere implies nothing, and an isolated resource server is never implied.
    """
    candidates: list[ResourceServerConfig] | None = None
    for scope in request.asked_scopes:
        meant = [server for server in registry if registry.has_meaning(scope, server) and not server.isolated]
        if not meant:
            continue
        available = [server for server in meant if server.is_open_to(request.client_id)]
        if not available:
            raise InvalidTarget("A requested scope belongs to a resource that is not available to this client.")
        candidates = available if candidates is None else [server for server in candidates if server in available]
    if candidates is None:
        return None
    if not candidates:
        raise InvalidScope(f"The requested scopes belong to different resources. {_ONE_EACH}")
    default = [server for server in candidates if server.identifier == registry.default]
    if len(candidates) > 1 and not default:
        raise InvalidScope("The requested scopes belong to several resources. Name one in the resource parameter.")
    return (default or candidates)[0]


def _default(request: AudienceRequest, registry: ResourceServers) -> ResourceServerConfig:
    if registry.default is None:
        raise NoDefaultResource
    server = registry.available(registry.default, client_id=request.client_id)
    if server is None:
        raise InvalidTarget("The default resource is not for this client. Name another in the resource parameter.")
    return server


def _narrowed(
    scopes: Sequence[str], servers: Sequence[ResourceServerConfig], registry: ResourceServers
) -> tuple[str, ...]:
    """The scopes that mean something to one of the resource servers, or to the issuer itself (RFC 9068 §2.2.3)."""
    return tuple(
        scope
        for scope in dict.fromkeys(scopes)
        if scope in registry.issuer_scopes or any(registry.has_meaning(scope, server) for server in servers)
    )


def _refuse_ambiguity(
    servers: Sequence[ResourceServerConfig], scopes: Sequence[str], registry: ResourceServers
) -> None:
    """Refuse a token that says to two resource servers what was meant for one of them (RFC 9068 §3 and §5)."""
    for scope in scopes:
        if scope not in registry.issuer_scopes and sum(registry.has_meaning(scope, server) for server in servers) > 1:
            raise InvalidTarget(f"A scope has a meaning for more than one of the requested resources. {_ONE_EACH}")
    if any(server.isolated for server in servers):
        raise InvalidTarget(f"One of the requested resources shares its tokens with no other. {_ONE_EACH}")
    if len({(server.token_format, server.algorithm) for server in servers}) > 1:
        raise InvalidTarget(f"The requested resources take different kinds of token. {_ONE_EACH}")
