"""When a rotation is due and when it is late, and the next change of a key's state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .key_lifecycle import KeyState, is_usable, line_of, plan_rotation
from .quotation import Message, format_duration, format_instant, gettext_noop

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

    from .key_lifecycle import KeyTimes, RotationPolicy


@dataclass(frozen=True, kw_only=True, slots=True)
class NextRotation:
    """When the next rotation has something to do.

    Attributes:
        due_at: from when it is due; not after the given time if it is due already.
        late_at: from when the last key of an algorithm would have no successor that is announced for the propagation
            time, or ``None`` if no algorithm in use has a key.
        without_key: the algorithms in use that have no key.
    """

    due_at: datetime
    late_at: datetime | None
    without_key: tuple[str, ...]


def next_rotation(
    keys: Sequence[KeyTimes], *, policy: RotationPolicy, algorithms: Sequence[str], now: datetime
) -> NextRotation:
    """Return when the next rotation is due and late.

    Args:
        keys: all keys, including retired and revoked ones.
        algorithms: the algorithms in use.
        now: an aware datetime.
    """
    last_starts = {}
    for algorithm in algorithms:
        usable = [key.signing_at for key in line_of(keys, algorithm, now) if is_usable(key, now)]
        if usable:
            last_starts[algorithm] = max(usable)
    due_at = min((start - policy.lead_time for start in last_starts.values()), default=now)
    if plan_rotation(keys, policy=policy, algorithms=algorithms, now=now):
        due_at = min(due_at, now)
    return NextRotation(
        due_at=due_at,
        late_at=min((start - policy.propagation_time for start in last_starts.values()), default=None),
        without_key=tuple(algorithm for algorithm in algorithms if algorithm not in last_starts),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Transition:
    """The change of a key's state at an instant."""

    at: datetime
    kid: str
    algorithm: str
    state: KeyState


def next_transition(keys: Iterable[KeyTimes], now: datetime) -> Transition | None:
    """Return the next planned change of state, or ``None`` if none is planned.

    At a takeover two keys change; the one that starts to sign is returned.
    """
    changes = [
        Transition(at=at, kid=key.kid, algorithm=key.algorithm, state=key.state_at(at))
        for key in keys
        if key.revoked_at is None
        for at in key.transitions_after(now)
    ]
    return min(changes, key=lambda change: (change.at, change.state is not KeyState.SIGNING, change.kid), default=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class LastRun:
    """The last run of the rotation. ``problem`` is why it failed, or empty; ``succeeded_at`` is the last success."""

    at: datetime
    changed: bool
    problem: str
    succeeded_at: datetime | None


def run_failure(run: LastRun | None) -> Message | None:
    """Return why the last run failed, or ``None``."""
    if run is None or not run.problem:
        return None
    text = gettext_noop("The last run of rotate_signing_keys, at %(at)s, failed: %(problem)s")
    return Message(text, {"at": format_instant(run.at), "problem": run.problem})


def run_problem(run: LastRun | None, keys: Iterable[KeyTimes], *, max_age: timedelta, now: datetime) -> Message | None:
    """Return the problem if the rotation has not run for too long, or ``None``.

    Without a recorded run, keys announced within ``max_age`` count as one: the app was just installed or upgraded.

    Args:
        run: the last recorded run.
        keys: all keys.
        max_age: the longest time between two successful runs; 0 for any.
    """
    if not max_age:
        return None
    succeeded_at = run.succeeded_at if run else max((key.announced_at for key in keys), default=None)
    if succeeded_at is not None and now - succeeded_at <= max_age:
        return None
    parameters: dict[str, Any] = {"max_age": format_duration(max_age)}
    if run is None or succeeded_at is None:
        text = gettext_noop(
            "No successful run of rotate_signing_keys is recorded. It must run at least every %(max_age)s; schedule it."
        )
    else:
        text = gettext_noop(
            "rotate_signing_keys last succeeded at %(succeeded_at)s. It must run at least every %(max_age)s; check "
            "its schedule."
        )
        parameters["succeeded_at"] = format_instant(succeeded_at)
    return Message(text, parameters)
