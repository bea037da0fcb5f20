"""gunicorn with two workers for each variant, with a PostgreSQL database for each."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.ports import reserved_port

from .load import Request

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SETTINGS: Final = "benchmarks.throughput.settings"
_WORKERS: Final = 2
_THREADS: Final = 2
_PATIENCE_SECONDS: Final = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Variant:
    """A site and the requests that it answers.

    Attributes:
        settings: Django settings of the site, in addition to those of the benchmarks.
        token_path: its token endpoint.
        api_path: the API that is measured; empty: the token endpoint is.
        tokens: how many tokens are sent to the API, in turn.
        is_of_user: whether these are tokens of a user, or of a client that acts for itself.
        hasher: of the client's secret; empty: it is stored in clear.
        remarks: how the variant differs from the others.
    """

    name: str
    settings: Mapping[str, Any]
    token_path: str
    api_path: str = ""
    tokens: int = 1
    is_of_user: bool = True
    hasher: str = ""
    remarks: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A running server, and the requests for it."""

    port: int
    process: int
    requests: list[Request]

    def cpu_seconds(self) -> float:
        """Return the CPU time of all its processes; 0 if this is not Linux."""
        try:
            children = Path(f"/proc/{self.process}/task/{self.process}/children").read_text().split()
            return sum(_cpu_seconds(each) for each in children)
        except OSError:
            return 0.0


def _cpu_seconds(process: str) -> float:
    # The file of the process counts its first thread only.
    threads = Path(f"/proc/{process}/task").iterdir()
    return sum(int((each / "schedstat").read_text().split()[0]) for each in threads) / 1e9


def migrate(url: str) -> None:
    """Make the tables of all variants."""
    environment = {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": _SETTINGS}
    command = [sys.executable, "-m", "django", "migrate", "--verbosity=0", "--skip-checks"]
    subprocess.run(command, env=environment, check=True)


@contextmanager
def running(variant: Variant, url: str) -> Iterator[Server]:
    """Prepare a variant on a database, run it, and stop it."""
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": _SETTINGS,
        "BENCHMARK_SETTINGS": json.dumps(dict(variant.settings)),
    }
    asked = {
        "hasher": variant.hasher or None,
        "token_path": variant.token_path,
        "api_path": variant.api_path or None,
        "tokens": variant.tokens,
        "is_of_user": bool(variant.api_path) and variant.is_of_user,
    }
    prepared = subprocess.run(
        [sys.executable, "-m", "benchmarks.throughput.prepare", json.dumps(asked)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    with reserved_port() as port:
        command = [
            *(sys.executable, "-m", "gunicorn", "benchmarks.throughput.wsgi:application", "--preload"),
            *("--bind", f"127.0.0.1:{port}", "--workers", str(_WORKERS), "--threads", str(_THREADS)),
            *("--log-level", "warning", "--graceful-timeout", "2", "--keep-alive", "30"),
        ]
        process = subprocess.Popen(command, env=environment)
        try:
            _wait_for(port, process)
            requests = [Request(*each) for each in json.loads(prepared.stdout)]
            yield Server(port=port, process=process.pid, requests=requests)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("gunicorn did not start; its log is above")
