"""Which claims tell something about a person: a rule on rules, whatever the values are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import UnusableRule
from .rules import ExistingClaim, Groups, Permissions, RegisteredSource, UserField, parse_claim_name
from .sources import parts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from .rules import ClaimPath, MapperRule, Source

_OF_A_LOGIN = frozenset({"auth_time", "acr", "amr"})


def personal_protocol_claims(*, is_machine: bool, is_pairwise: bool) -> frozenset[str]:
    """Give the claims of the protocol that tell who a person is, and how and when they logged in.

    A pairwise ``sub`` means nothing to anybody else, and a client that acts for itself is no person.
    """
    if is_machine:
        return frozenset()
    return _OF_A_LOGIN if is_pairwise else _OF_A_LOGIN | {"sub"}


def personal_mappers(
    rules: Iterable[MapperRule], *, protocol: Collection[str], is_personal_source: Callable[[str], bool]
) -> frozenset[str]:
    """Give the keys of the mappers whose claims tell something about a person.

    These are what comes from the user, in whole or in a place of a template, what a registered source gives that says
    so of itself, what repeats such a claim, and whatever depends on the user's groups. No transform changes that: a
    hash still tells one person from another.

    Args:
        rules: in the order of application.
        protocol: from :func:`personal_protocol_claims`.
        is_personal_source: tells it of a registered source, by its name.
    """
    keys: set[str] = set()
    told: list[ClaimPath] = [(claim,) for claim in protocol]
    for rule in rules:
        try:
            parts, path = parts_of(rule.source), parse_claim_name(rule.claim)
        except UnusableRule:
            continue  # It sets nothing.
        if rule.conditions.groups or any(_is_personal(part, told, is_personal_source) for part in parts):
            keys.add(rule.key)
            told.append(path)
    return frozenset(keys)


def _is_personal(source: Source, told: Collection[ClaimPath], is_personal_source: Callable[[str], bool]) -> bool:
    match source:
        case UserField() | Groups() | Permissions():
            return True
        case RegisteredSource(name=name):
            return is_personal_source(name)
        case ExistingClaim(claim=claim):
            path = parse_claim_name(claim, where="source")
            # An object is as personal as its members, and a member as the object that was mapped as a whole.
            return any(path[: len(other)] == other[: len(path)] for other in told)
    return False
