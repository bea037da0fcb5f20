"""The example behind TLS, as an issuer for the consumers, some of which insist on https."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import requests

from example_project.server_process import ROOT, environment_for, run_manage
from tests.outbound.certificates import LOOPBACK, certificate
from tests.patience import PATIENCE_SECONDS
from tests.ports import reserved_port

from .catalog import ALGORITHMS, SCOPE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Issuer:
    address: str
    certificate: str
    environment: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"{self.address}/o"

    def metadata(self) -> dict[str, str]:
        return self._answer(requests.get, f"{self.address}/.well-known/oauth-authorization-server/o")

    def audience(self, algorithm: str) -> str:
        return f"{self.address}/{algorithm.lower()}/"

    def token(self, algorithm: str) -> str:
        """Return a new token for the API whose tokens have this algorithm, from the token endpoint."""
        request = {
            "grant_type": "client_credentials",
            "client_id": "example-service",
            "client_secret": "example-service-secret",
            "resource": self.audience(algorithm),
            "scope": SCOPE,
        }
        return self._answer(requests.post, self.metadata()["token_endpoint"], data=request)["access_token"]

    def token_of_another_key(self, algorithm: str, token: str) -> str:
        """Wait until new tokens have another header than ``token``, and return one."""
        while (new := self.token(algorithm)).split(".")[0] == token.split(".", maxsplit=1)[0]:
            time.sleep(0.1)
        return new

    def tokens(self) -> dict[str, str]:
        return {algorithm: self.token(algorithm) for algorithm in ALGORITHMS}

    def invalid_tokens(self, tokens: Mapping[str, str]) -> dict[str, dict[str, str]]:
        with self.operation("invalid") as program:
            return json.loads(program.communicate(json.dumps(tokens), timeout=PATIENCE_SECONDS)[0])

    def operation(self, *arguments: str) -> subprocess.Popen[str]:
        """Start :mod:`tests.consumers.site_operations` in the issuer's environment."""
        command = [sys.executable, "-m", "tests.consumers.site_operations", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=ROOT, env=self.environment, stdin=pipe, stdout=pipe, text=True)

    def _answer(self, send, url: str, **options):
        answer = send(url, verify=self.certificate, timeout=PATIENCE_SECONDS, **options)
        answer.raise_for_status()
        return answer.json()


@contextmanager
def running_issuer(folder: Path) -> Iterator[Issuer]:
    """Run the example with https on a free port until the block ends, with its data in ``folder``."""
    pem = certificate(folder, LOOPBACK)
    with reserved_port() as port, (folder / "server.log").open("w") as log:
        address = f"https://127.0.0.1:{port}"
        environment = environment_for(
            folder, EXAMPLE_BASE_URL=address, DJANGO_SETTINGS_MODULE="tests.consumers.site_settings"
        )
        # A test brings a database that has all tables.
        has_tables = (folder / "example.sqlite3").exists()
        for command in ["seed_example"] if has_tables else ["migrate", "seed_example"]:
            done = run_manage(environment, command, "--verbosity=0")
            if done.returncode:
                raise RuntimeError(f"manage.py {command}:\n{done.stderr}")
        command = [
            *(sys.executable, "-m", "gunicorn", "example_project.wsgi", "--bind", f"127.0.0.1:{port}"),
            *("--certfile", str(pem), "--keyfile", str(pem), "--threads", "16", "--log-level", "warning"),
            *("--timeout", str(PATIENCE_SECONDS), "--graceful-timeout", "1"),
        ]
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        issuer = Issuer(address=address, certificate=str(pem), environment=environment)
        try:
            _wait_for(issuer, server)
            yield issuer
        finally:
            server.terminate()
            server.wait(PATIENCE_SECONDS)


def _wait_for(issuer: Issuer, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            issuer.metadata()
        except requests.RequestException:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("the example did not start")
