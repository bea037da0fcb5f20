"""The audience and the scopes of a token: RFC 8707 section 2 and RFC 9068 section 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .errors import InvalidScope, InvalidTarget, NoDefaultResource
from .quotation import quote
from .resource_servers import is_resource_identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .resource_servers import ResourceServerConfig, ResourceServers, TokenFormat

_ONE_EACH: Final = "Request one token for each resource."


@dataclass(frozen=True, kw_only=True, slots=True)
class Audience:
    """The resource servers and the scopes of a token.

    Attributes:
        servers: at least one, in the order of the request.
        scopes: those with a meaning at one of the servers, or at the issuer.
        client_format: the format that the client gets, or ``None`` for that of the servers.
    """

    servers: tuple[ResourceServerConfig, ...]
    scopes: tuple[str, ...]
    client_format: TokenFormat | None = None

    @property
    def identifiers(self) -> list[str]:
        """The values of ``aud``, and of ``resource`` in the database."""
        return [server.identifier for server in self.servers]

    @property
    def token_format(self) -> TokenFormat:
        """The format of the token: that of the client, unless it has none or the server is isolated."""
        server = self.servers[0]
        return server.token_format if self.client_format is None or server.isolated else self.client_format

    @property
    def algorithm(self) -> str | None:
        """The algorithm that signs the token, or ``None`` for the default; the same for all servers."""
        return self.servers[0].algorithm

    def lifetime(self, default: int) -> int:
        """Return the lifetime of the token in seconds: the shortest of the servers' lifetimes."""
        return min(default if server.lifetime is None else server.lifetime for server in self.servers)


def resolve_audience(
    registry: ResourceServers,
    *,
    client_id: str,
    resources: Sequence[object],
    scopes: Iterable[str],
    asked_scopes: Iterable[str] = (),
    granted: Sequence[str] | None = None,
    client_format: TokenFormat | None = None,
) -> Audience:
    """Return the audience and the scopes of a token.

    The audience is the first of these that applies: the requested resources; the resources granted before; the resource
    implied by the scopes that the client requested; the default.

    Args:
        registry: all resource servers.
        client_id: the client.
        resources: the values of the request's ``resource`` parameters, in order, unchecked. They may be equivalent to
            the registered identifiers, or former ones.
        scopes: the scopes that the token would have: requested, default, or granted before.
        asked_scopes: those that the client itself requested in this authorization. Only they imply an audience.
        granted: the resources that were granted before (a code exchange, device or refresh request can narrow them but
            not widen them), or ``None`` in the first request of an authorization.
        client_format: the format that the client gets at APIs that are not isolated, or ``None`` for that of the API.

    Raises:
        InvalidTarget: a resource is malformed, not registered, disabled, not available to this client or was not
            granted, or several resources cannot share a token.
        InvalidScope: the scopes imply different resources (RFC 9068 section 3).
        NoDefaultResource: the request implies no resource, and there is no default.
    """
    if resources:
        servers = requested_servers(registry, resources, client_id=client_id, granted=granted)
    elif granted:
        servers = _granted_servers(registry, granted, client_id)
    else:
        servers = _implied_server(registry, asked_scopes, client_id) or _default_server(registry, client_id)
    meanings = {scope: sum(registry.has_meaning(scope, server) for server in servers) for scope in scopes}
    own = registry.issuer_scopes
    # A scope must not be ambiguous to the servers that share a token (RFC 9068 sections 3 and 5).
    if any(count > 1 and scope not in own for scope, count in meanings.items()):
        raise InvalidTarget(f"A scope has a meaning for more than one of the requested resources. {_ONE_EACH}")
    if len(servers) > 1 and any(server.isolated for server in servers):
        raise InvalidTarget(f"One of the requested resources is isolated and cannot share a token. {_ONE_EACH}")
    # Compare the APIs' own formats. If the client's format is removed later, the client can still refresh the token.
    if len({(server.token_format, server.algorithm) for server in servers}) > 1:
        raise InvalidTarget(f"The requested resources need different kinds of token. {_ONE_EACH}")
    # Only scopes with a meaning at one of the servers, or at the issuer (RFC 9068 section 2.2.3).
    return Audience(
        servers=servers,
        scopes=tuple(scope for scope in meanings if meanings[scope] or scope in own),
        client_format=client_format,
    )


def requested_servers(
    registry: ResourceServers, resources: Sequence[object], *, client_id: str, granted: Sequence[str] | None
) -> tuple[ResourceServerConfig, ...]:
    """Return the resource servers that a request names, without duplicates.

    Raises:
        InvalidTarget: one is malformed, not registered, disabled, not available to this client or was not granted.

    Not checked: whether they can share a token.
    """
    # Don't repeat the text of the request in the response: it may end up in a page or a log.
    identifiers = [resource for resource in resources if is_resource_identifier(resource)]
    if len(identifiers) < len(resources):
        raise InvalidTarget("A requested resource is not an absolute URI without a fragment.")
    servers, is_complete = _available(registry, identifiers, client_id)
    if not is_complete:
        # Don't reveal whether the API exists.
        raise InvalidTarget(
            "A requested resource is not registered with this authorization server for this client.",
            detail=_why_unavailable(registry, identifiers, client_id),
        )
    may_have = registry.registered(granted or ())
    for server in servers:
        if granted and server.identifier not in may_have:
            # A registered identifier may be repeated.
            raise InvalidTarget(
                f"The requested resource {server.identifier} was not granted. A token request cannot escalate resource "
                "permissions beyond the original authorization grant."
            )
    return servers


def _why_unavailable(registry: ResourceServers, names: Iterable[str], client_id: str) -> str:
    """Return why a client may not get tokens for some of the resources, for the log."""
    problems = []
    for name in names:
        server = registry.named(name)
        if server is None:
            problems.append(f"{quote(name)} is not registered")
        elif not server.enabled:
            problems.append(f"{server.identifier} is disabled")
        elif not server.is_open_to(client_id):
            problems.append(f"{server.identifier} is not for this client")
    return ", ".join(problems)


def _granted_servers(
    registry: ResourceServers, granted: Sequence[str], client_id: str
) -> tuple[ResourceServerConfig, ...]:
    servers, is_complete = _available(registry, granted, client_id)
    if not is_complete:
        # The client knows the resource from its grant, so this reveals nothing.
        advice = " Name one of the others in the resource parameter." if servers else ""
        raise InvalidTarget(f"A resource that was granted is no longer available to this client.{advice}")
    return servers


def _implied_server(
    registry: ResourceServers, asked_scopes: Iterable[str], client_id: str
) -> tuple[ResourceServerConfig, ...]:
    """Return the resource server at which every requested scope has a meaning, if any scope has one.

    A scope without a meaning anywhere implies nothing, and an isolated resource server is never implied.
    """
    candidates: list[ResourceServerConfig] | None = None
    for scope in asked_scopes:
        meant = [server for server in registry if registry.has_meaning(scope, server) and not server.isolated]
        if not meant:
            continue
        available = [server for server in meant if server.is_open_to(client_id)]
        if not available:
            raise InvalidTarget("A requested scope belongs to a resource that is not available to this client.")
        candidates = available if candidates is None else [server for server in candidates if server in available]
    if candidates is None:
        return ()
    if not candidates:
        raise InvalidScope(f"The requested scopes belong to different resources. {_ONE_EACH}")
    default = [server for server in candidates if server.identifier == registry.default]
    if len(candidates) > 1 and not default:
        raise InvalidScope("The requested scopes belong to several resources. Name one in the resource parameter.")
    return ((default or candidates)[0],)


def _default_server(registry: ResourceServers, client_id: str) -> tuple[ResourceServerConfig, ...]:
    if registry.default is None:
        raise NoDefaultResource
    servers, is_available = _available(registry, [registry.default], client_id)
    if not is_available:
        raise InvalidTarget(
            "The default resource is not available to this client. Name another in the resource parameter."
        )
    return servers


def _available(
    registry: ResourceServers, names: Iterable[str], client_id: str
) -> tuple[tuple[ResourceServerConfig, ...], bool]:
    """Return those that are registered, enabled and open to the client, without duplicates, and whether all are."""
    found = [registry.named(name) for name in names]
    # Equivalent and former identifiers are replaced by the registered one here, before anything is narrowed or stored.
    available = {each.identifier: each for each in found if each is not None and each.is_open_to(client_id)}
    return tuple(available.values()), all(each is not None and each.identifier in available for each in found)
