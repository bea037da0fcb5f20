"""The lifecycle of a signing key: pure functions of timestamps, a policy and the current time.

A key is announced (published so that resource servers fetch it before it is needed), then signs, is then retained
(still published, so that its tokens can be verified), and is finally retired. All instants are stored, so all workers
agree without communicating.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from .errors import KeyChangeRefused, NoSuccessor
from .quotation import Message, format_end, gettext_noop

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime


class KeyState(StrEnum):
    """The state of a key at an instant."""

    ANNOUNCED = "announced"
    SIGNING = "signing"
    RETAINED = "retained"
    RETIRED = "retired"
    REVOKED = "revoked"


PUBLISHED_STATES = frozenset({KeyState.ANNOUNCED, KeyState.SIGNING, KeyState.RETAINED})

# Rotations run once a day, and one run may be late or fail.
_TIME_BETWEEN_ROTATIONS = timedelta(days=2)


@dataclass(frozen=True, kw_only=True, slots=True)
class RotationPolicy:
    """How long a key spends in each state.

    Attributes:
        rotation_interval: how long a key signs.
        propagation_time: how long a key is announced before it signs, at least.
        retention: how long a key is published after it signed. It must be at least the longest lifetime of a token plus
            the leeway, so that no token outlives its key.
        notice: how long it takes until all processes know of a change to a known key. Changes take effect only after
            it, so that two keys never sign at once.
    """

    rotation_interval: timedelta
    propagation_time: timedelta
    retention: timedelta
    notice: timedelta = timedelta(0)

    @property
    def lead_time(self) -> timedelta:
        """How long before a key begins to sign its successor must be announced.

        If rotations run at least this often, one key is announced at every instant, takeovers included. The key
        announced at a takeover has then been announced for the propagation time, so it can sign at once if the new
        signing key is revoked. The lead time never exceeds the rotation interval: at most two keys are announced.
        """
        return min(self.rotation_interval, self.propagation_time + _TIME_BETWEEN_ROTATIONS)

    def problems(
        self, *, jwk_set_max_age: timedelta, key_ring_max_age: timedelta, longest_lifetime: timedelta, leeway: timedelta
    ) -> Iterable[Message]:
        """Yield a sentence with the numbers for each requirement that this policy violates.

        Args:
            jwk_set_max_age: how long clients may cache the JWK set.
            key_ring_max_age: how long a process of the issuer caches the keys.
            longest_lifetime: the longest lifetime of an access token.
        """
        numbers = {
            "propagation_time": self.propagation_time,
            "rotation_interval": self.rotation_interval,
            "retention": self.retention,
            "jwk_set_max_age": jwk_set_max_age,
            "key_ring_max_age": key_ring_max_age,
            "longest_lifetime": longest_lifetime,
            "leeway": leeway,
        }
        needed = jwk_set_max_age + key_ring_max_age + leeway
        if self.propagation_time < needed:
            text = gettext_noop(
                "The propagation time is %(propagation_time)s, shorter than %(needed)s: the JWK set may be cached for "
                "%(jwk_set_max_age)s, a process keeps its keys for %(key_ring_max_age)s, and clocks may differ by "
                "%(leeway)s. A new key would sign before every resource server has fetched it."
            )
            yield Message(text, numbers | {"needed": needed})
        if self.retention < longest_lifetime + leeway:
            text = gettext_noop(
                "The retention is %(retention)s, shorter than the longest lifetime of an access token, "
                "%(longest_lifetime)s, plus the leeway of %(leeway)s. Tokens would outlive the key that verifies them."
            )
            yield Message(text, numbers)
        if self.rotation_interval < self.propagation_time:
            text = gettext_noop(
                "The rotation interval is %(rotation_interval)s, shorter than the propagation time of "
                "%(propagation_time)s. The next key could not be announced for long enough."
            )
            yield Message(text, numbers)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyTimes:
    """The instants (aware datetimes) at which a key enters its states; ``None`` if not planned yet."""

    kid: str
    algorithm: str
    announced_at: datetime
    signing_at: datetime
    retained_at: datetime | None = None
    retired_at: datetime | None = None
    revoked_at: datetime | None = None

    def state_at(self, now: datetime) -> KeyState:
        """Return the state of the key at ``now``."""
        if self.revoked_at is not None:
            # Regardless of ``now``: a process whose clock is behind must not trust the key until it catches up.
            return KeyState.REVOKED
        if _reached(self.retired_at, now):
            return KeyState.RETIRED
        if _reached(self.retained_at, now):
            return KeyState.RETAINED
        if _reached(self.signing_at, now):
            return KeyState.SIGNING
        return KeyState.ANNOUNCED

    @property
    def never_signs(self) -> bool:
        """Whether the key was withdrawn before it could sign."""
        return self.retained_at is not None and self.retained_at <= self.signing_at

    def transitions_after(self, now: datetime) -> Iterable[datetime]:
        """Return the instants after ``now`` at which the state changes."""
        instants = (self.signing_at, self.retained_at, self.retired_at)
        return (instant for instant in instants if instant is not None and instant > now)


def _reached(instant: datetime | None, now: datetime) -> bool:
    return instant is not None and instant <= now


@dataclass(frozen=True, kw_only=True, slots=True)
class NewKey:
    """A key to create and announce now; it signs from ``signing_at``."""

    algorithm: str
    announced_at: datetime
    signing_at: datetime
    retained_at: datetime | None = None
    retired_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RotationPlan:
    """The changes of a rotation: keys to create, and keys whose times change. Falsy if nothing changes."""

    new: tuple[NewKey, ...] = ()
    changed: tuple[KeyTimes, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.new or self.changed)


def signer_at(
    keys: Iterable[KeyTimes], algorithm: str, now: datetime, *, leeway: timedelta = timedelta(0)
) -> KeyTimes | None:
    """Return the key of ``algorithm`` that signs at ``now``, or ``None``.

    Args:
        leeway: how far this process's clock may be behind. If no key signs yet, return the one that begins within the
            leeway: after the first rotation or a revocation, it signs already by the clock that planned it.
    """
    usable = [key for key in keys if key.algorithm == algorithm]
    signing = [key for key in usable if key.state_at(now) is KeyState.SIGNING]
    if signing:
        return max(signing, key=lambda key: (key.signing_at, key.kid))
    following = next_signer(usable, algorithm, now)
    return following if following is not None and following.signing_at <= now + leeway else None


def next_signer(keys: Iterable[KeyTimes], algorithm: str, now: datetime) -> KeyTimes | None:
    """Return the announced key of ``algorithm`` that signs next, or ``None``."""
    announced = (key for key in keys if key.algorithm == algorithm and key.state_at(now) is KeyState.ANNOUNCED)
    return min(
        (key for key in announced if not key.never_signs), key=lambda key: (key.signing_at, key.kid), default=None
    )


def plan_rotation(
    keys: Sequence[KeyTimes],
    *,
    policy: RotationPolicy,
    algorithms: Sequence[str],
    now: datetime,
    early: Collection[str] = (),
) -> RotationPlan:
    """Return the changes after which every algorithm has a signing key and an announced successor.

    If the announced key begins to sign within the policy's lead time, its successor is announced too.

    An algorithm that is no longer in use is rotated like the others until every algorithm in use has a signing key: it
    signs in their place, and its key could be revoked meanwhile. Then it is withdrawn.

    Planning is idempotent: applying the plan and planning again at the same instant gives an empty plan.

    Args:
        keys: all keys, including retired and revoked ones.
        algorithms: the algorithms in use, the default first.
        now: an aware datetime.
        early: algorithms whose announced key shall sign as soon as it has been announced for long enough.
    """
    # The first keys sign at once: no client can have a stale copy of a set that was never published.
    nothing_published = not any(key.state_at(now) in PUBLISHED_STATES for key in keys)
    after: list[KeyTimes | NewKey] = []
    for algorithm in dict.fromkeys(algorithms):
        line = line_of(keys, algorithm, now)
        if algorithm in early:
            line = _start_early(line, policy, now)
        after += _continued(line, algorithm, policy, now, sign_at_once=nothing_published)
    signing = {key.algorithm for key in after if _reached(key.signing_at, now) and not _reached(key.retained_at, now)}
    for algorithm in dict.fromkeys(key.algorithm for key in keys if key.algorithm not in algorithms):
        line = line_of(keys, algorithm, now)
        if signing.issuperset(algorithms) or not any(is_usable(key, now) for key in line):
            after += _linked([_withdrawn(key, policy, now) for key in line], policy, now)
        else:
            # It signs in place of an algorithm without a signing key yet, so it is rotated like the others.
            after += _continued(line, algorithm, policy, now)
    before = {key.kid: key for key in keys}
    changed = (key for key in after if isinstance(key, KeyTimes) and key != before[key.kid])
    return RotationPlan(new=tuple(key for key in after if isinstance(key, NewKey)), changed=tuple(changed))


def line_of(keys: Iterable[KeyTimes], algorithm: str, now: datetime) -> list[KeyTimes]:
    """Return the keys of one algorithm that are published at ``now``, in the order in which they sign."""
    living = (key for key in keys if key.algorithm == algorithm and key.state_at(now) in PUBLISHED_STATES)
    return sorted(living, key=lambda key: (key.signing_at, key.kid))


def is_usable(key: KeyTimes, now: datetime) -> bool:
    """Return whether a key signs at ``now`` or is announced."""
    return key.state_at(now) in {KeyState.ANNOUNCED, KeyState.SIGNING} and not key.never_signs


def _continued(
    line: Sequence[KeyTimes], algorithm: str, policy: RotationPolicy, now: datetime, *, sign_at_once: bool = False
) -> list[KeyTimes | NewKey]:
    """Return the keys of an algorithm in use plus those that it lacks, each signing until its successor does."""
    return _linked([*line, *_missing(line, algorithm, policy, now, sign_at_once=sign_at_once)], policy, now)


def _missing(
    line: Sequence[KeyTimes], algorithm: str, policy: RotationPolicy, now: datetime, *, sign_at_once: bool
) -> list[NewKey]:
    """Return the keys to create so that one signs, the last begins after the lead time, and each has a successor."""
    signing = [key for key in line if key.state_at(now) is KeyState.SIGNING]
    announced = [key for key in line if key.state_at(now) is KeyState.ANNOUNCED and not key.never_signs]
    # Of several signing keys (after an early start, for instance) the last one signs.
    to_come = [*signing[-1:], *announced]
    starts = [key.signing_at for key in to_come]
    # The last key has an end if its successor was revoked: the end moves to the start of a new key.
    ends = bool(to_come) and to_come[-1].retained_at is not None
    added: list[NewKey] = []
    while len(starts) < _SIGNING_AND_ANNOUNCED or starts[-1] <= now + policy.lead_time or (ends and not added):
        if starts:
            starts.append(max(starts[-1] + policy.rotation_interval, now + policy.propagation_time))
        else:
            starts.append(now if sign_at_once else now + policy.propagation_time)
        added.append(NewKey(algorithm=algorithm, announced_at=now, signing_at=starts[-1]))
    return added


_SIGNING_AND_ANNOUNCED = 2


def _start_early(line: list[KeyTimes], policy: RotationPolicy, now: datetime) -> list[KeyTimes]:
    if any(key.signing_at == now for key in line):
        # The plan was just applied.
        return line
    for key in line:
        if key.state_at(now) is KeyState.ANNOUNCED and not key.never_signs:
            earliest = max(now + policy.notice, key.announced_at + policy.propagation_time)
            return [replace(key, signing_at=min(key.signing_at, earliest)) if other is key else other for other in line]
    return line


def _linked(line: Sequence[KeyTimes | NewKey], policy: RotationPolicy, now: datetime) -> list[KeyTimes | NewKey]:
    """Return the keys, each ending when the next starts and published until its tokens have expired."""
    existing = [key for key in line if isinstance(key, KeyTimes)]
    over = [key for key in existing if key.never_signs or key.state_at(now) is KeyState.RETAINED]
    to_come = [key for key in line if key not in over]
    linked: list[KeyTimes | NewKey] = [_ending(key, key.retained_at, policy) for key in over if key.retained_at]
    linked += [_ending(key, successor.signing_at, policy) for key, successor in pairwise(to_come)]
    return [*linked, *to_come[-1:]]


_KeyT = TypeVar("_KeyT", KeyTimes, NewKey, "KeyTimes | NewKey")


def _ending(key: _KeyT, ends: datetime, policy: RotationPolicy) -> _KeyT:
    """Return a key that stops signing at an instant.

    A longer retention that was planned before is kept if the policy got shorter: tokens of the key may live as long.
    """
    promised = timedelta(0)
    if key.retained_at is not None and key.retired_at is not None:
        promised = key.retired_at - key.retained_at
    return replace(key, retained_at=ends, retired_at=ends + max(policy.retention, promised))


def _withdrawn(key: KeyTimes, policy: RotationPolicy, now: datetime) -> KeyTimes:
    """Return a key of an algorithm that is no longer in use, which stops signing and expires."""
    if not is_usable(key, now):
        return key
    # A signing key stops after the notice, when all processes know of it. An announced key never signs.
    ends = now if key.state_at(now) is KeyState.ANNOUNCED else now + policy.notice
    return _ending(key, ends if key.retained_at is None else min(key.retained_at, ends), policy)


def plan_revocation(
    keys: Sequence[KeyTimes],
    kid: str,
    *,
    policy: RotationPolicy,
    algorithms: Collection[str],
    now: datetime,
    leeway: timedelta = timedelta(0),
) -> tuple[KeyTimes, ...]:
    """Return the keys that change when a key is revoked: the key, and the successor that takes its place.

    A rotation must follow; it announces the next key.

    Args:
        keys: all keys.
        algorithms: the algorithms in use.
        leeway: how far this process's clock may be behind, as for :func:`signer_at`.

    Raises:
        KeyChangeRefused: with a :class:`Message`: the key does not exist or is already revoked.
        NoSuccessor: with a :class:`Message`: it is the only usable key for its algorithm.
    """
    revoked = next((key for key in keys if key.kid == kid), None)
    if revoked is None:
        raise KeyChangeRefused(Message(gettext_noop("There is no signing key %(kid)s."), {"kid": kid}))
    if revoked.state_at(now) is KeyState.REVOKED:
        text = gettext_noop("Signing key %(kid)s has been revoked already, at %(revoked_at)s.")
        raise KeyChangeRefused(Message(text, {"kid": kid, "revoked_at": format_end(revoked.revoked_at)}))
    gone = replace(revoked, revoked_at=now)
    if not is_usable(revoked, now):
        return (gone,)
    others = [key for key in line_of(keys, revoked.algorithm, now) if key.kid != kid and is_usable(key, now)]
    if not others:
        elsewhere = {key.algorithm for key in keys} - {revoked.algorithm}
        if revoked.algorithm in algorithms or not any(signer_at(keys, name, now, leeway=leeway) for name in elsewhere):
            text = gettext_noop("Signing key %(kid)s is the only usable key for %(algorithm)s.")
            raise NoSuccessor(Message(text, {"kid": kid, "algorithm": revoked.algorithm}))
        return (gone,)
    successor = next((key for key in others if key.signing_at >= revoked.signing_at), None)
    if successor is None:
        # The rotation that follows creates a successor.
        return (gone,)
    signs = signer_at(keys, revoked.algorithm, now, leeway=leeway) == revoked
    starts = _start_of(successor, instead_of=revoked, signs=signs, policy=policy, now=now)
    return (gone, replace(successor, signing_at=starts)) if successor.signing_at > starts else (gone,)


def _start_of(
    successor: KeyTimes, *, instead_of: KeyTimes, signs: bool, policy: RotationPolicy, now: datetime
) -> datetime:
    if signs:
        # The successor was published ahead for this. If this clock is behind, the key may still look announced.
        return max(now, instead_of.signing_at)
    # Another key signs until then; its end is kept if the successor was announced early enough.
    return max(instead_of.signing_at, successor.announced_at + policy.propagation_time)
