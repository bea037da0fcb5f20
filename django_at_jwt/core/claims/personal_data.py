"""Which claims contain personal data, decided by the rules and not by the values."""

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
    """Return the protocol claims that identify a user or describe their login.

    A pairwise ``sub`` does not identify the user to others, and a client that acts for itself is not a person.
    """
    if is_machine:
        return frozenset()
    return _OF_A_LOGIN if is_pairwise else _OF_A_LOGIN | {"sub"}


def personal_mappers(
    rules: Iterable[MapperRule], *, protocol: Collection[str], is_personal_source: Callable[[str], bool]
) -> frozenset[str]:
    """Return the keys of the mappers whose claims contain personal data.

    That is data of the user (also as part of a template), of a registered source declared as personal, of another
    personal claim, or data that depends on the user's groups. Transforms do not change that: a hash still
    distinguishes users.

    Args:
        rules: in the order of application.
        protocol: from :func:`personal_protocol_claims`.
        is_personal_source: returns whether a registered source, given by name, is personal.
    """
    keys: set[str] = set()
    personal: list[ClaimPath] = [(claim,) for claim in protocol]
    for rule in rules:
        try:
            parts, path = parts_of(rule.source), parse_claim_name(rule.claim)
        except UnusableRule:
            continue  # An invalid rule sets no claim.
        if rule.conditions.groups or any(_is_personal(part, personal, is_personal_source) for part in parts):
            keys.add(rule.key)
            personal.append(path)
    return frozenset(keys)


def _is_personal(source: Source, personal: Collection[ClaimPath], is_personal_source: Callable[[str], bool]) -> bool:
    match source:
        case UserField() | Groups() | Permissions():
            return True
        case RegisteredSource(name=name):
            return is_personal_source(name)
        case ExistingClaim(claim=claim):
            path = parse_claim_name(claim, where="source")
            # A claim is personal if a parent or a part of it is.
            return any(path[: len(other)] == other[: len(path)] for other in personal)
    return False
