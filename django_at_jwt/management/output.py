"""Output of the signing key commands, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.key_lifecycle import KeyState, is_usable
from django_at_jwt.core.quotation import format_end, format_instant, iso

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django_at_jwt.core.key_lifecycle import KeyTimes, NewKey, RotationPlan

_INSTANTS: Final = ("announced_at", "signing_at", "retained_at", "retired_at")


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number and a noun in the singular or plural, by default with a plural s."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def plan_lines(plan: RotationPlan, *, dry_run: bool) -> list[str]:
    """Return what a plan did or would do, one line per key."""
    created, changed = ("Would create", "Would change") if dry_run else ("Created", "Changed")
    return [
        *(f"{created} a key for {new.algorithm} that signs from {format_instant(new.signing_at)}." for new in plan.new),
        *_size_lines(plan),
        *(
            f"{changed} {times.kid}: it signs until {format_end(times.retained_at)} and is published until "
            f"{format_end(times.retired_at)}."
            for times in plan.changed
            if times.retained_at is not None
        ),
    ]


def _size_lines(plan: RotationPlan) -> list[str]:
    """Return a warning about the size of tokens for each new key of a post-quantum algorithm."""
    sizes = {new.algorithm: ALGORITHMS[new.algorithm].large_token_bytes for new in plan.new}
    return [
        f"Tokens signed with {algorithm} are about {size} bytes long; many servers reject headers over 8 KiB in total."
        for algorithm, size in sizes.items()
        if size is not None
    ]


def schedule_lines(keys: Iterable[KeyTimes], now: datetime) -> list[str]:
    """Return which keys sign until when, and which are announced and sign from when."""
    return [_schedule_line(key.state_at(now), key) for key in keys if is_usable(key, now)]


def _schedule_line(state: KeyState, key: KeyTimes) -> str:
    if state is KeyState.SIGNING:
        until = f" until {format_end(key.retained_at)}" if key.retained_at else ""
        return f"{key.algorithm}: {key.kid} signs{until}."
    return f"{key.algorithm}: {key.kid} is announced and signs from {format_instant(key.signing_at)}."


def plan_as_json(plan: RotationPlan) -> dict[str, Any]:
    """Return a plan as JSON: the algorithm and instants of new keys, and the kid as well of changed ones."""
    return {
        "new": [{"algorithm": new.algorithm, **_instants(new)} for new in plan.new],
        "changed": [{"kid": key.kid, "algorithm": key.algorithm, **_instants(key)} for key in plan.changed],
    }


def _instants(key: KeyTimes | NewKey) -> dict[str, str | None]:
    return {name: iso(getattr(key, name)) for name in _INSTANTS}
