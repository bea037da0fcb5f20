"""Two processes of one site, in which what one process is told has to reach the other."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import NamedTuple

from .databases import manage, new_database
from .servers import gunicorn

BOUND = 2.0
POLICY = {"TEST_POLICY": json.dumps({"KEY_RING_MAX_AGE": BOUND})}
CLIENT = {"client_id": "service", "client_secret": "a secret for the test"}
_PATIENCE_SECONDS = 20


class TwoWorkers(NamedTuple):
    """The address of the database, and those of both workers, each of which may lag behind by ``BOUND`` seconds."""

    url: str
    addresses: tuple[str, str]

    def seconds_until(self, holds: Callable[[str], bool]) -> list[float]:
        """Give after how many seconds something holds at each worker; it is not there of one at which it never does."""
        done, seconds = time.monotonic(), {}
        while len(seconds) < 2 and time.monotonic() < done + _PATIENCE_SECONDS:
            for worker in self.addresses:
                if worker not in seconds and holds(worker):
                    seconds[worker] = time.monotonic() - done
        return [*seconds.values()]


@contextmanager
def two_workers(kind: str, folder):
    """Run both, with a signing key and a client that acts for itself."""
    with new_database(kind, folder) as url:
        manage(url, "migrate", "-v0")
        manage(url, "rotate_signing_keys")
        client = ("--client-id", CLIENT["client_id"], "--client-secret", CLIENT["client_secret"], "--name", "service")
        manage(url, "createapplication", "confidential", "client-credentials", *client)
        with gunicorn(url, folder / "one", **POLICY) as one, gunicorn(url, folder / "two", **POLICY) as two:
            yield TwoWorkers(url, (one, two))
