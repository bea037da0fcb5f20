"""The page on an API in another project, done word for word in a brand-new project beside the example as its issuer."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import requests

from django_at_jwt.conf import AppSettings
from django_at_jwt.core import jwk_set
from django_at_jwt.resource_server import fetching, issuers
from example_project.server_process import running_server

from .blocks import REMOTE_ISSUER, blocks_of, table_rows
from .new_project import NewProject

needs_a_shell = pytest.mark.skipif(
    not shutil.which("curl") or not shutil.which("bash"), reason="the page's commands need bash and curl"
)


@needs_a_shell
def test_page_in_a_new_project(tmp_path):
    (tmp_path / "issuer").mkdir()
    (tmp_path / "api").mkdir()
    with running_server(tmp_path / "issuer") as server:
        description = server.description()
        client, audience = description["clients"]["service"], description["resource_servers"][0]["identifier"]
        replaced = {"https://as.example.com/o": description["issuer"], "https://api.example.com/": audience}
        project = NewProject(tmp_path / "api", settings="", urls="", replaced=replaced)
        try:
            follow(project, server, description, client)
        finally:
            project.stop()


def follow(project, server, description, client):
    data = {
        "grant_type": "client_credentials",
        "client_id": client["client_id"],
        "client_secret": client["client_secret"],
    }
    token = requests.post(f"{server.base_url}/o/token/", data=data, timeout=20).json()["access_token"]
    project.run(f"TOKEN={token}")
    blocks = blocks_of(REMOTE_ISSUER)
    before_options = next(index for index, block in enumerate(blocks) if "login.example.net" in block.text)
    printed = project.follow(blocks[:before_options])
    assert "no issues" in printed["python manage.py check"]
    assert f"{description['issuer']}: usable" in printed["python manage.py check_issuers"]
    [answer] = [text for command, text in printed.items() if command.startswith("curl")]
    assert json.loads(answer) == {"issuer": description["issuer"], "client": client["client_id"]}
    [verdict] = [text for command, text in printed.items() if command.startswith("echo")]
    assert verdict.rstrip().endswith("The token is accepted.")

    # The issuer of the second settings block is nobody's; the first one goes on as before.
    project.follow(blocks[before_options:])
    assert "no issues" in project.run("python manage.py check")
    project._append("mysite/urls.py", "from . import figures\n")
    curl = next(command for command in printed if command.startswith("curl"))
    assert json.loads(project.run(curl)) == json.loads(answer)
    assert re.search(
        rf"^{re.escape(description['issuer'])} jwk_set fetched 0\.\d+$", project._server_log(), re.MULTILINE
    )


def test_numbers():
    defaults = AppSettings()
    said = {row[0]: row[1] for row in table_rows(REMOTE_ISSUER, columns=3)}
    numbers = {words: [int(number) for number in re.findall(r"\d+", text)] for words, text in said.items()}
    assert list(numbers.values()) == [
        [defaults.issuer_min_age, defaults.issuer_max_age],
        [defaults.issuer_lifetimes.usual],
        [80],
        [defaults.issuer_max_stale],
        [issuers.RETRY_AFTER],
        [defaults.unknown_kid_cooldown],
        [issuers.UNKNOWN_KID_MEMORY],
        [defaults.issuer_timeout],
        [fetching.MOST_BYTES],
        [jwk_set._MOST_KEYS],
    ]
