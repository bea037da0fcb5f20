"""What a change of claim mappers or resource servers does: the claims of some tokens before and after it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django_at_jwt.core.claims import Conditions, Match
from django_at_jwt.core.profile import encode_json

from .preview import PreviewRequest, personal_keys, preview_access_token
from .sampling import SampledToken, clients_concerned, sample_tokens

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from django_at_jwt.core.claims import CompiledMappers, MapperRule
    from django_at_jwt.core.resource_servers import ResourceServerConfig, ResourceServers

    from .configuration import ClaimConfiguration
    from .preview import Preview, PreviewedClaim


def _as_json(claim: PreviewedClaim | None) -> str:
    return "" if claim is None else encode_json(claim.value).decode()


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimDiff:
    """A claim that is another one afterwards; ``None`` where it is not there."""

    name: str
    before: PreviewedClaim | None
    after: PreviewedClaim | None

    @property
    def kind(self) -> str:
        """What happens to it: ``added``, ``removed`` or ``changed``."""
        if self.before is None:
            return "added"
        return "removed" if self.after is None else "changed"

    @property
    def before_as_json(self) -> str:
        """The value before the change."""
        return _as_json(self.before)

    @property
    def after_as_json(self) -> str:
        """The value after the change."""
        return _as_json(self.after)

    @property
    def is_personal(self) -> bool:
        """Whether it tells something about a person, before or afterwards."""
        return any(each.is_personal for each in (self.before, self.after) if each is not None)

    @property
    def is_newly_personal(self) -> bool:
        """Whether it tells something about a person, and did not before."""
        return (
            self.after is not None and self.after.is_personal and (self.before is None or not self.before.is_personal)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenDiff:
    """One token of the sample, as it is and as it is afterwards."""

    token: SampledToken
    before: Preview
    after: Preview
    claims: tuple[ClaimDiff, ...]

    @property
    def is_other(self) -> bool:
        """Whether the change makes any difference to it."""
        return bool(self.claims) or self.before.refusal != self.after.refusal

    @property
    def bytes(self) -> int:
        """How many bytes longer the token becomes; negative if it becomes shorter."""
        return self.size_after - self.size_before

    @property
    def size_before(self) -> int:
        """The length of the token before the change; 0 where there is none."""
        return self.before.size.total if self.before.size is not None else 0

    @property
    def size_after(self) -> int:
        """The length of the token after the change; 0 where there is none."""
        return self.after.size.total if self.after.size is not None else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangeImpact:
    """What a change does.

    Attributes:
        tokens: those of the sample that are other ones afterwards.
        sampled: how many tokens were looked at.
        possible: how many there are of the same users, clients and APIs.
        never_issued: why tokens of the sample are issued neither now nor afterwards, with how many they are.
        clients_concerned: how many clients' tokens it can be about; not only those of the sample.
        clients: how many clients there are.
        newly_personal: the claims by which personal data may be sent that was not sent before.
    """

    tokens: tuple[TokenDiff, ...]
    sampled: int
    possible: int
    never_issued: tuple[tuple[str, int], ...]
    clients_concerned: int
    clients: int
    newly_personal: tuple[str, ...]

    @property
    def claim_names(self) -> tuple[str, ...]:
        """The claims that change in any token of the sample."""
        return tuple(sorted({claim.name for token in self.tokens for claim in token.claims}))

    @property
    def refused(self) -> tuple[TokenDiff, ...]:
        """The tokens that there would be no longer."""
        return tuple(each for each in self.tokens if each.after.refusal is not None and each.before.refusal is None)

    @property
    def most_bytes(self) -> int:
        """How many bytes the token grows by that grows most; negative where all become shorter."""
        return max((each.bytes for each in self.tokens), default=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Side:
    mappers: CompiledMappers
    resource_servers: ResourceServers

    @classmethod
    def of(cls, arrangement: ClaimConfiguration) -> _Side:
        return cls(mappers=arrangement.mappers, resource_servers=arrangement.resource_servers)

    def preview(self, token: SampledToken, now: float) -> Preview:
        return preview_access_token(
            PreviewRequest(
                client=token.client,
                user=token.user,
                grant=token.grant,
                scopes=token.scopes,
                resources=(token.server.identifier,),
                now=now,
                mappers=self.mappers,
                resource_servers=self.resource_servers,
            )
        )


def change_impact(before: ClaimConfiguration, after: ClaimConfiguration, *, now: float) -> ChangeImpact:
    """Compare the tokens of a sample before and after a change. Nothing is written.

    ``now`` is in seconds since the epoch.
    """
    pairs = list(before.rules_unlike(after))
    conditions = [rule.conditions for pair in pairs for rule in pair if rule is not None and rule.enabled]
    changed = before.servers_unlike(after)
    sides = _Side.of(before), _Side.of(after)
    servers = _servers(sides, changed, named={name for each in conditions for name in each.resource_servers})
    changed_servers = [server for server in servers if server.identifier in changed]
    named = {client_id for server in changed_servers for client_id in server.client_ids or ()}
    sample = sample_tokens(conditions, servers, named_clients=named)
    compared = [_effect(token, sides, now) for token in sample.tokens]
    unlike = [effect for effect in compared if effect.is_other]
    concerned, clients = clients_concerned(conditions, changed_servers)
    return ChangeImpact(
        tokens=tuple(unlike),
        sampled=len(sample.tokens),
        possible=sample.possible,
        never_issued=tuple(sorted(_why_never_issued(compared).items())),
        clients_concerned=concerned,
        clients=clients,
        newly_personal=tuple(sorted(_newly_personal(pairs, sides, unlike))),
    )


def _why_never_issued(compared: Iterable[TokenDiff]) -> Counter[str]:
    return Counter(
        each.after.refusal.reason
        for each in compared
        if each.before.refusal is not None and each.after.refusal is not None
    )


def _servers(
    sides: tuple[_Side, _Side], changed: frozenset[str], *, named: Collection[str]
) -> list[ResourceServerConfig]:
    """All APIs of both sides as they are where more clients may ask for them; first those that it is about."""
    by_identifier: dict[str, ResourceServerConfig] = {}
    for side in sides:
        for server in side.resource_servers:
            known = by_identifier.get(server.identifier)
            if known is None or not known.enabled or known.client_ids is not None:
                by_identifier[server.identifier] = server
    first = changed.union(named)
    return sorted(by_identifier.values(), key=lambda server: (server.identifier not in first, server.identifier))


def _effect(token: SampledToken, sides: tuple[_Side, _Side], now: float) -> TokenDiff:
    before, after = (side.preview(token, now) for side in sides)
    return TokenDiff(token=token, before=before, after=after, claims=tuple(_claims_unlike(before, after)))


def _claims_unlike(before: Preview, after: Preview) -> Iterator[ClaimDiff]:
    refused = before.refusal is not None or after.refusal is not None
    # Where there is a token on one side alone, the claims of the protocol say nothing.
    here, there = (
        {claim.name: claim for claim in each.claim_origins if claim.mappers or not refused} for each in (before, after)
    )
    for name in dict.fromkeys((*here, *there)):
        one, other = here.get(name), there.get(name)
        if one is None or other is None or (_differ(one, other) and not other.is_example):
            yield ClaimDiff(name=name, before=one, after=other)


def _differ(one: PreviewedClaim, other: PreviewedClaim) -> bool:
    return _as_json(one) != _as_json(other)


def _newly_personal(
    pairs: list[tuple[MapperRule | None, MapperRule | None]], sides: tuple[_Side, _Side], effects: list[TokenDiff]
) -> set[str]:
    """The claims of the sample, and those of rules that are wider than they were, for whom the sample misses."""
    names = {claim.name for effect in effects for claim in effect.claims if claim.is_newly_personal}
    before, after = (personal_keys(side.mappers) for side in sides)
    for old, new in pairs:
        if new is None or not new.enabled or new.key not in after:
            continue
        is_known = old is not None and old.enabled and old.key in before and old.claim == new.claim
        if not is_known or old is None or not _is_as_narrow(new.conditions, old.conditions):
            names.add(new.claim)
    return names


def _is_as_narrow(new: Conditions, old: Conditions) -> bool:
    """Tell whether each token that meets the new conditions has met the old ones."""
    if old.tokens_for not in {None, new.tokens_for}:
        return False
    if old.scopes and old.scopes_match is Match.ALL:
        all_needed = new.scopes_match is Match.ALL or len(new.scopes) == 1
        if not (all_needed and set(old.scopes) <= set(new.scopes)):
            return False
    elif not _is_among(new.scopes, old.scopes):
        return False
    return all(
        _is_among(getattr(new, name), getattr(old, name))
        for name in ("clients", "resource_servers", "grants", "groups")
    )


def _is_among(new: tuple[Any, ...], old: tuple[Any, ...]) -> bool:
    return not old or (bool(new) and set(new) <= set(old))
