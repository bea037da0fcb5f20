"""A clock that goes faster than the real one, and is wrong: ``TEST_CLOCK="BEGIN SPEED OFFSET"``, in seconds."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

_real_time = time.time


def now() -> float:
    """Give the seconds since the epoch as this process is to believe."""
    begin, speed, offset = (float(part) for part in os.environ["TEST_CLOCK"].split())
    return begin + (_real_time() - begin) * speed + offset


def set_it() -> None:
    """Let this process believe it. The monotonic clock, by which ages are measured, stays the real one."""
    from django.utils import timezone

    time.time = now
    timezone.now = lambda: datetime.fromtimestamp(now(), tz=UTC)
