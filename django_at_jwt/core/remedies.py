"""What would have let a refused token in: the logic of permissions, solved for the scopes that are missing.

Permissions combine to any expression of "and", "or" and "not". A client that is refused must be told the scopes that it
needs (RFC 6750 §3.1), and it must be able to rely on that. So an expression is solved here for its *remedies*: each is
a set of scopes with which, and with no others, a token fulfils it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING, Final

from .bearer import INSUFFICIENT_SCOPE, INSUFFICIENT_USER_AUTHENTICATION, Challenge

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from collections.abc import Set as AbstractSet

# An expression has at the worst as many remedies as there are sets of scopes. A client has no use for so many.
_MOST_REMEDIES: Final = 64
_MOST_TOLD: Final = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class StepUp:
    """How the user must have logged in (RFC 9470 §3).

    Attributes:
        acr_values: one of these must be the token's ``acr``, the preferred first; empty where each will do.
        max_age: seconds for which a login counts, or ``None`` for ever.
    """

    acr_values: tuple[str, ...] = ()
    max_age: int | None = None

    def combined(self, other: StepUp) -> StepUp | None:
        """Give what fulfils both, or ``None`` where nothing does."""
        shared = tuple(acr for acr in self.acr_values if acr in other.acr_values)
        if self.acr_values and other.acr_values and not shared:
            return None
        ages = [age for age in (self.max_age, other.max_age) if age is not None]
        return StepUp(acr_values=shared or self.acr_values or other.acr_values, max_age=min(ages, default=None))


@dataclass(frozen=True, kw_only=True, slots=True)
class Remedy:
    """One way to be let in: the scopes that a token must have, those that it must not have, and the login."""

    scopes: tuple[str, ...] = ()
    without: frozenset[str] = frozenset()
    step_up: StepUp | None = None

    def combined(self, other: Remedy) -> Remedy | None:
        """Give what fulfils both, or ``None`` where nothing does."""
        scopes = tuple(dict.fromkeys((*self.scopes, *other.scopes)))
        without = self.without | other.without
        if not without.isdisjoint(scopes):
            return None
        step_up = self.step_up or other.step_up
        if self.step_up and other.step_up:
            step_up = self.step_up.combined(other.step_up)
            if step_up is None:
                return None
        return Remedy(scopes=scopes, without=without, step_up=step_up)

    def covers(self, other: Remedy) -> bool:
        """Tell whether this asks for nothing that ``other`` does not ask for too."""
        return (
            set(self.scopes) <= set(other.scopes)
            and self.without <= other.without
            and self.step_up in {None, other.step_up}
        )


Remedies = tuple[Remedy, ...]
NOTHING_NEEDED: Final[Remedies] = (Remedy(),)
NO_REMEDY: Final[Remedies] = ()


def both(first: Remedies, second: Remedies) -> Remedies:
    """Solve "and"."""
    return _distinct(joined for one, other in product(first, second) if (joined := one.combined(other)))


def either(first: Remedies, second: Remedies) -> Remedies:
    """Solve "or"."""
    return _distinct((*first, *second))


def having(alternatives: Iterable[Iterable[str]]) -> Remedies:
    """Solve "has all scopes of one of these sets"."""
    return _distinct(Remedy(scopes=tuple(dict.fromkeys(scopes))) for scopes in alternatives)


def lacking(alternatives: Iterable[Iterable[str]]) -> Remedies:
    """Solve the opposite: of each set, one scope is not there."""
    remedies = NOTHING_NEEDED
    for scopes in alternatives:
        remedies = both(remedies, _distinct(Remedy(without=frozenset({scope})) for scope in scopes))
    return remedies


def _distinct(remedies: Iterable[Remedy]) -> Remedies:
    return tuple(islice(dict.fromkeys(remedies), _MOST_REMEDIES))


def helpful(remedies: Remedies, granted: AbstractSet[str]) -> Sequence[Remedy]:
    """Give the remedies that a client can make use of by asking for more, the one nearest to what it has first.

    There are none where the token fulfils one already. Left out are those that it has one scope too many for, and those
    that ask for all that another one does, and for more.
    """
    useful = [remedy for remedy in remedies if granted.isdisjoint(remedy.without)]
    if any(granted >= set(remedy.scopes) and not remedy.step_up for remedy in useful):
        return ()
    simplest = [
        remedy
        for place, remedy in enumerate(useful)
        if not any(
            other.covers(remedy) and (index < place or not remedy.covers(other))
            for index, other in enumerate(useful)
            if index != place
        )
    ]

    def distance(remedy: Remedy) -> tuple[int, int]:
        missing = len(set(remedy.scopes) - granted)
        return missing + (remedy.step_up is not None), missing - len(remedy.scopes)

    return sorted(simplest, key=distance)


def challenge_of(
    remedies: Remedies, granted: AbstractSet[str], *, resource_metadata: str | None = None
) -> Challenge | None:
    """Say what a refused token lacks (RFC 6750 §3.1, RFC 9470 §3), or ``None`` where no other token would help.

    ``scope`` is one set that is enough. Where there are several, all are in the description.
    """
    ways = helpful(remedies, granted)
    if not ways:
        return None
    nearest = ways[0]
    if nearest.step_up:
        return Challenge(
            error=INSUFFICIENT_USER_AUTHENTICATION,
            description=_STEP_UP_NEEDED,
            scopes=() if granted >= set(nearest.scopes) else nearest.scopes,
            acr_values=nearest.step_up.acr_values,
            max_age=nearest.step_up.max_age,
            resource_metadata=resource_metadata,
        )
    return Challenge(
        error=INSUFFICIENT_SCOPE,
        description=_told([way.scopes for way in ways if not way.step_up]),
        scopes=nearest.scopes,
        resource_metadata=resource_metadata,
    )


_STEP_UP_NEEDED: Final = "The user has to log in again, or in a stronger way."


def _told(alternatives: Sequence[Sequence[str]]) -> str | None:
    if len(alternatives) == 1:
        return None
    told = "; ".join(" ".join(scopes) for scopes in alternatives[:_MOST_TOLD])
    return f"One of these is enough: {told}{'; ...' if len(alternatives) > _MOST_TOLD else ''}"
