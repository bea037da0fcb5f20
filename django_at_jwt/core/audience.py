"""The audience and the scopes of a token: RFC 8707 §2 and RFC 9068 §3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .errors import InvalidScope, InvalidTarget, NoDefaultResource
from .resource_servers import TokenFormat, is_resource_identifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .resource_servers import ResourceServerConfig, ResourceServers

_ONE_EACH: Final = "Request one token for each resource."


@dataclass(frozen=True, kw_only=True, slots=True)
class AudienceRequest:
    """The parts of a request that determine the audience of its token.

    Attributes:
        client_id: the client.
        resources: the values of the request's ``resource`` parameters, in order, unchecked.
        scopes: the scopes that the token would have: requested, default, or granted before.
        asked_scopes: those that the client itself requested in this authorization. Only they imply an audience.
        granted: the resources that were granted before (a code exchange, device or refresh request can narrow them but
            not widen them), or ``None`` in the first request of an authorization.
    """

    client_id: str
    resources: Sequence[object]
    scopes: Sequence[str]
    asked_scopes: Sequence[str] = ()
    granted: Sequence[str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Audience:
    """The resource servers and the scopes of a token.

    Attributes:
        servers: at least one, in the order of the request.
        scopes: those with a meaning at one of the servers, or at the issuer.
    """

    servers: tuple[ResourceServerConfig, ...]
    scopes: tuple[str, ...]

    @property
    def identifiers(self) -> list[str]:
        """The values of ``aud``, and of ``resource`` in the database."""
        return [server.identifier for server in self.servers]

    @property
    def token_format(self) -> TokenFormat:
        """The format of the token, the same for all servers."""
        return self.servers[0].token_format

    @property
    def algorithm(self) -> str | None:
        """The algorithm that signs the token, or ``None`` for the default; the same for all servers."""
        return self.servers[0].algorithm

    def lifetime(self, default: int) -> int:
        """Return the lifetime of the token in seconds: the shortest of the servers' lifetimes."""
        return min(default if server.lifetime is None else server.lifetime for server in self.servers)


def resolve_audience(request: AudienceRequest, registry: ResourceServers) -> Audience:
    """Return the audience and the scopes of a token.

    The audience is the first of these that applies: the requested resources; the resources granted before; the resource
    implied by the scopes that the client requested; the default.

    Raises:
        InvalidTarget: a resource is malformed, not registered, disabled, not available to this client or was not
            granted, or several resources cannot share a token.
        InvalidScope: the scopes imply different resources (RFC 9068 §3).
        NoDefaultResource: the request implies no resource, and there is no default.
    """
    if request.resources:
        servers = requested_servers(request, registry)
    elif request.granted:
        servers = _granted_servers(request.granted, request.client_id, registry)
    else:
        server = _implied_server(request, registry) or _default_server(request.client_id, registry)
        servers = (server,)
    # Only scopes with a meaning at one of the servers, or at the issuer (RFC 9068 §2.2.3).
    scopes = tuple(
        scope
        for scope in dict.fromkeys(request.scopes)
        if scope in registry.issuer_scopes or any(registry.has_meaning(scope, server) for server in servers)
    )
    if len(servers) > 1:
        _check_token_can_be_shared(servers, scopes, registry)
    return Audience(servers=servers, scopes=scopes)


def requested_servers(request: AudienceRequest, registry: ResourceServers) -> tuple[ResourceServerConfig, ...]:
    """Return the resource servers that a request names, without duplicates.

    Raises:
        InvalidTarget: one is malformed, not registered, disabled, not available to this client or was not granted.

    Not checked: whether they can share a token.
    """
    servers: dict[str, ResourceServerConfig] = {}
    for resource in request.resources:
        # Don't repeat the text of the request in the response: it may end up in a page or a log.
        if not isinstance(resource, str) or not is_resource_identifier(resource):
            raise InvalidTarget("A requested resource is not an absolute URI without a fragment.")
        server = registry.available(resource, client_id=request.client_id)
        if server is None:
            # Don't reveal whether the API exists.
            raise InvalidTarget(
                "A requested resource is not registered with this authorization server for this client."
            )
        servers[resource] = server
    for resource in servers:
        if request.granted and resource not in request.granted:
            # A registered identifier may be repeated.
            raise InvalidTarget(
                f"The requested resource {resource} was not granted. A token request cannot escalate resource "
                "permissions beyond the original authorization grant."
            )
    return tuple(servers.values())


def _granted_servers(
    granted: Sequence[str], client_id: str, registry: ResourceServers
) -> tuple[ResourceServerConfig, ...]:
    """Return the resource servers that were granted before."""
    servers = [registry.available(identifier, client_id=client_id) for identifier in dict.fromkeys(granted)]
    available = tuple(server for server in servers if server is not None)
    if len(available) < len(servers):
        # The client knows the resource from its grant, so this reveals nothing.
        advice = " Name one of the others in the resource parameter." if available else ""
        raise InvalidTarget(f"A resource that was granted is no longer available to this client.{advice}")
    return available


def _implied_server(request: AudienceRequest, registry: ResourceServers) -> ResourceServerConfig | None:
    """Return the resource server at which every requested scope has a meaning, or ``None``.

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


def _default_server(client_id: str, registry: ResourceServers) -> ResourceServerConfig:
    if registry.default is None:
        raise NoDefaultResource
    server = registry.available(registry.default, client_id=client_id)
    if server is None:
        raise InvalidTarget(
            "The default resource is not available to this client. Name another in the resource parameter."
        )
    return server


def _check_token_can_be_shared(
    servers: Sequence[ResourceServerConfig], scopes: Sequence[str], registry: ResourceServers
) -> None:
    """Check that no scope is ambiguous in a token for several resource servers (RFC 9068 §3 and §5), and their options.

    Raises:
        InvalidTarget: a scope has a meaning at two of them, one is isolated, or they need different tokens.
    """
    for scope in scopes:
        if scope not in registry.issuer_scopes and sum(registry.has_meaning(scope, server) for server in servers) > 1:
            raise InvalidTarget(f"A scope has a meaning for more than one of the requested resources. {_ONE_EACH}")
    if any(server.isolated for server in servers):
        raise InvalidTarget(f"One of the requested resources is isolated and cannot share a token. {_ONE_EACH}")
    if len({(server.token_format, server.algorithm) for server in servers}) > 1:
        raise InvalidTarget(f"The requested resources need different kinds of token. {_ONE_EACH}")
