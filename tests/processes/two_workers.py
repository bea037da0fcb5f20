"""Two processes of one site, in which what one process is told has to reach the other."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from .servers import gunicorn

Answer = TypeVar("Answer")
BOUND = 2.0
POLICY = {"TEST_POLICY": json.dumps({"KEY_RING_MAX_AGE": BOUND})}


class TwoWorkers(NamedTuple):
    """The address of the database, and those of both workers, each of which may lag behind by ``BOUND`` seconds."""

    url: str
    addresses: tuple[str, str]

    def after_the_bound(self, ask: Callable[[str], Answer]) -> list[Answer]:
        """Ask each worker once, as soon as ``BOUND`` seconds have passed since the call, and return their answers.

        How long an answer takes does not matter, so a slow machine changes nothing.
        """
        time.sleep(BOUND)
        return [ask(worker) for worker in self.addresses]


@contextmanager
def two_workers(url: str, folder):
    """Run both on a prepared database."""
    with gunicorn(url, folder / "one", **POLICY) as one, gunicorn(url, folder / "two", **POLICY) as two:
        yield TwoWorkers(url, (one, two))
