"""Whether the rows of the signing keys are as the policy wants them: what a rotation would find to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's own name
from django.utils import timezone

from django_at_jwt.conf import app_settings
from django_at_jwt.core.lifecycle import KeyState, KeyTimes, is_usable, plan_rotation

from .applicability import CheckId, issues_tokens, readable
from .keys import longest_lifetime, policy_problems, signing_key_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

_RUN: Final = "Run: manage.py rotate_signing_keys"


def check_rotation(**_kwargs: Any) -> list[CheckMessage]:
    """Every algorithm in use has a key and a next one, and each key is published for as long as its tokens live."""
    if not issues_tokens() or not readable() or policy_problems():
        return []
    keys = [row.times for row in signing_key_rows() or []]
    if not keys:
        # There is a check of its own for a table without keys, or none at all.
        return []
    settings, now = app_settings(), timezone.now()
    plan = plan_rotation(
        keys,
        policy=settings.rotation_policy(longest_lifetime=longest_lifetime()),
        algorithms=settings.signing_algorithms,
        now=now,
    )
    messages: list[CheckMessage] = [
        Warning(problem, hint=f"{_RUN}, and schedule it daily.", id=CheckId.KEY_IS_MISSING)
        for algorithm in dict.fromkeys(new.algorithm for new in plan.new)
        if (problem := _missing([key for key in keys if key.algorithm == algorithm], algorithm, now)) is not None
    ]
    before = {key.kid: key for key in keys}
    starts = {new.signing_at for new in plan.new}
    for after in plan.changed:
        # That a key ends where one begins that is missing yet has been said.
        if before[after.kid].retained_at is not None or after.retained_at not in starts:
            problem = _wrong_times(before[after.kid], after, settings.signing_algorithms)
            messages.append(Warning(problem, hint=f"{_RUN}.", id=CheckId.WRONG_KEY_TIMES))
    return messages


def _missing(keys: Sequence[KeyTimes], algorithm: str, now: datetime) -> str | None:
    """Return what is wrong where a rotation would make a key, or ``None`` where the daily run is still in time."""
    usable = [key for key in keys if is_usable(key, now)]
    if not usable:
        return f"{algorithm} is in AT_JWT['SIGNING_ALGORITHMS'], and there is no key for it."
    announced = [key for key in usable if key.state_at(now) is KeyState.ANNOUNCED]
    if not announced or len(announced) == len(usable) == 1:
        return f"No next key is announced for {algorithm}."
    last = max(key.signing_at for key in announced)
    if last <= now + app_settings().propagation_time:
        return f"The last announced key for {algorithm} signs from {last}, and none is announced after it yet."
    return None


def _wrong_times(before: KeyTimes, after: KeyTimes, in_use: Sequence[str]) -> str:
    """Say what is wrong with a key that a rotation would change."""
    kid = f"Signing key {before.kid}"
    if before.algorithm not in in_use:
        return (
            f"{kid} is for {before.algorithm}, which AT_JWT['SIGNING_ALGORITHMS'] has not any more, and may still sign."
        )
    if before.retained_at is None:
        return f"{kid} signs without end, although another key for {before.algorithm} follows it."
    if before.retained_at != after.retained_at:
        return f"{kid} signs until {before.retained_at}, and should until {after.retained_at or 'further notice'}."
    return f"{kid} is published until {before.retired_at}, and its tokens may live until {after.retired_at}."
