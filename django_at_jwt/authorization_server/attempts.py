"""Limits for guessing, counted in a Django cache for all processes that share it."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.core.cache import caches

from django_at_jwt.conf import app_settings
from django_at_jwt.core.quotation import single_line

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger("django_at_jwt")

WINDOW_SECONDS: Final = 900
"""Attempts are counted in windows of this length, which begin at fixed instants."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A counted attempt.

    Attributes:
        is_allowed: whether it is within all limits.
        retry_after: seconds until the next window begins.
    """

    is_allowed: bool
    retry_after: int
    _keys: tuple[str, ...] = ()

    def succeed(self) -> None:
        """Take the attempt back, since it was right."""
        for key in self._keys:
            try:
                caches[app_settings().attempt_cache].decr(key)
            except Exception as error:  # noqa: BLE001 - as below; too high a count is harmless
                logger.warning("A right attempt stays counted in the cache: %s", single_line(error))


def begin_attempt(kind: str, limits: Iterable[tuple[str, int]]) -> Attempt:
    """Count an attempt before its outcome is known, so that simultaneous attempts cannot exceed a limit.

    If the cache fails, the attempt is allowed and an error is logged. Caches drop old entries, so it needs no clean-up.

    Args:
        kind: what is guessed.
        limits: who makes the attempt, such as a session, and how many wrong ones they may make in a window; 0 for any
            number. An attempt beyond one limit is not counted for those after it.
    """
    window, elapsed = divmod(int(time.time()), WINDOW_SECONDS)
    keys, is_allowed = [], True
    for who, most in limits:
        if not most:
            continue
        # Hashed, since it may be a session key, and caches limit the characters.
        key = f"django_at_jwt:{kind}:{window}:{hashlib.sha256(who.encode()).hexdigest()}"
        try:
            number = _count(key)
        except Exception as error:  # noqa: BLE001 - each cache has its own errors
            logger.error("An attempt could not be counted in the cache, and is allowed: %s", single_line(error))  # noqa: TRY400 - no traceback is needed
            continue
        keys.append(key)
        if number > most:
            is_allowed = False
            break
    return Attempt(is_allowed=is_allowed, retry_after=WINDOW_SECONDS - elapsed, _keys=tuple(keys))


def _count(key: str) -> int:
    cache = caches[app_settings().attempt_cache]
    cache.add(key, 0, WINDOW_SECONDS)
    try:
        number = int(cache.incr(key))
    except ValueError:
        # The entry was dropped in between, or this cache stores nothing.
        return 1
    # Some caches begin their own default timeout with each change.
    cache.touch(key, WINDOW_SECONDS)
    return number
