"""Sample the token requests that clients make, as stored tokens show, and those that they could make.

The sample is deterministic, and takes a constant number of statements however many tokens there are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_refresh_token_model,
    refresh_token_expire_timedelta,
)
from oauth2_provider.scopes import get_scopes_backend

from django_at_jwt.core.audience import resolve_audience
from django_at_jwt.core.audience_change import ClientRequest
from django_at_jwt.core.errors import IssuanceError
from django_at_jwt.models import Authorization
from django_at_jwt.models.primary import primary_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from django.db.models import QuerySet

    from django_at_jwt.core.resource_servers import ResourceServerConfig, ResourceServers

MOST_CLIENTS: Final = 100
MOST_TOKENS: Final = 1000
# Rows of refresh tokens among which live ones are looked for; those used before stay until cleartokens runs.
MOST_ROWS: Final = 20_000
# Scopes that a client is assumed to request together with one that moves to another API.
_MOST_TOGETHER: Final = 20


class RefreshTokenSample(NamedTuple):
    """Live refresh tokens, and whether there may be older ones."""

    requests: tuple[ClientRequest, ...]
    is_complete: bool

    @property
    def number(self) -> int:
        """The number of sampled refresh tokens."""
        return sum(request.tokens for request in self.requests)


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestSample:
    """Sampled requests.

    Attributes:
        first: requests that begin an authorization, of sampled clients.
        refreshes: refreshes of live authorizations.
        clients: the ids and names of the clients whose first requests were sampled.
    """

    first: tuple[ClientRequest, ...]
    refreshes: RefreshTokenSample
    clients: dict[str, str]


class _Shown(NamedTuple):
    """The client's primary key, the scopes and the resources of an access token."""

    client: Any
    scopes: tuple[str, ...]
    resources: tuple[str, ...]


class _Change(NamedTuple):
    """What differs between two registries."""

    before: ResourceServers
    after: ResourceServers
    servers: frozenset[str]

    def moved(self, scopes: Iterable[str]) -> frozenset[str]:
        """Return the scopes that imply other resource servers than before."""
        return frozenset(scope for scope in scopes if _implied(self.before, scope) != _implied(self.after, scope))

    def touched(self, scopes: Collection[str]) -> list[ResourceServerConfig]:
        """Return the resource servers that change, or at which another of the scopes has a meaning."""
        return [
            server
            for server in self.before
            if server.identifier in self.servers or any(self._is_moved_at(scope, server) for scope in scopes)
        ]

    def _is_moved_at(self, scope: str, server: ResourceServerConfig) -> bool:
        now = self.after.by_identifier.get(server.identifier)
        had = self.before.has_meaning(scope, server)
        return now is None or had != self.after.has_meaning(scope, now)


def _implied(registry: ResourceServers, scope: str) -> frozenset[tuple[str, bool, frozenset[str] | None]]:
    return frozenset(
        (server.identifier, server.enabled, server.client_ids)
        for server in registry
        if registry.has_meaning(scope, server) and not server.isolated
    )


def sample_requests(before: ResourceServers, after: ResourceServers, *, changed: Collection[str]) -> RequestSample:
    """Sample the first requests of at most :data:`MOST_CLIENTS` clients, and live refresh tokens.

    A stored token does not tell whether its request named the resource. It is assumed not to if the same scopes without
    a resource yield the same audience.

    Args:
        before: the resource servers before the change.
        after: the resource servers after the change. Clients that get or lose access to one are sampled first.
        changed: the identifiers of the resource servers that change.
    """
    change = _Change(before, after, frozenset(changed))
    shown = _shown_requests()
    clients = _clients(_named_clients(change), [each.client for each in shown])
    first = [*_possible_requests(list(clients.values()), change), *_seen_requests(shown, clients, before)]
    return RequestSample(
        first=tuple(first),
        refreshes=_refreshes(),
        clients={client.client_id: client.name for client in clients.values()},
    )


def _named_clients(change: _Change) -> list[str]:
    """Return the clients that a changed resource server names, those that only one version names first."""
    named: Counter[str] = Counter()
    for identifier in change.servers:
        for registry in (change.before, change.after):
            server = registry.by_identifier.get(identifier)
            named.update(() if server is None else server.client_ids or ())
    return sorted(named, key=lambda client_id: (named[client_id], client_id))[:MOST_CLIENTS]


def _clients(named: Sequence[str], seen: Sequence[Any]) -> dict[Any, Any]:
    """Return the sampled clients by primary key: named ones, then those with the latest tokens, then any."""
    rows = get_application_model()._default_manager.order_by("client_id")
    latest = list(dict.fromkeys(seen))[:MOST_CLIENTS]
    found = {row.pk: row for row in rows.filter(pk__in=latest)}
    chosen = {row.pk: row for row in rows.filter(client_id__in=named)}
    chosen |= {pk: found[pk] for pk in latest if pk in found and pk not in chosen}
    chosen |= {row.pk: row for row in rows[:MOST_CLIENTS] if row.pk not in chosen}
    return dict(list(chosen.items())[:MOST_CLIENTS])


def _shown_requests() -> Counter[_Shown]:
    """Return what the latest access tokens show, latest first."""
    rows = primary_rows(get_access_token_model()).order_by("-pk").values_list("application_id", "scope", "resource")
    return Counter(
        _Shown(client, tuple(scope.split()), tuple(resource or ()))
        for client, scope, resource in rows[:MOST_TOKENS]
        if client is not None
    )


def _seen_requests(shown: Counter[_Shown], clients: dict[Any, Any], before: ResourceServers) -> Iterator[ClientRequest]:
    for (pk, scopes, resources), number in shown.items():
        if pk in clients:
            client_id = clients[pk].client_id
            without = _audience(before, client_id, scopes)
            is_named = bool(resources) and {*resources} != {*without}
            yield ClientRequest(
                clients=(client_id,),
                asked=scopes,
                scopes=scopes,
                resources=resources if is_named else (),
                tokens=number,
            )


def _audience(registry: ResourceServers, client_id: str, scopes: tuple[str, ...]) -> list[str]:
    try:
        return resolve_audience(
            registry, client_id=client_id, resources=(), scopes=scopes, asked_scopes=scopes
        ).identifiers
    except IssuanceError:
        return []


def _possible_requests(clients: Iterable[Any], change: _Change) -> Iterator[ClientRequest]:
    """Yield requests that the change can affect, once for all clients that no resource server tells apart."""
    backend = get_scopes_backend()
    alike: dict[Any, list[str]] = defaultdict(list)
    for client in clients:
        scopes = (
            tuple(backend.get_available_scopes(application=client)),
            tuple(backend.get_default_scopes(application=client)),
        )
        open_to_it = tuple(
            tuple(server.identifier for server in registry if server.is_open_to(client.client_id))
            for registry in (change.before, change.after)
        )
        alike[scopes, open_to_it].append(client.client_id)
    for ((available, default), _open), client_ids in alike.items():
        for asked, resources in _possible(client_ids[0], available, change):
            yield ClientRequest(clients=tuple(client_ids), asked=asked, scopes=asked or default, resources=resources)


def _possible(
    client_id: str, available: tuple[str, ...], change: _Change
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield the scopes and resources that a client could request."""
    touched = change.touched(available)
    yield (), ()
    moved = change.moved(available)
    added = [server for server in change.after if server.identifier in change.servers]
    concerned = [
        scope
        for scope in available
        if scope in moved
        or any(change.before.has_meaning(scope, server) for server in touched)
        or any(change.after.has_meaning(scope, server) for server in added)
    ]
    for scope in concerned:
        yield (scope,), ()
    for server in touched:
        if not server.is_open_to(client_id):
            continue
        yield (), (server.identifier,)
        there = [scope for scope in available if change.before.has_meaning(scope, server)]
        pairs = {
            (one, other)
            for place, one in enumerate(there[:_MOST_TOGETHER])
            for other in there[place + 1 : _MOST_TOGETHER]
            if (one in moved) != (other in moved)
        }
        yield from ((together, ()) for together in sorted(pairs))
        if len(there) > 1:
            yield tuple(there), ()


def _refreshes() -> RefreshTokenSample:
    """Sample the latest live refresh tokens, with the scopes of their authorizations."""
    model = get_refresh_token_model()
    rows = primary_rows(model).order_by("-pk")
    oldest = rows.values_list("pk", flat=True)[MOST_ROWS : MOST_ROWS + 1].first()
    live = _live(rows if oldest is None else rows.filter(pk__gt=oldest))
    tokens = list(
        live.values_list("application__client_id", "token_family", "resource", "access_token__scope")[:MOST_TOKENS]
    )
    granted = {
        family: (scopes, ended_at)
        for family, scopes, ended_at in primary_rows(Authorization)
        .filter(family__in={family for _client, family, _resource, _scope in tokens if family is not None})
        .values_list("family", "scopes", "ended_at")
    }
    counted: Counter[tuple[str, tuple[str, ...], tuple[str, ...]]] = Counter()
    for client_id, family, resource, scope in tokens:
        scopes, ended_at = granted.get(family, (scope, None))
        if ended_at is None:
            counted[client_id, tuple(scopes.split()), tuple(resource or ())] += 1
    requests = tuple(
        ClientRequest(clients=(client_id,), scopes=scopes, granted=resources, tokens=number)
        for (client_id, scopes, resources), number in counted.items()
    )
    return RefreshTokenSample(requests, is_complete=oldest is None and len(tokens) < MOST_TOKENS)


def _live(rows: QuerySet[Any]) -> QuerySet[Any]:
    live = rows.filter(revoked__isnull=True, access_token__isnull=False)
    lifetime = refresh_token_expire_timedelta()
    if lifetime is not None:
        # DOT counts it from the end of the access token.
        live = live.filter(access_token__expires__gt=timezone.now() - lifetime)
    return live
