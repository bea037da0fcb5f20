"""Compare sampled tokens before and after a change of claim mappers or resource servers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django_at_jwt.authorization_server.issuance import TokenRequest
from django_at_jwt.authorization_server.scopes import removed_scopes
from django_at_jwt.conf import access_token_lifetime
from django_at_jwt.core.audience_change import changed_requests
from django_at_jwt.core.claims import Conditions, Match
from django_at_jwt.core.profile import encode_json

from .preview import personal_keys, preview_access_token
from .sampling import SampledToken, clients_concerned, sample_tokens
from .usual_requests import sample_requests

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from django_at_jwt.core.audience_change import RequestChange
    from django_at_jwt.core.claims import MapperRule
    from django_at_jwt.core.resource_servers import ResourceServerConfig

    from .configuration import ClaimConfiguration
    from .preview import Preview, PreviewedClaim

    _Sides = tuple[ClaimConfiguration, ClaimConfiguration]
    """The configuration before and after a change."""


def _as_json(claim: PreviewedClaim | None) -> str:
    return "" if claim is None else encode_json(claim.value).decode()


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimDiff:
    """A claim that changes; ``before`` or ``after`` is ``None`` if the token lacks it."""

    name: str
    before: PreviewedClaim | None
    after: PreviewedClaim | None

    @property
    def kind(self) -> str:
        """The kind of change: ``added``, ``removed`` or ``changed``."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"

    @property
    def before_as_json(self) -> str:
        """The value before the change as JSON; empty if absent."""
        return _as_json(self.before)

    @property
    def after_as_json(self) -> str:
        """The value after the change as JSON; empty if absent."""
        return _as_json(self.after)

    @property
    def is_personal(self) -> bool:
        """Whether the claim holds personal data before or after the change."""
        return any(each.is_personal for each in (self.before, self.after) if each is not None)

    @property
    def is_newly_personal(self) -> bool:
        """Whether the claim holds personal data only after the change."""
        return (
            self.after is not None and self.after.is_personal and (self.before is None or not self.before.is_personal)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenDiff:
    """A sampled token before and after the change."""

    token: SampledToken
    before: Preview
    after: Preview
    claims: tuple[ClaimDiff, ...]

    @property
    def is_changed(self) -> bool:
        """Whether the claims or the refusal differ."""
        return bool(self.claims) or self.before.refusal != self.after.refusal

    @property
    def bytes(self) -> int:
        """The growth of the token in bytes; negative if it becomes shorter."""
        return self.size_after - self.size_before

    @property
    def size_before(self) -> int:
        """The length of the token before the change in bytes; 0 if none is issued."""
        return self.before.size.total if self.before.size is not None else 0

    @property
    def size_after(self) -> int:
        """The length of the token after the change in bytes; 0 if none is issued."""
        return self.after.size.total if self.after.size is not None else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestImpact:
    """The impact of a change of resource servers on requests, as clients make them.

    Attributes:
        changes: the requests that change, by cause, the worst first.
        clients: the ids and names of the sampled clients.
        refresh_tokens: the number of sampled live refresh tokens.
        has_all_refresh_tokens: whether there are no more of them.
        names: the names of all resource servers by identifier; those with an ambiguous name are named by identifier.
    """

    changes: tuple[RequestChange, ...]
    clients: Mapping[str, str]
    refresh_tokens: int
    has_all_refresh_tokens: bool
    names: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangeImpact:
    """The impact of a change on a sample of tokens.

    Attributes:
        requests: the impact on requests; ``None`` if no resource server changes.
        tokens: the sampled tokens that change.
        sampled: the number of sampled tokens.
        possible: the number of tokens that the sampled users could have at the sampled clients for the site's APIs.
        never_issued: the reasons why sampled tokens are refused both before and after the change, each with its count.
        clients_concerned: the number of clients whose tokens may change, sampled or not.
        clients: the number of clients of the site.
        newly_personal: the claims that may send personal data after the change and did not before.
    """

    requests: RequestImpact | None
    tokens: tuple[TokenDiff, ...]
    sampled: int
    possible: int
    never_issued: tuple[tuple[str, int], ...]
    clients_concerned: int
    clients: int
    newly_personal: tuple[str, ...]

    @property
    def claim_names(self) -> tuple[str, ...]:
        """The names of the claims that change in at least one sampled token."""
        return tuple(sorted({claim.name for token in self.tokens for claim in token.claims}))

    @property
    def refused(self) -> tuple[TokenDiff, ...]:
        """The tokens that are issued before the change and refused after it."""
        return tuple(each for each in self.tokens if each.after.refusal is not None and each.before.refusal is None)

    @property
    def largest_difference(self) -> int:
        """The largest growth or shrinkage of a token in bytes, negative if it shrinks. New tokens do not count."""
        return max((each.bytes for each in self.tokens if each.size_before and each.size_after), key=abs, default=0)


def change_impact(before: ClaimConfiguration, after: ClaimConfiguration, *, now: float) -> ChangeImpact:
    """Compare a sample of tokens before and after a change. Nothing is written.

    Args:
        before: the configuration before the change.
        after: the configuration after the change.
        now: seconds since the epoch.
    """
    pairs = list(before.changed_rules(after))
    conditions = [rule.conditions for pair in pairs for rule in pair if rule is not None and rule.enabled]
    changed = before.changed_servers(after)
    sides = before, after
    servers = _servers(sides, changed, named={name for each in conditions for name in each.resource_servers})
    changed_servers = [server for server in servers if server.identifier in changed]
    named = {client_id for server in changed_servers for client_id in server.client_ids or ()}
    sample = sample_tokens(conditions, servers, named_clients=named)
    diffs = [_diff_token(token, sides, now) for token in sample.tokens]
    changed_tokens = [diff for diff in diffs if diff.is_changed]
    affected = [server for server in servers if server in changed_servers or _has_other_scopes(server, sides)]
    concerned, clients = clients_concerned(conditions, affected)
    return ChangeImpact(
        requests=_request_impact(sides, changed) if changed else None,
        tokens=tuple(changed_tokens),
        sampled=len(sample.tokens),
        possible=sample.possible,
        never_issued=tuple(sorted(_reasons_never_issued(diffs).items())),
        clients_concerned=concerned,
        clients=clients,
        newly_personal=tuple(sorted(_newly_personal(pairs, sides, changed_tokens))),
    )


def _request_impact(sides: _Sides, changed: frozenset[str]) -> RequestImpact:
    before, after = (side.resource_servers for side in sides)
    sample = sample_requests(before, after, changed=changed)
    requests = (*sample.first, *sample.refreshes.requests)
    return RequestImpact(
        changes=changed_requests(
            before,
            after,
            requests,
            lifetime=access_token_lifetime(),
            removed_scopes=removed_scopes(before, after),
        ),
        clients=sample.clients,
        refresh_tokens=sample.refreshes.number,
        has_all_refresh_tokens=sample.refreshes.is_complete,
        names=_names((*before, *after)),
    )


def _names(servers: Iterable[ResourceServerConfig]) -> dict[str, str]:
    identifiers: dict[str, set[str]] = {}
    for server in servers:
        identifiers.setdefault(str(server), set()).add(server.identifier)
    return {
        identifier: name if len(same) == 1 else identifier for name, same in identifiers.items() for identifier in same
    }


def _reasons_never_issued(diffs: Iterable[TokenDiff]) -> Counter[str]:
    return Counter(
        diff.after.refusal.reason
        for diff in diffs
        if diff.before.refusal is not None and diff.after.refusal is not None
    )


def _servers(sides: _Sides, changed: frozenset[str], *, named: Collection[str]) -> list[ResourceServerConfig]:
    """Return the APIs of both sides, changed and named ones first, each open to the clients of both versions."""
    by_identifier: dict[str, ResourceServerConfig] = {}
    for side in sides:
        for server in side.resource_servers:
            known = by_identifier.get(server.identifier)
            by_identifier[server.identifier] = server if known is None else _open_to_both(known, server)
    first = changed.union(named)
    return sorted(by_identifier.values(), key=lambda server: (server.identifier not in first, server.identifier))


def _open_to_both(one: ResourceServerConfig, other: ResourceServerConfig) -> ResourceServerConfig:
    versions = [each for each in (one, other) if each.enabled]
    named: set[str] = set().union(*(each.client_ids or () for each in versions))
    return replace(
        other,
        enabled=bool(versions),
        client_ids=None if any(each.client_ids is None for each in versions) else frozenset(named),
        registered_clients=any(each.registered_clients for each in versions),
    )


def _has_other_scopes(server: ResourceServerConfig, sides: _Sides) -> bool:
    """Return whether an API that declares no scopes gains or loses one, because of the scopes of other APIs."""
    if server.scopes is not None:
        return False
    before, after = (side.resource_servers for side in sides)
    declared = {scope for each in (*before, *after) for scope in each.scopes or ()}
    return any(before.has_meaning(scope, server) != after.has_meaning(scope, server) for scope in declared)


def _diff_token(token: SampledToken, sides: _Sides, now: float) -> TokenDiff:
    request = TokenRequest(client=token.client, user=token.user, grant=token.grant, now=now)
    before, after = (
        preview_access_token(
            request,
            scopes=token.scopes,
            resources=(token.server.identifier,),
            mappers=side.mappers,
            resource_servers=side.resource_servers,
        )
        for side in sides
    )
    return TokenDiff(token=token, before=before, after=after, claims=tuple(_diff_claims(before, after)))


def _diff_claims(before: Preview, after: Preview) -> Iterator[ClaimDiff]:
    if before.refusal is None and after.refusal is not None:
        return  # It loses all claims.
    refused = before.refusal is not None or after.refusal is not None
    # If one side is refused, compare mapped claims only: every protocol claim would differ.
    old_claims, new_claims = (
        {claim.name: claim for claim in each.claim_origins if claim.mappers or not refused} for each in (before, after)
    )
    for name in dict.fromkeys((*old_claims, *new_claims)):
        old, new = old_claims.get(name), new_claims.get(name)
        if old is None or new is None or (_as_json(old) != _as_json(new) and not new.is_example):
            yield ClaimDiff(name=name, before=old, after=new)


def _newly_personal(
    pairs: list[tuple[MapperRule | None, MapperRule | None]], sides: _Sides, diffs: list[TokenDiff]
) -> set[str]:
    """Return newly personal claims of the sample, and of rules that now apply to tokens outside the sample."""
    names = {claim.name for diff in diffs for claim in diff.claims if claim.is_newly_personal}
    before, after = (personal_keys(side.mappers) for side in sides)
    for old, new in pairs:
        if new is None or not new.enabled or new.key not in after:
            continue
        is_known = old is not None and old.enabled and old.key in before and old.claim == new.claim
        if not is_known or old is None or not _is_as_narrow(new.conditions, old.conditions):
            names.add(new.claim)
    return names


def _is_as_narrow(new: Conditions, old: Conditions) -> bool:
    """Return whether every token that meets the new conditions also met the old ones."""
    if old.tokens_for not in {None, new.tokens_for}:
        return False
    if old.scopes and old.scopes_match is Match.ALL:
        all_needed = new.scopes_match is Match.ALL or len(new.scopes) == 1
        if not (all_needed and set(old.scopes) <= set(new.scopes)):
            return False
    elif not _is_subset(new.scopes, old.scopes):
        return False
    return all(
        _is_subset(getattr(new, name), getattr(old, name))
        for name in ("clients", "resource_servers", "grants", "groups")
    )


def _is_subset(new: tuple[Any, ...], old: tuple[Any, ...]) -> bool:
    return not old or (bool(new) and set(new) <= set(old))
