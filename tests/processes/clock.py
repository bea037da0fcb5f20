"""A clock that several processes share: it stands still until a test moves it, and a process may read it wrong.

``TEST_CLOCK`` is the path of its file, and ``TEST_CLOCK_ERROR`` the seconds by which the process is ahead.
"""

from __future__ import annotations

import mmap
import os
import struct
import time
from datetime import UTC, datetime
from pathlib import Path

_SECONDS = struct.Struct("d")


class SharedClock:
    """Seconds since the epoch, in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _SECONDS.size)

    @classmethod
    def create(cls, path: Path) -> SharedClock:
        path.write_bytes(_SECONDS.pack(time.time()))
        return cls(path)

    def now(self) -> float:
        return _SECONDS.unpack_from(self._memory)[0]

    def move(self, seconds: float) -> None:
        _SECONDS.pack_into(self._memory, 0, self.now() + seconds)

    def environment(self, error: int = 0) -> dict[str, str]:
        return {"TEST_CLOCK": str(self.path), "TEST_CLOCK_ERROR": str(error)}


def set_it() -> None:
    """Replace the clocks of this process by the shared one."""
    from django.utils import timezone

    clock, error = SharedClock(Path(os.environ["TEST_CLOCK"])), float(os.environ["TEST_CLOCK_ERROR"])

    def now() -> float:
        return clock.now() + error

    time.time = time.monotonic = now
    timezone.now = lambda: datetime.fromtimestamp(now(), tz=UTC)
