"""How commands say what changes for signing keys, as text and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.key_lifecycle import KeyState, is_usable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django_at_jwt.core.key_lifecycle import KeyTimes, NewKey, RotationPlan

_INSTANTS: Final = ("announced_at", "signing_at", "retained_at", "retired_at")


def said(instant: datetime | None) -> str:
    """Write an instant for people."""
    return instant.isoformat(sep=" ", timespec="seconds") if instant else "further notice"


def counted(number: int, noun: str) -> str:
    """Write a number and a noun that has a plural with s."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def iso(instant: datetime | None) -> str | None:
    """Write an instant for programs."""
    return instant.isoformat() if instant else None


def lines_about(plan: RotationPlan, *, dry_run: bool) -> list[str]:
    """Say what a plan did, or would do, one line for each key."""
    make, let = ("Would make", "Would let") if dry_run else ("Made", "Let")
    return [
        *(f"{make} a key for {new.algorithm} that signs from {said(new.signing_at)}." for new in plan.new),
        *_sizes(plan),
        *(
            f"{let} {times.kid} sign until {said(times.retained_at)} and be published until {said(times.retired_at)}."
            for times in plan.changed
            if times.retained_at is not None
        ),
    ]


def _sizes(plan: RotationPlan) -> list[str]:
    """Whoever gets keys of a post-quantum algorithm is told how long their tokens are."""
    sizes = {new.algorithm: ALGORITHMS[new.algorithm].large_token_bytes for new in plan.new}
    return [
        f"A token with {algorithm} has about {size} bytes; many servers refuse headers over 8 KiB in all."
        for algorithm, size in sizes.items()
        if size is not None
    ]


def lines_about_next(keys: Iterable[KeyTimes], now: datetime) -> list[str]:
    """Say which keys sign and which are announced, and until and from when."""
    return [_next_of(key.state_at(now), key) for key in keys if is_usable(key, now)]


def _next_of(state: KeyState, key: KeyTimes) -> str:
    if state is KeyState.SIGNING:
        until = f" until {said(key.retained_at)}" if key.retained_at else ""
        return f"{key.algorithm}: {key.kid} signs{until}."
    return f"{key.algorithm}: {key.kid} is announced and signs from {said(key.signing_at)}."


def as_json(plan: RotationPlan) -> dict[str, Any]:
    """Give a plan as JSON: for new keys their algorithm and instants, for changed ones their kid too."""
    return {
        "new": [{"algorithm": new.algorithm, **_instants(new)} for new in plan.new],
        "changed": [{"kid": key.kid, "algorithm": key.algorithm, **_instants(key)} for key in plan.changed],
    }


def _instants(key: KeyTimes | NewKey) -> dict[str, str | None]:
    return {name: iso(getattr(key, name)) for name in _INSTANTS}
