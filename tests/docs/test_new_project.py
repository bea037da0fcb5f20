"""The tutorial that starts from an empty folder, followed with its client and a browser's requests."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

import pytest
import requests

from tests.ports import reserved_port

from .blocks import NEW_PROJECT, blocks_of
from .new_project import PATIENCE_SECONDS, NewProject

pytestmark = [
    pytest.mark.ci,
    pytest.mark.skipif(
        not shutil.which("curl") or not shutil.which("bash"), reason="the page's commands need bash and curl"
    ),
]


def csrf_token(page):
    return re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)[1]


def test_tutorial(tmp_path):
    creating, *blocks, answer, unauthorized = [block for block in blocks_of(NEW_PROJECT) if block.language != "sh"]
    assert creating.commands[-1] == "django-admin startproject mysite ."
    with reserved_port() as port, reserved_port() as redirect_port:
        replaced = {"http://127.0.0.1:8000": f"http://127.0.0.1:{port}", "127.0.0.1:8765": f"127.0.0.1:{redirect_port}"}
        project = NewProject(tmp_path, port, settings="", urls="", replaced=replaced)
        try:
            printed = project.follow(blocks)
            assert "no issues" in printed["python manage.py check"]
            [challenge] = project.follow([unauthorized]).values()
            assert challenge.strip() == 'WWW-Authenticate: Bearer scope="read"'
            assert json.loads(client_output(project)) == json.loads(answer.text)
        finally:
            project.stop()


def client_output(project):
    client = subprocess.Popen(
        [sys.executable, "client.py"], cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        address = client.stdout.readline().removeprefix("Open ").strip()
        browser = requests.Session()
        login = browser.get(address, timeout=PATIENCE_SECONDS)
        credentials = {"username": "alice", "password": "correct-horse", "csrfmiddlewaretoken": csrf_token(login)}
        consent = browser.post(login.url, credentials, timeout=PATIENCE_SECONDS)
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', consent.text))
        browser.post(consent.url, {**fields, "allow": "Authorize"}, timeout=PATIENCE_SECONDS)
        return client.communicate(timeout=PATIENCE_SECONDS)[0]
    finally:
        client.kill()
        client.wait()
