"""A new Django project that follows the blocks of a page."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .blocks import Block

ADDRESS_IN_THE_PAGES = "https://www.example.com"
# The file in a project's folder that keeps the variables of the shell.
VARIABLES = "variables.sh"

# A site at the end of django-oauth-toolkit's tutorial.
_SETTINGS = """
INSTALLED_APPS += ["oauth2_provider"]
OAUTH2_PROVIDER = {"SCOPES": {"read": "Read", "write": "Write"}}
# Secure password hashing would take most of the time of a test.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
"""
_URLS = """
from django.urls import include

urlpatterns += [path("o/", include("oauth2_provider.urls"))]
"""


@dataclass
class NewProject:
    """A project in a temporary folder, by default with only django-oauth-toolkit.

    The address in the pages is replaced by that of a local server; ``replaced`` maps further texts of the pages to
    their replacements. ``template`` is the folder of another new project, of which this one is a copy.
    """

    folder: Path
    port: int
    settings: str = _SETTINGS
    urls: str = _URLS
    replaced: Mapping[str, str] = field(default_factory=dict)
    template: Path | None = None
    _server: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        if self.template:
            ignored = shutil.ignore_patterns(VARIABLES)
            shutil.copytree(self.template, self.folder, ignore=ignored, dirs_exist_ok=True)
            return
        self.run("python -m django startproject mysite .")
        self._append("mysite/settings.py", self.settings)
        self._append("mysite/urls.py", self.urls)

    @property
    def address(self) -> str:
        """The address of the site."""
        return f"http://127.0.0.1:{self.port}"

    def follow(self, blocks: Iterable[Block]) -> dict[str, str]:
        """Follow the blocks in order, and return the output of each command.

        A Python block is appended to the file that it names; a console block is run, except ``pip install``: the
        packages are installed, and tests download nothing.
        """
        printed = {}
        for block in blocks:
            match block.language:
                case "python":
                    self._append(block.file, block.text)
                case "console":
                    for command in block.commands:
                        if not command.startswith("pip install "):
                            printed[command] = self.run(command)
        return printed

    def run(self, command: str) -> str:
        """Run a command line in a shell; its variables are kept for the next one."""
        command = self._here(command)
        if "curl " in command or command.startswith("python look.py"):
            self._serve()
        memory = self.folder / VARIABLES
        memory.touch()
        # "allexport" keeps assignments for later commands, as in an interactive shell.
        script = f"set -o allexport; . ./{memory.name}; {command}\nstatus=$?; export -p > {memory.name}; exit $status"
        finished = subprocess.run(
            ["bash", "-o", "pipefail", "-c", script],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        assert finished.returncode == 0, f"{command}\n{finished.stdout}{finished.stderr}\n{self._server_log()}"
        return finished.stdout

    def stop(self) -> None:
        """Stop the server, if it runs; the next command that needs it restarts it."""
        if self._server is not None:
            self._server.terminate()
            self._server.wait(PATIENCE_SECONDS)
            self._server = None

    def _append(self, name: str, text: str) -> None:
        self.stop()
        with (self.folder / name).open("a") as file:
            file.write("\n" + self._here(text))

    def _here(self, text: str) -> str:
        for written, meant in {**self.replaced, ADDRESS_IN_THE_PAGES: self.address}.items():
            text = text.replace(written, meant)
        return text

    def _serve(self) -> None:
        if self._server is not None:
            return
        with (self.folder / "server.log").open("wb") as log:
            self._server = subprocess.Popen(
                [sys.executable, "manage.py", "runserver", "--noreload", str(self.port)],
                cwd=self.folder,
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_until_it_listens(self.port, self._server, self.folder / "server.log")

    def _server_log(self) -> str:
        log = self.folder / "server.log"
        return log.read_text() if log.exists() else ""

    def _environment(self) -> dict[str, str]:
        # The new project does not use pytest's settings module and database.
        left_out = {"DJANGO_SETTINGS_MODULE", "DATABASE_URL", "PYTHONPATH", "PYTHONWARNINGS"}
        environment = {name: value for name, value in os.environ.items() if name not in left_out}
        # Write the output of the site to the log immediately.
        written = {"PYTHONUNBUFFERED": "1"}
        return environment | written | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def wait_until_it_listens(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for a server.

    Raises:
        AssertionError: it ended.
        TimeoutError: it does not listen after ``PATIENCE_SECONDS``.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(log.read_text())
