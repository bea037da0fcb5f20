"""Real servers on loopback, started for a test and always stopped."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager, nullcontext

import requests

from tests.patience import PATIENCE_SECONDS
from tests.ports import reserved_port

from .databases import environment


@contextmanager
def gunicorn(url: str, log, *, workers: int = 1, threads: int = 4, port: int | None = None, **extra: str):
    """Run the test site under gunicorn against a database, and yield its address."""
    with nullcontext(port) if port else reserved_port() as own_port, log.open("wb") as output:
        command = [
            *(sys.executable, "-m", "gunicorn", "tests.processes.wsgi:application", "--bind", f"127.0.0.1:{own_port}"),
            *("--workers", str(workers), "--threads", str(threads), "--timeout", str(PATIENCE_SECONDS)),
            # The site is loaded once, before the workers are forked.
            *("--graceful-timeout", "2", "--log-level", "warning", "--preload"),
        ]
        server = subprocess.Popen(command, env=environment(url, **extra), stdout=output, stderr=output)
        try:
            address = f"http://127.0.0.1:{own_port}"
            _wait_for(address, server, log)
            yield address
        finally:
            server.terminate()
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_for(address: str, server: subprocess.Popen, log) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            requests.get(f"{address}/.well-known/oauth-authorization-server/o", timeout=PATIENCE_SECONDS)
        except (requests.ConnectionError, requests.Timeout):
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())
