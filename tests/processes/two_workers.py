"""Two processes of one site, in which what one process is told has to reach the other."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

from .databases import manage, new_database
from .servers import gunicorn

Answer = TypeVar("Answer")
BOUND = 2.0
POLICY = {"TEST_POLICY": json.dumps({"KEY_RING_MAX_AGE": BOUND})}
CLIENT = {"client_id": "service", "client_secret": "a secret for the test"}


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
def two_workers(kind: str, folder):
    """Run both, with a signing key and a client that acts for itself."""
    with new_database(kind, folder) as url:
        manage(url, "migrate", "-v0")
        manage(url, "rotate_signing_keys")
        client = ("--client-id", CLIENT["client_id"], "--client-secret", CLIENT["client_secret"], "--name", "service")
        manage(url, "createapplication", "confidential", "client-credentials", *client)
        with gunicorn(url, folder / "one", **POLICY) as one, gunicorn(url, folder / "two", **POLICY) as two:
            yield TwoWorkers(url, (one, two))
