"""Random histories of signing keys, replayed on the lifecycle's pure functions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from django_at_jwt.core.errors import KeyChangeRefused
from django_at_jwt.core.key_lifecycle import (
    PUBLISHED_STATES,
    KeyState,
    KeyTimes,
    RotationPlan,
    RotationPolicy,
    plan_revocation,
    plan_rotation,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

START = datetime(2030, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MOST_BACKWARDS = timedelta(minutes=5)
ALGORITHMS = ("RS256", "ES256", "EdDSA")
USABLE = (KeyState.ANNOUNCED, KeyState.SIGNING)


def days(number: float) -> timedelta:
    return timedelta(days=number)


POLICY = RotationPolicy(rotation_interval=days(90), propagation_time=days(7), retention=timedelta(hours=2))


@dataclass
class Keys:
    """The keys of an issuer, as its database would hold them."""

    by_kid: dict[str, KeyTimes] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)

    def __iter__(self) -> Iterator[KeyTimes]:
        return iter(self.by_kid.values())

    def plan(
        self,
        now: datetime,
        *,
        policy: RotationPolicy = POLICY,
        algorithms: Sequence[str] = ("RS256",),
        early: Collection[str] = (),
    ) -> RotationPlan:
        return plan_rotation(list(self), policy=policy, algorithms=algorithms, now=now, early=early)

    def apply(self, plan: RotationPlan) -> list[KeyTimes]:
        """Apply a plan and return the new keys."""
        for key in plan.changed:
            assert key.kid in self.by_kid
            self.by_kid[key.kid] = key
        # A kid is a hash, so the kids of one plan are not ordered.
        made = [
            KeyTimes(
                kid=f"{number * 7919 % 1000:03} {new.algorithm} {number}",
                algorithm=new.algorithm,
                announced_at=new.announced_at,
                signing_at=new.signing_at,
                retained_at=new.retained_at,
                retired_at=new.retired_at,
            )
            for new, number in zip(plan.new, self.numbers, strict=False)
        ]
        self.by_kid |= {key.kid: key for key in made}
        return made

    def rotate(self, now: datetime, **options) -> RotationPlan:
        plan = self.plan(now, **options)
        self.apply(plan)
        return plan

    def in_state(self, state: KeyState, now: datetime, algorithm: str = "RS256") -> list[KeyTimes]:
        found = (key for key in self if key.algorithm == algorithm and key.state_at(now) is state)
        return sorted(found, key=lambda key: key.signing_at)

    def only(self, state: KeyState, now: datetime, algorithm: str = "RS256") -> KeyTimes:
        [key] = self.in_state(state, now, algorithm)
        return key

    def revoke(
        self,
        kid: str,
        now: datetime,
        *,
        policy: RotationPolicy = POLICY,
        algorithms: Sequence[str] = ("RS256",),
        leeway: timedelta = timedelta(0),
    ) -> tuple[KeyTimes, ...]:
        """Revoke a key and return the changed keys; a rotation must follow."""
        changed = plan_revocation(list(self), kid, policy=policy, algorithms=algorithms, now=now, leeway=leeway)
        self.by_kid |= {key.kid: key for key in changed}
        return changed

    def instants(self, now: datetime) -> list[datetime]:
        """Return the interesting instants: around each change of a state, also for slow clocks."""
        changes = {now, *(at for key in self for at in key.transitions_after(now - MOST_BACKWARDS))}
        near = {at + step for at in changes for step in (-SECOND, timedelta(0), SECOND)}
        return sorted(near | {now - MOST_BACKWARDS, max(near) + days(1000)})


# Steps of a history


@dataclass(frozen=True)
class Wait:
    duration: timedelta


@dataclass(frozen=True)
class ClockStepsBack:
    duration: timedelta


@dataclass(frozen=True)
class Rotate:
    early: frozenset[str] = frozenset()


@dataclass(frozen=True)
class SetPolicy:
    policy: RotationPolicy


@dataclass(frozen=True)
class SetAlgorithms:
    algorithms: tuple[str, ...]


@dataclass(frozen=True)
class Revoke:
    """Revoke the key at an index (modulo the number of keys); a rotation follows, as in the command."""

    place: int


DURATIONS = st.sampled_from(
    [
        SECOND,
        timedelta(minutes=10),
        timedelta(hours=2),
        timedelta(hours=6),
        days(1),
        days(7),
        days(30),
        days(90),
        days(97),
    ]
)
POLICIES = st.builds(
    RotationPolicy,
    rotation_interval=st.sampled_from([timedelta(hours=6), days(1), days(30), days(90)]),
    propagation_time=st.sampled_from([timedelta(minutes=10), timedelta(hours=6), days(7)]),
    retention=st.sampled_from([timedelta(minutes=10), timedelta(hours=2), days(1), days(30)]),
    notice=st.sampled_from([timedelta(0), timedelta(seconds=30)]),
)
NOTHING = st.just(None)
TIME = st.one_of(
    st.builds(Wait, DURATIONS | st.integers(1, 200 * 86400).map(lambda seconds: timedelta(seconds=seconds))),
    st.builds(ClockStepsBack, st.integers(1, 300).map(lambda seconds: timedelta(seconds=seconds))),
)
EVENTS = st.one_of(
    st.builds(SetPolicy, POLICIES),
    st.builds(SetAlgorithms, st.lists(st.sampled_from(ALGORITHMS), min_size=1, unique=True).map(tuple)),
    st.builds(Revoke, st.integers(0, 20)),
)
ROTATIONS = st.builds(Rotate, st.just(frozenset()) | st.frozensets(st.sampled_from(ALGORITHMS), min_size=1))
# Time passes, something changes, and a rotation may follow.
HISTORIES = st.lists(st.tuples(NOTHING | TIME, NOTHING | EVENTS, NOTHING | ROTATIONS), max_size=12).map(
    lambda chapters: [step for chapter in chapters for step in chapter if step is not None]
)


@dataclass
class Moment:
    """The state before and after a step."""

    step: object
    now: datetime
    policy: RotationPolicy
    algorithms: tuple[str, ...]
    keys: Keys
    before: dict[str, KeyTimes]
    plan: RotationPlan | None = None
    made: list[KeyTimes] = field(default_factory=list)
    revoked: str | None = None
    promoted: str | None = None
    refused: str | None = None
    was: datetime = START

    def rotate(self, early: Collection[str] = ()) -> None:
        self.plan = self.keys.plan(self.now, policy=self.policy, algorithms=self.algorithms, early=early)
        self.made = self.keys.apply(self.plan)

    def revoke(self, kid: str) -> None:
        try:
            _, *successor = self.keys.revoke(
                kid, self.now, policy=self.policy, algorithms=self.algorithms, leeway=MOST_BACKWARDS
            )
        except KeyChangeRefused:
            self.refused = kid
            return
        self.revoked = kid
        self.promoted = next((key.kid for key in successor), None)
        self.rotate()

    @property
    def early(self) -> frozenset[str]:
        return self.step.early if isinstance(self.step, Rotate) else frozenset()

    @property
    def instants(self) -> list[datetime]:
        """Return the instants at which this step may have changed something."""
        unchanged = self.before == self.keys.by_kid and not isinstance(self.step, ClockStepsBack)
        return [self.now] if unchanged else self.keys.instants(self.now)


def replay(history: Iterable[object]) -> Iterator[Moment]:
    """Yield a moment for each step of a history, beginning with the first rotation."""
    now, policy, algorithms, keys = START, POLICY, ("RS256",), Keys()
    furthest = now
    for step in (Rotate(), *history):
        moment = Moment(step, now, policy, algorithms, keys, dict(keys.by_kid), was=now)
        match step:
            case Wait(duration):
                moment.now = now = now + duration
                furthest = max(furthest, now)
            case ClockStepsBack(duration):
                # A clock is never further behind, however often it steps back.
                moment.now = now = max(now - duration, furthest - MOST_BACKWARDS)
            case SetPolicy(new_policy):
                moment.policy = policy = new_policy
            case SetAlgorithms(new_algorithms):
                moment.algorithms = algorithms = new_algorithms
            case Revoke(place):
                moment.revoke(sorted(keys.by_kid)[place % len(keys.by_kid)])
            case Rotate(early):
                # Avoid two keys that begin at the same instant: their order is undefined, and real clocks are finer.
                moment.rotate(early - {key.algorithm for key in keys if key.signing_at == now})
        yield moment


def is_usable(key: KeyTimes, now: datetime) -> bool:
    """Return whether a key signs or will sign. One that was withdrawn before it began never does."""
    return key.state_at(now) in USABLE and (key.retained_at is None or key.retained_at > key.signing_at)


@dataclass
class Promises:
    """Since when each algorithm must have a signing key: from its first key until it is withdrawn."""

    since: dict[str, datetime] = field(default_factory=dict)

    def follow(self, moment: Moment) -> None:
        if moment.plan is None:
            return
        now = moment.now
        signing = {key.algorithm for key in moment.keys if key.state_at(now) is KeyState.SIGNING}
        for algorithm in ALGORITHMS:
            starts = [key.signing_at for key in moment.keys if key.algorithm == algorithm and is_usable(key, now)]
            in_use = algorithm in moment.algorithms
            if not starts or (not in_use and signing.issuperset(moment.algorithms)):
                self.since.pop(algorithm, None)
            elif in_use:
                self.since.setdefault(algorithm, min(starts))
            if moment.revoked and algorithm in self.since:
                # A revocation is not known in advance: clocks that are behind have no signing key until then.
                self.since[algorithm] = max(self.since[algorithm], min(starts))


def nothing_published(keys: Iterable[KeyTimes], now: datetime) -> bool:
    return not any(key.state_at(now) in PUBLISHED_STATES for key in keys)
