"""What a revocation does to the other keys of the same algorithm: a pure function, as those of the lifecycle are."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from .errors import KeyChangeRefused
from .lifecycle import KeyState, KeyTimes, RotationPolicy, is_usable, line_of, signer_at

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime


def plan_revocation(
    keys: Sequence[KeyTimes],
    kid: str,
    *,
    policy: RotationPolicy,
    algorithms: Collection[str],
    now: datetime,
    leeway: timedelta = timedelta(0),
) -> tuple[KeyTimes, ...]:
    """Return what changes when a key is revoked: the key itself, and the next one, which takes its place.

    A rotation has to follow, which announces the next key.

    Args:
        keys: all keys there are.
        algorithms: those in use.
        leeway: how far this process' clock may be behind, as :func:`~django_at_jwt.core.lifecycle.signer_at` takes it.

    Raises:
        KeyChangeRefused: there is no such key, it is revoked already, or nothing could sign in its place.
    """
    revoked = next((key for key in keys if key.kid == kid), None)
    if revoked is None:
        raise KeyChangeRefused(f"There is no signing key {kid}.")
    if revoked.state_at(now) is KeyState.REVOKED:
        raise KeyChangeRefused(f"Signing key {kid} has been revoked already, at {revoked.revoked_at}.")
    gone = replace(revoked, revoked_at=now)
    if not is_usable(revoked, now):
        return (gone,)
    others = [key for key in line_of(keys, revoked.algorithm, now) if key.kid != kid and is_usable(key, now)]
    if not others:
        elsewhere = {key.algorithm for key in keys} - {revoked.algorithm}
        if revoked.algorithm in algorithms or not any(signer_at(keys, name, now, leeway=leeway) for name in elsewhere):
            raise KeyChangeRefused(
                f"Signing key {kid} is the only usable key for {revoked.algorithm}. "
                "Make the next one first with: manage.py rotate_signing_keys"
            )
        return (gone,)
    successor = next((key for key in others if key.signing_at >= revoked.signing_at), None)
    if successor is None:
        # The rotation that follows makes a key in place of the last one.
        return (gone,)
    signs = signer_at(keys, revoked.algorithm, now, leeway=leeway) == revoked
    starts = _start_of(successor, instead_of=revoked, signs=signs, policy=policy, now=now)
    return (gone, replace(successor, signing_at=starts)) if successor.signing_at > starts else (gone,)


def _start_of(
    successor: KeyTimes, *, instead_of: KeyTimes, signs: bool, policy: RotationPolicy, now: datetime
) -> datetime:
    if signs:
        # The next one was published ahead for this very moment. A clock that is behind still sees the key announced.
        return max(now, instead_of.signing_at)
    # Another key signs until then, and signs no longer than planned if the next one was announced early enough.
    return max(instead_of.signing_at, successor.announced_at + policy.propagation_time)
