"""What a change of the resource servers means for clients: which requests get another token, or no token."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Final

from .audience import resolve_audience
from .errors import InvalidScope, IssuanceError, NoDefaultResource

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from .audience import Audience
    from .resource_servers import ResourceServers, TokenFormat


class Effect(StrEnum):
    """What happens to a request, from the worst to the least."""

    REFUSED = "refused"
    OTHER_AUDIENCE = "other_audience"
    LOST_SCOPES = "lost_scopes"
    OTHER_FORMAT = "other_format"
    OTHER_ALGORITHM = "other_algorithm"
    OTHER_LIFETIME = "other_lifetime"
    ADDED_SCOPES = "added_scopes"
    ISSUED = "issued"

    @property
    def is_breaking(self) -> bool:
        """Whether clients or APIs that work now can fail."""
        return self in _BREAKING


_BREAKING: Final = frozenset(
    {Effect.REFUSED, Effect.OTHER_AUDIENCE, Effect.LOST_SCOPES, Effect.OTHER_FORMAT, Effect.OTHER_ALGORITHM}
)
_ORDER: Final = tuple(Effect)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientRequest:
    """A token request that clients make or could make.

    Attributes:
        clients: the ids of clients that all resource servers treat alike, at least one.
        asked: the scopes that the request names.
        scopes: the scopes that the token would have: those, the default ones, or the granted ones.
        resources: the resources that the request names.
        granted: for a refresh, the resources granted before; empty for the default. ``None`` for a first request.
        tokens: the number of stored tokens that show the request; 0 if clients could make it.
        registered_itself: whether the clients registered themselves.
        client_format: the format that all of the clients get, or ``None`` for that of the API.
    """

    clients: tuple[str, ...]
    asked: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    granted: tuple[str, ...] | None = None
    tokens: int = 0
    registered_itself: bool = False
    client_format: TokenFormat | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """What requests with the same outcome have in common.

    Attributes:
        effect: what happens.
        is_refresh: whether they are refreshes; always ``False`` for the effects from ``OTHER_FORMAT`` on.
        named: the resources that they name, by an identifier or a former one; likewise empty.
        before: the audience before the change; empty if the requests were refused.
        after: the audience after the change; empty if they are refused.
        code: the OAuth error code of the refusal.
        description: the error description of the refusal.
        former: the lost scopes, format, algorithm or lifetime in seconds; empty for the site's default algorithm.
        new: the added scopes, format, algorithm or lifetime in seconds; likewise.
    """

    effect: Effect
    is_refresh: bool = False
    named: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    code: str = ""
    description: str = ""
    former: tuple[str, ...] = ()
    new: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestChange:
    """Requests that change for the same cause."""

    cause: Cause
    requests: tuple[ClientRequest, ...]

    @property
    def clients(self) -> tuple[str, ...]:
        """The ids of the clients that make or could make one of the requests."""
        return tuple(sorted({client_id for request in self.requests for client_id in request.clients}))

    @property
    def seen_clients(self) -> tuple[str, ...]:
        """The ids of the clients whose stored tokens show one of the first requests."""
        seen = [request for request in self.requests if request.tokens and request.granted is None]
        return tuple(sorted({client_id for request in seen for client_id in request.clients}))

    @property
    def refresh_tokens(self) -> int:
        """The number of refresh tokens among the requests."""
        return sum(request.tokens for request in self.requests if request.granted is not None)

    @property
    def scopes(self) -> tuple[tuple[str, ...], ...]:
        """The scopes that first requests name, fewest first; without requests that only repeat a smaller one."""
        first = [request for request in self.requests if request.granted is None]
        seen = {request.asked for request in first if request.tokens}
        named = sorted({request.asked for request in first}, key=lambda asked: (len(asked), asked))
        return tuple(
            asked for asked in named if asked in seen or not any(smaller and {*smaller} < {*asked} for smaller in named)
        )


def changed_requests(
    before: ResourceServers,
    after: ResourceServers,
    requests: Iterable[ClientRequest],
    *,
    lifetime: int,
    removed_scopes: Collection[str] = (),
) -> tuple[RequestChange, ...]:
    """Return the requests whose outcome changes, by cause, the worst first.

    Args:
        before: the resource servers before the change.
        after: the resource servers after the change.
        requests: the requests to compare.
        lifetime: the site's default lifetime of tokens in seconds.
        removed_scopes: the scopes that no longer exist after the change.

    Not checked: whether a client may use a grant or a scope, which no resource server decides.
    """
    by_cause: dict[Cause, list[ClientRequest]] = defaultdict(list)
    views = {False: (before, after), True: (before.for_registered_clients(), after.for_registered_clients())}
    for request in requests:
        former, latter = views[request.registered_itself]
        old, new = _outcome(former, request), _outcome(latter, request)
        if not {*request.asked}.isdisjoint(removed_scopes):
            new = InvalidScope("A requested scope does not exist.")
        for cause in _causes(request, old, new, lifetime):
            by_cause[cause].append(request)
    changes = [RequestChange(cause=cause, requests=tuple(changed)) for cause, changed in by_cause.items()]
    return tuple(sorted(changes, key=_rank))


def _rank(change: RequestChange) -> tuple[object, ...]:
    cause = change.cause
    place = _ORDER.index(cause.effect), cause.is_refresh, bool(cause.named), -len(change.clients)
    return (*place, cause.named, cause.before, cause.after, cause.description, cause.former, cause.new)


def _outcome(registry: ResourceServers, request: ClientRequest) -> Audience | IssuanceError:
    granted = request.granted
    if granted is not None and not granted and registry.default is not None:
        granted = (registry.default,)
    try:
        if granted is not None and not granted:
            raise NoDefaultResource
        return resolve_audience(
            registry,
            client_id=request.clients[0],
            resources=request.resources,
            scopes=request.scopes,
            asked_scopes=request.asked,
            granted=granted,
            client_format=request.client_format,
        )
    except IssuanceError as error:
        return error


def _causes(
    request: ClientRequest, old: Audience | IssuanceError, new: Audience | IssuanceError, lifetime: int
) -> Iterator[Cause]:
    named = tuple(sorted({*request.resources}))
    cause = partial(Cause, is_refresh=request.granted is not None, named=named)
    before, after = (() if isinstance(each, IssuanceError) else tuple(sorted(each.identifiers)) for each in (old, new))
    if isinstance(new, IssuanceError):
        if not isinstance(old, IssuanceError):
            reason = new.detail or new.description
            yield cause(effect=Effect.REFUSED, before=before, code=new.code, description=reason)
    elif isinstance(old, IssuanceError):
        yield Cause(effect=Effect.ISSUED, after=after)
    elif before != after:
        yield cause(effect=Effect.OTHER_AUDIENCE, before=before, after=after)
    else:
        if lost := tuple(sorted({*old.scopes} - {*new.scopes})):
            yield cause(effect=Effect.LOST_SCOPES, before=before, after=after, former=lost)
        for effect, former, latter in _differences(old, new, lifetime):
            if former != latter:
                yield Cause(effect=effect, before=before, after=after, former=former, new=latter)


def _differences(
    old: Audience, new: Audience, lifetime: int
) -> Iterator[tuple[Effect, tuple[str, ...], tuple[str, ...]]]:
    yield Effect.OTHER_FORMAT, (old.token_format.value,), (new.token_format.value,)
    yield Effect.OTHER_ALGORITHM, (old.algorithm or "",), (new.algorithm or "",)
    yield Effect.OTHER_LIFETIME, (str(old.lifetime(lifetime)),), (str(new.lifetime(lifetime)),)
    yield Effect.ADDED_SCOPES, (), tuple(sorted({*new.scopes} - {*old.scopes}))
