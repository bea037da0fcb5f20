"""The example's servers as child processes that run for the duration of a ``with`` block."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from .serve import MCP_SERVER_READY, READY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT: Final = Path(__file__).resolve().parent.parent
_SECONDS_TO_STOP: Final = 10
_SECONDS_FOR_A_COMMAND: Final = 300


class ServerFailed(Exception):
    """The server did not start, or a command failed. The message has its output."""


@dataclass(frozen=True, kw_only=True)
class RunningServer:
    """A server at ``base_url`` that writes its log to a file."""

    base_url: str
    environment: Mapping[str, str]
    log: Path

    def manage(self, *arguments: str) -> str:
        """Run a ``manage.py`` command with the server's database, and return its standard output.

        Raises:
            ServerFailed: the command failed.
        """
        done = run_manage(self.environment, *arguments)
        if done.returncode:
            raise ServerFailed(f"manage.py {' '.join(arguments)} exited with status {done.returncode}:\n{done.stderr}")
        return done.stdout

    def description(self) -> dict[str, Any]:
        """Return the users, clients, resource servers and endpoints, from ``seed_example --json``."""
        description: dict[str, Any] = json.loads(self.manage("seed_example", "--json"))
        return description


def run_manage(environment: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a ``manage.py`` command in an environment."""
    return subprocess.run(  # noqa: S603 - the arguments are the caller's own
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_SECONDS_FOR_A_COMMAND,
        check=False,
    )


def environment_for(directory: Path, **variables: object) -> dict[str, str]:
    """Return an environment in which the example stores its data in a directory and is configured by ``variables``."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("EXAMPLE_")}
    return {
        **inherited,
        "DJANGO_SETTINGS_MODULE": "example_project.settings",
        "DATABASE_URL": f"sqlite:///{directory / 'example.sqlite3'}",
        **{name: str(value) for name, value in variables.items()},
    }


@contextmanager
def running_server(directory: Path, **variables: object) -> Iterator[RunningServer]:
    """Run the example on a free port, with its database in ``directory``, until the block ends.

    Raises:
        ServerFailed: it did not start.
    """
    environment = environment_for(directory, **{"EXAMPLE_BASE_URL": "http://127.0.0.1:0", **variables})
    log = directory / "server.log"
    with _running(["-m", "example_project.serve"], environment, log, ready=READY) as base_url:
        yield RunningServer(base_url=base_url, environment=environment | {"EXAMPLE_BASE_URL": base_url}, log=log)


@contextmanager
def running_mcp_server(site: RunningServer) -> Iterator[str]:
    """Run the MCP server of a running example, and yield its URL, until the block ends.

    Raises:
        ServerFailed: it did not start.
    """
    log = site.log.with_name("mcp_server.log")
    with _running(["manage.py", "run_mcp_server"], site.environment, log, ready=MCP_SERVER_READY) as url:
        yield url


def free_port() -> int:
    """Return a port that was free on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def _running(program: list[str], environment: Mapping[str, str], log: Path, *, ready: str) -> Iterator[str]:
    with log.open("a") as errors:
        process = subprocess.Popen(  # noqa: S603 - a program of this package
            [sys.executable, *program, "--until-stdin-closes"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    try:
        address = _wait_until_ready(process.stdout, ready)
        if address is None:
            raise ServerFailed(f"The server did not start:\n{log.read_text()}")
        yield address
    finally:
        # The server stops when this pipe is closed, which also happens if this program is killed.
        process.stdin.close()
        try:
            process.wait(timeout=_SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _wait_until_ready(output: IO[str], ready: str) -> str | None:
    return next((line.removeprefix(ready).strip() for line in output if line.startswith(ready)), None)
