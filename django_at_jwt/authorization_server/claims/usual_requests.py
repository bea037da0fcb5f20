"""Sample the token requests that clients make, as stored tokens show, and those that they could make.

The sample is deterministic, and takes a constant number of statements however many tokens there are.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import partial
from heapq import nsmallest
from itertools import product
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_application_model, get_refresh_token_model

from django_at_jwt.authorization_server.activity import usable_refresh_tokens
from django_at_jwt.authorization_server.client_options import token_format_of, token_formats_by_key
from django_at_jwt.authorization_server.registration import SELF_REGISTERED, registered_itself
from django_at_jwt.authorization_server.resource_servers import is_open_to
from django_at_jwt.authorization_server.toolkit import get_scopes_backend
from django_at_jwt.core.audience import resolve_audience
from django_at_jwt.core.audience_change import ClientRequest
from django_at_jwt.core.errors import IssuanceError
from django_at_jwt.models import Authorization
from django_at_jwt.models.primary import primary_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from django_at_jwt.core.resource_servers import ResourceServerConfig, ResourceServers

MOST_CLIENTS: Final = 100
MOST_TOKENS: Final = 1000
# Rows of refresh tokens among which live ones are looked for; those used before stay until cleartokens runs.
MOST_ROWS: Final = 20_000
# Scopes of an API that move to another, and scopes that a client is assumed to request together with one of them.
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
    """What differs between two registries for clients with the same scopes.

    Attributes:
        moved: the scopes that have a meaning at other resource servers than before.
        touched: the former resource servers that change, or at which another of the scopes has a meaning.
        concerned: the scopes that have moved, or have a meaning at one of these resource servers.
    """

    before: ResourceServers
    moved: frozenset[str]
    touched: tuple[ResourceServerConfig, ...]
    concerned: tuple[str, ...]


def _apis_of(registry: ResourceServers, scope: str) -> frozenset[str]:
    return frozenset(server.identifier for server in registry if registry.has_meaning(scope, server))


def sample_requests(before: ResourceServers, after: ResourceServers, *, changed: Collection[str]) -> RequestSample:
    """Sample the first requests of at most :data:`MOST_CLIENTS` clients, and live refresh tokens.

    A stored token does not record whether its request named the resource. It is assumed not to if the same scopes
    without a resource yield the same audience.

    Args:
        before: the resource servers before the change.
        after: the resource servers after the change. Clients that lose access to one are sampled first.
        changed: the identifiers of the resource servers that change.
    """
    shown = _shown_requests()
    pairs = [(before.by_identifier.get(each), after.by_identifier.get(each)) for each in sorted(changed)]
    clients = _clients(pairs, [each.client for each in shown])
    possible = _possible_requests(clients.values(), before, after, changed)
    return RequestSample(
        first=(*possible, *_seen_requests(shown, clients, before)),
        refreshes=_refreshes(),
        clients={client.client_id: client.name for client in clients.values()},
    )


def _clients(
    pairs: Sequence[tuple[ResourceServerConfig | None, ResourceServerConfig | None]], seen: Iterable[Any]
) -> dict[Any, Any]:
    """Return the sampled clients by primary key: those that lose access, then those with the latest tokens."""
    clients = get_application_model()._default_manager
    columns = ("pk", "client_id", "registration_source")
    latest = {pk: place for place, pk in enumerate(dict.fromkeys(seen))}

    def rank(row: tuple[Any, str, str]) -> tuple[bool, int, str]:
        pk, client_id, source = row
        has = partial(is_open_to, client_id=client_id, registration_source=source)
        loses_access = any(old is not None and has(old) and not (new is not None and has(new)) for old, new in pairs)
        return not loses_access, latest.get(pk, len(latest)), client_id

    chosen = [row[0] for row in nsmallest(MOST_CLIENTS, clients.values_list(*columns), key=rank)]
    rows = clients.in_bulk(chosen)
    return {pk: rows[pk] for pk in chosen if pk in rows}


def _shown_requests() -> Counter[_Shown]:
    """Return what the latest access tokens show, latest first."""
    rows = primary_rows(get_access_token_model()).order_by("-pk").values_list("application_id", "scope", "resource")
    return Counter(
        _Shown(client, tuple(scope.split()), tuple(resource or ()))
        for client, scope, resource in rows[:MOST_TOKENS]
        if client is not None
    )


def _seen_requests(shown: Counter[_Shown], clients: dict[Any, Any], before: ResourceServers) -> Iterator[ClientRequest]:
    registered = before.for_registered_clients()
    for (pk, scopes, resources), number in shown.items():
        if pk in clients:
            client_id, is_registered = clients[pk].client_id, registered_itself(clients[pk])
            without = _audience(registered if is_registered else before, client_id, scopes)
            is_named = bool(resources) and {*resources} != {*without}
            yield ClientRequest(
                clients=(client_id,),
                asked=scopes,
                scopes=scopes,
                resources=resources if is_named else (),
                tokens=number,
                registered_itself=is_registered,
                client_format=token_format_of(clients[pk]),
            )


def _audience(registry: ResourceServers, client_id: str, scopes: tuple[str, ...]) -> list[str]:
    try:
        return resolve_audience(
            registry, client_id=client_id, resources=(), scopes=scopes, asked_scopes=scopes
        ).identifiers
    except IssuanceError:
        return []


def _possible_requests(
    clients: Iterable[Any], before: ResourceServers, after: ResourceServers, changed: Collection[str]
) -> Iterator[ClientRequest]:
    """Yield requests that the change can affect, once for all clients that no resource server tells apart."""
    backend = get_scopes_backend()
    views = {False: (before, after), True: (before.for_registered_clients(), after.for_registered_clients())}
    alike: dict[Any, dict[Any, list[str]]] = defaultdict(lambda: defaultdict(list))
    for client in clients:
        scopes = (
            tuple(backend.get_available_scopes(application=client)),
            tuple(backend.get_default_scopes(application=client)),
        )
        is_registered = registered_itself(client)
        access = tuple(server.is_open_to(client.client_id) for view in views[is_registered] for server in view)
        alike[is_registered, *scopes][access, token_format_of(client)].append(client.client_id)
    for (is_registered, available, default), by_access in alike.items():
        change = _change(*views[is_registered], changed, available)
        for (_access, client_format), client_ids in by_access.items():
            for asked, resources in _possible(client_ids[0], available, change):
                yield ClientRequest(
                    clients=tuple(client_ids),
                    asked=asked,
                    scopes=asked or default,
                    resources=resources,
                    registered_itself=is_registered,
                    client_format=client_format,
                )


def _change(
    before: ResourceServers, after: ResourceServers, changed: Collection[str], available: tuple[str, ...]
) -> _Change:
    moved = frozenset(scope for scope in available if _apis_of(before, scope) != _apis_of(after, scope))
    touched = tuple(
        server
        for server in before
        if server.identifier in changed or any(before.has_meaning(scope, server) for scope in moved)
    )
    concerned = tuple(
        scope for scope in available if scope in moved or any(before.has_meaning(scope, server) for server in touched)
    )
    return _Change(before, moved, touched, concerned)


def _possible(
    client_id: str, available: tuple[str, ...], change: _Change
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Yield the scopes and resources that a client could request."""
    yield (), ()
    yield from (((scope,), ()) for scope in change.concerned)
    for server in change.touched:
        if server.is_open_to(client_id):
            yield from (((), (name,)) for name in server.names)
            there = [scope for scope in available if change.before.has_meaning(scope, server)]
            leaving = [scope for scope in there if scope in change.moved]
            pairs = product(leaving[:_MOST_TOGETHER], there[:_MOST_TOGETHER])
            together = dict.fromkeys(tuple(sorted(pair, key=there.index)) for pair in pairs if len({*pair}) > 1)
            yield from ((asked, ()) for asked in together)


def _refreshes() -> RefreshTokenSample:
    """Sample the latest live refresh tokens, with the scopes of their authorizations."""
    model = get_refresh_token_model()
    rows = primary_rows(model).order_by("-pk")
    oldest = rows.values_list("pk", flat=True)[MOST_ROWS : MOST_ROWS + 1].first()
    live = usable_refresh_tokens(rows if oldest is None else rows.filter(pk__gt=oldest), timezone.now())
    client = ("application__client_id", "application", "application__registration_source")
    tokens = list(live.values_list(*client, "token_family", "resource", "access_token__scope")[:MOST_TOKENS])
    granted = {
        family: (scopes, ended_at)
        for family, scopes, ended_at in primary_rows(Authorization)
        .filter(family__in={family for *_client, family, _resource, _scope in tokens if family is not None})
        .values_list("family", "scopes", "ended_at")
    }
    counted: Counter[tuple[str, Any, bool, tuple[str, ...], tuple[str, ...]]] = Counter()
    for client_id, key, source, family, resource, scope in tokens:
        scopes, ended_at = granted.get(family, (scope, None))
        if ended_at is None:
            counted[client_id, key, source in SELF_REGISTERED, tuple(scopes.split()), tuple(resource or ())] += 1
    formats = token_formats_by_key()
    requests = tuple(
        ClientRequest(
            clients=(client_id,),
            scopes=scopes,
            granted=resources,
            tokens=number,
            registered_itself=is_registered,
            client_format=formats.get(str(key)),
        )
        for (client_id, key, is_registered, scopes, resources), number in counted.items()
    )
    return RefreshTokenSample(requests, is_complete=oldest is None and len(tokens) < MOST_TOKENS)
