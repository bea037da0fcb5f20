"""The runbook for a leaked key, followed on the example project with its server running."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.core.management import call_command
from django.utils import timezone

from django_at_jwt.models import SigningKey
from example_project.server_process import RunningServer
from tests.patience import PATIENCE_SECONDS

from .blocks import KEY_LEAKED, ROOT, SEVERAL_KEYS_LEAKED, Block, blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    not shutil.which("curl") or not shutil.which("bash"), reason="the page's commands need bash and curl"
)

ADDRESS_IN_THE_PAGE = "http://127.0.0.1:8000"
KEY_RING_MAX_AGE = 2
KID = re.compile(r"\b[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])")
INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
# The settings of the example project, followed by those of the page.
SETTINGS = "from tests.example.quick_settings import *\n"


@dataclass
class Shell:
    """A terminal in which the page is followed: variables are kept between commands."""

    server: RunningServer
    folder: Path
    kids: dict[str, str]

    def run(self, command: str, status: int = 0) -> str:
        command = self.as_it_is_here(command)
        memory = self.folder / "variables.sh"
        memory.touch()
        script = f"set -o allexport; . {memory}; {command}\nstatus=$?; export -p > {memory}; exit $status"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=ROOT,
            env={**self.server.environment, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == status, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def as_it_is_here(self, text: str) -> str:
        """Put in the address and the kids of this server, as the page tells its reader to do."""
        text = text.replace(ADDRESS_IN_THE_PAGE, self.server.base_url)
        # What has to be awaited is the key ring's age, which is shorter here.
        text = re.sub(r"^sleep 30$", f"sleep {KEY_RING_MAX_AGE}", text)
        for in_the_page, here in self.kids.items():
            text = text.replace(in_the_page, here)
        return text

    def follow(self, section: list[Block]) -> list[str]:
        """Run the commands of a section, compare what they print to what the page says, and give it."""
        printed: list[str] = []
        expected = ""
        for block in section:
            match block.language:
                case "console":
                    printed += [self.run(command) for command in block.commands]
                case "text":
                    expected += block.text
                case "python":
                    with (self.folder / "settings_of_the_site.py").open("a") as file:
                        file.write(self.as_it_is_here(block.text))
        if expected:
            together = "".join(printed)
            assert same_for_all(together).startswith(same_for_all(self.as_it_is_here(expected))), together
        return printed


def same_for_all(text: str) -> str:
    return re.sub(r"within \d+ seconds", "within N seconds", INSTANT.sub("INSTANT", text))


def sections() -> dict[str, list[Block]]:
    """The blocks of the page by the headings that they stand under."""
    lines = KEY_LEAKED.read_text().splitlines()
    heading_at = {number: line.removeprefix("## ") for number, line in enumerate(lines, 1) if line.startswith("## ")}
    found: dict[str, list[Block]] = {heading: [] for heading in heading_at.values()}
    for block in blocks_of(KEY_LEAKED):
        found[heading_at[max(number for number in heading_at if number < block.line)]].append(block)
    return found


@contextmanager
def terminal(running_example, folder: Path) -> Iterator[Shell]:
    (folder / "settings_of_the_site.py").write_text(SETTINGS)
    with running_example(
        folder,
        EXAMPLE_KEY_RING_MAX_AGE=KEY_RING_MAX_AGE,
        DJANGO_SETTINGS_MODULE="settings_of_the_site",
        PYTHONPATH=f"{folder}:{ROOT}",
    ) as server:
        shell = Shell(server=server, folder=folder, kids={})
        listing = shell.run(sections()["2. Find the key"][0].commands[0])
        in_the_page = KID.findall(sections()["2. Find the key"][1].text)
        shell.kids = dict(zip(in_the_page, KID.findall(listing), strict=True))
        yield shell


def published(shell: Shell) -> set[str]:
    keys = json.loads(shell.run('curl --silent "$SITE/o/.well-known/jwks.json"'))["keys"]
    return {key["kid"] for key in keys}


@pytest.mark.ci
def test_each_step_in_its_order(running_example, tmp_path):
    page = sections()
    leaked, announced = KID.findall(page["2. Find the key"][1].text)
    with terminal(running_example, tmp_path) as shell:
        kids = [shell.kids[leaked], shell.kids[announced]]
        steps = [heading for heading in page if heading[0].isdigit()]
        assert [heading[0] for heading in steps] == list("12345678")
        for heading in steps:
            if heading.startswith("5"):
                assert published(shell) >= {*kids}
            printed = shell.follow(page[heading])
            match heading[0]:
                case "5":
                    # Steps 7 and 8 rely upon it.
                    assert f'"REVOKED_KIDS": ["{kids[0]}"]' in printed[0]
                case "7":
                    assert "no issues" in printed[0]

        assert kids[0] not in published(shell)
        # The announced one signs, and another one is announced after it.
        states = json.loads(shell.run("python manage.py rotate_signing_keys --dry-run --json", status=3))["keys"]
        assert {key["kid"]: key["state"] for key in states}[kids[1]] == "signing"
        assert sorted(key["state"] for key in states) == ["announced", "revoked", "signing"]
        # Each refusal that the page quotes.
        again = shell.run('python manage.py revoke_signing_key "$KID" --reason again 2>&1', status=1)
        slip = shell.run("python manage.py revoke_signing_key A --reason again 2>&1", status=1)
        text = KEY_LEAKED.read_text()
        for quoted, said in (("has been revoked already", again), ("There is no signing key", slip)):
            assert f"`{quoted}`" in text
            assert quoted in said
            assert said.count("\n") == 1


@pytest.mark.usefixtures("signing_keys")
def test_more_than_one_key(settings, capsys):
    # The commands of this section are run in this process, which is quicker.
    rows = {key.state_at(timezone.now()).value: key.kid for key in SigningKey.objects.all()}
    variables = {"$KID": rows["signing"], "$ANNOUNCED": rows["announced"]}
    settings.AT_JWT = {**settings.AT_JWT, "KEY_ENCRYPTION_KEYS": ["A" * 43]}
    commands = [command for block in blocks_of(SEVERAL_KEYS_LEAKED) for command in block.commands]
    assert [command.split()[-1] for command in commands if command.startswith("ANNOUNCED=")] == commands[:1]
    for command in commands[1:]:
        arguments = [variables.get(argument, argument) for argument in shlex.split(command)]
        assert arguments[:2] == ["python", "manage.py"]
        call_command(*arguments[2:])
    assert capsys.readouterr().out.endswith("Re-encrypted 0 keys; 2 already up to date.\n")
    states = {key.kid: key.state_at(timezone.now()).value for key in SigningKey.objects.all()}
    assert {kid for kid, state in states.items() if state == "revoked"} == {*rows.values()}
    assert sorted(states.values()) == ["announced", "revoked", "revoked", "signing"]
