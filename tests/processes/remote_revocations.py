"""An API in another project that reads the revocations which its issuer publishes, with four workers each.

``python -m tests.processes.remote_revocations FILE`` measures how soon the API refuses a revoked token in all its
workers, through the loss of Redis and an outage of the issuer, and writes the table of the documentation.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from tests.patience import PATIENCE_SECONDS
from tests.ports import reserved_port
from tests.settings import API

from .databases import PreparedDatabases
from .revocation_events import EVENTS, Grant, Site, disable_api, granted, prepared_issuer
from .servers import gunicorn

if TYPE_CHECKING:
    from collections.abc import Callable

WORKERS = 4
DEFAULT_BOUND, DEFAULT_STALE = 5, 300
# Longer than a worker waits before it looks again at what another worker has fetched.
_LOOK_AGAIN = 0.3
# An event for each kind of entry. The last one concerns all tokens.
KINDS = {
    "a token": "revoked by its jti",
    "an authorization": "the refresh token is revoked (RFC 7009)",
    "a client": "“Revoke all tokens” of the client",
}
AFTER_THE_LOSS_OF_REDIS = "a refresh token is used again"
AFTER_THE_OUTAGE = "`manage.py revoke_tokens`"


@contextmanager
def redis_server(folder):
    """Run Redis, and yield its URL and the function that stops it; ``None`` if it is not installed."""
    if shutil.which("redis-server") is None:
        yield None, lambda: None
        return
    with reserved_port() as port:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            yield f"redis://127.0.0.1:{port}", server.kill
        finally:
            server.kill()
            server.wait()


def shared_cache(redis: str | None, folder: Path) -> dict:
    if redis is None:
        return {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": str(folder / "cache")}
    timeouts = {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}
    return {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": redis, "OPTIONS": timeouts}


@dataclass
class Setting:
    """The issuer, which can be stopped and started, and the API."""

    site: Site
    issuer: object
    folder: Path
    stop_redis: object
    outage: ExitStack = field(default_factory=ExitStack)

    def start_issuer(self) -> None:
        issuer = self.issuer
        log = self.folder / "issuer"
        self.outage.enter_context(gunicorn(issuer.url, log, workers=WORKERS, port=issuer.port, **issuer.environment))

    def stop_issuer(self) -> None:
        self.outage.close()

    def granted(self, event: str) -> Grant:
        return granted(self.site, event)

    def statuses(self, token: str) -> set[int]:
        """Return the statuses with which all workers of the API answer a token, each at least once."""
        answered: dict[str, int] = {}
        deadline = time.monotonic() + PATIENCE_SECONDS
        with ThreadPoolExecutor(2 * WORKERS) as threads:
            while len(answered) < WORKERS and time.monotonic() < deadline:
                for process, status in threads.map(lambda _: self._ask(token), range(4 * WORKERS)):
                    # The first answer counts: the process may have read the document because of it.
                    answered.setdefault(process, status)
        assert len(answered) == WORKERS, answered
        return {*answered.values()}

    def settled_statuses(self, token: str) -> set[int]:
        """Return the statuses once every worker has had an occasion to read the document.

        One worker requests it in the first round, and one thread of each other worker takes it in the second.
        """
        for _ in range(2):
            self.statuses(token)
            time.sleep(_LOOK_AGAIN)
        return self.statuses(token)

    def _ask(self, token: str) -> tuple[str, int]:
        headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
        answer = requests.get(f"{self.site.remote}/whoami/", headers=headers, timeout=PATIENCE_SECONDS)
        return answer.headers["X-Process"], answer.status_code

    def seconds_until(self, status: int, token: str, happen: Callable[[], object]) -> float:
        """Return the seconds from the start of an event until all workers answer with a status."""
        began = time.monotonic()
        happen()
        while self.statuses(token) != {status}:
            assert time.monotonic() < began + PATIENCE_SECONDS
            time.sleep(0.1)
        return time.monotonic() - began


@contextmanager
def running(databases: PreparedDatabases, kind: str, folder: Path, *, bound: int, stale: int, timeout: float):
    """Run an issuer that publishes its revocations, and an API that reads them every ``bound`` seconds."""
    with ExitStack() as stack:
        redis, stop_redis = stack.enter_context(redis_server(folder))
        issuer = stack.enter_context(prepared_issuer(databases, kind, folder, bound=bound, TEST_STALE=str(stale)))
        entry = {"audience": API, "revocation": "deny_list", "deny_list_max_age": bound, "leeway": 0}
        at_jwt = {"ISSUERS": {issuer.identifier: entry}, "ISSUER_TIMEOUT": timeout, "REVOCATION_MAX_STALE": stale}
        remote = stack.enter_context(
            gunicorn(
                "",
                folder / "remote",
                workers=WORKERS,
                DJANGO_SETTINGS_MODULE="tests.processes.api_settings",
                TEST_CACHE=json.dumps(shared_cache(redis, folder)),
                TEST_AT_JWT=json.dumps(at_jwt),
            )
        )
        outage = stack.enter_context(ExitStack())
        address = f"http://127.0.0.1:{issuer.port}"
        log = folder / "issuer"
        outage.enter_context(gunicorn(issuer.url, log, workers=WORKERS, port=issuer.port, **issuer.environment))
        site = Site(address, remote, issuer.url, issuer.environment, issuer.ids)
        yield Setting(site, issuer, folder, stop_redis, outage)


def measure() -> dict[str, str]:
    """Return what the table says, by situation, with the default settings."""
    measured: dict[str, str] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        databases = PreparedDatabases(lambda name: Path(tempfile.mkdtemp(name, dir=folder)))
        stack.callback(databases.close)
        times = {"bound": DEFAULT_BOUND, "stale": DEFAULT_STALE, "timeout": 5}
        setting = stack.enter_context(running(databases, "postgresql", folder, **times))

        def refused(event: str) -> str:
            grant = setting.granted(event)
            token = grant.tokens["access_token"]
            statuses = setting.settled_statuses(token)
            assert statuses == {200}, (event, statuses, (folder / "remote").read_text()[-3000:])
            return f"{setting.seconds_until(401, token, lambda: EVENTS[event](grant)):.1f} s"

        other = setting.granted(AFTER_THE_OUTAGE)
        for kind, event in KINDS.items():
            measured[f"{kind} is revoked"] = refused(event)
        setting.stop_redis()
        measured["Redis is gone, and an authorization is revoked"] = refused(AFTER_THE_LOSS_OF_REDIS)
        token = other.tokens["access_token"]
        assert setting.statuses(token) == {200}
        for situation, status, happen in (
            ("the issuer is stopped: its tokens are answered with 503", 503, setting.stop_issuer),
            ("the issuer is back: its tokens are accepted again", 200, setting.start_issuer),
            ("after that, a user's tokens are revoked", 401, lambda: EVENTS[AFTER_THE_OUTAGE](other)),
        ):
            measured[situation] = f"{setting.seconds_until(status, token, happen):.1f} s"
        last = setting.granted("a refresh replaces the token").tokens["access_token"]
        assert setting.settled_statuses(last) == {200}
        seconds = setting.seconds_until(401, last, lambda: disable_api(setting.site))
        measured["after that, the API is disabled"] = f"{seconds:.1f} s"
    return measured


def table(measured: dict[str, str]) -> str:
    """Return the table of the documentation."""
    lines = ["| Event | All four workers have changed after |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {event} | {seconds} |" for event, seconds in measured.items())]) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(table(measure()))
