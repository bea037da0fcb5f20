"""The guides on an API in another project, followed in a new project with the example as its issuer."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from django_at_jwt.conf import AppSettings
from django_at_jwt.core import revocation_document
from django_at_jwt.core.jose import jwk_set
from django_at_jwt.core.remote_issuer import CacheBounds
from django_at_jwt.outbound import http as fetching
from django_at_jwt.resource_server.remote import key_source as issuers
from django_at_jwt.resource_server.remote import shared_cache as shared_memory
from tests.patience import PATIENCE_SECONDS
from tests.ports import reserved_port

from .blocks import REMOTE_ISSUER, ROOT, blocks_of, table_rows
from .new_project import ADDRESS_IN_THE_PAGES, NewProject, wait_until_it_listens

needs_a_shell = pytest.mark.skipif(
    not shutil.which("curl") or not shutil.which("bash"), reason="the page's commands need bash and curl"
)


@pytest.mark.ci
@needs_a_shell
def test_page_in_a_new_project(running_example, tmp_path):
    (tmp_path / "api").mkdir()
    with running_example(tmp_path / "issuer") as server, reserved_port() as port:
        description = server.description()
        client, audience = description["clients"]["service"], description["resource_servers"][0]["identifier"]
        replaced = {
            # The API of the page is the new project; its identifier is one that the example has registered.
            "https://api.example.com/orders/": f"{ADDRESS_IN_THE_PAGES}/orders/",
            "https://as.example.com/o": description["issuer"],
            "https://api.example.com/": audience,
            "first-look:first-look-secret": f"{client['client_id']}:{client['client_secret']}",
        }
        project = NewProject(tmp_path / "api", port, settings="", urls="", replaced=replaced)
        try:
            follow(project, description, client)
        finally:
            project.stop()


def follow(project, description, client):
    blocks = blocks_of(REMOTE_ISSUER)
    before_options = next(index for index, block in enumerate(blocks) if "login.example.net" in block.text)
    printed = project.follow(blocks[:before_options])
    assert "no issues" in printed["python manage.py check"]
    assert f"{description['issuer']}: usable" in printed["python manage.py check_issuers"]
    [answer] = [text for command, text in printed.items() if command.startswith("curl")]
    assert json.loads(answer) == {"issuer": description["issuer"], "client": client["client_id"]}
    [verdict] = [text for command, text in printed.items() if command.startswith("echo")]
    audience = description["resource_servers"][0]["identifier"]
    assert verdict.rstrip().endswith(f"The token is accepted for {audience}.")

    # The issuer of the second settings block does not exist; the first one works as before.
    project.follow(blocks[before_options:])
    assert "no issues" in project.run("python manage.py check")
    project._append("mysite/urls.py", "from . import figures\n")
    curl = next(command for command in printed if command.startswith("curl"))
    assert json.loads(project.run(curl)) == json.loads(answer)
    assert re.search(
        rf"^{re.escape(description['issuer'])} jwk_set fetched \d+\.\d+$", project._server_log(), re.MULTILINE
    )


@pytest.mark.ci
@needs_a_shell
def test_two_projects_side_by_side(running_example, tmp_path):
    [block] = [block for block in blocks_of(REMOTE_ISSUER) if block.language == "sh"]
    serve, get_token, call = block.commands
    with running_example(tmp_path) as server, reserved_port() as port:
        environment = {
            name: value for name, value in os.environ.items() if name not in {"DJANGO_SETTINGS_MODULE", "DATABASE_URL"}
        } | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            # In the page both sides have their own ports, which may be taken here.
            "REMOTE_API_ISSUER": f"{server.base_url}/o",
            "REMOTE_API_AUDIENCE": f"{server.base_url}/reports/",
        }
        arguments = serve.replace("8001", str(port)).split()
        assert arguments.pop(0) == ".venv/bin/python"
        log = (tmp_path / "api.log").open("w+")
        api = subprocess.Popen(
            [sys.executable, *arguments, "--noreload"], cwd=ROOT, env=environment, stdout=log, stderr=log
        )
        try:
            wait_until_it_listens(port, api, tmp_path / "api.log")
            script = f"{get_token}\n{call}"
            for written, meant in {"http://127.0.0.1:8000": server.base_url, "8001": str(port)}.items():
                script = script.replace(written, meant)
            done = subprocess.run(
                ["bash", "-c", script],
                env=environment,
                capture_output=True,
                text=True,
                timeout=PATIENCE_SECONDS,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout) == {
                "issuer": f"{server.base_url}/o",
                "subject": "example-service",
                "client": "example-service",
            }
            assert requests.get(f"http://127.0.0.1:{port}/whoami/", timeout=PATIENCE_SECONDS).status_code == 401
        finally:
            api.terminate()
            api.wait(PATIENCE_SECONDS)
            log.close()


def test_numbers():
    defaults = AppSettings()
    said = {row[0]: row[1] for row in table_rows(REMOTE_ISSUER, columns=3)}
    numbers = {words: [int(number) for number in re.findall(r"\d+", text)] for words, text in said.items()}
    assert list(numbers.values()) == [
        [defaults.issuer_min_age, defaults.issuer_max_age],
        [CacheBounds(min=0, max=0).default],
        [80],
        [defaults.issuer_max_stale],
        [issuers.RETRY_AFTER],
        [defaults.unknown_kid_cooldown],
        [issuers.UNKNOWN_KID_MEMORY],
        [defaults.issuer_timeout],
        [fetching.MAX_BYTES, revocation_document.MOST_BYTES],
        [jwk_set._MOST_KEYS],
        [2048, 8192, 65537, 64],
    ]
    assert "a fifth of [`ISSUER_TIMEOUT`](../reference/settings.md#issuer_timeout) (1 second by default)" in " ".join(
        REMOTE_ISSUER.read_text().split()
    )
    assert defaults.issuer_timeout * shared_memory._PART_OF_TIMEOUT == 1
