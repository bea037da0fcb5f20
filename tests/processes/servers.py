"""Real servers on loopback, started for a test and always stopped."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import requests

from .databases import environment


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def gunicorn(url: str, log, *, workers: int = 1, threads: int = 4, **extra: str):
    """Run the test site under gunicorn against a database, and give its address."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "gunicorn", "tests.processes.wsgi:application", "--bind", f"127.0.0.1:{port}"),
        *("--workers", str(workers), "--threads", str(threads), "--graceful-timeout", "2", "--log-level", "warning"),
    ]
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=environment(url, **extra), stdout=output, stderr=output)
        try:
            address = f"http://127.0.0.1:{port}"
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
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            requests.get(f"{address}/.well-known/oauth-authorization-server/o", timeout=5)
        except (requests.ConnectionError, requests.Timeout):
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())
