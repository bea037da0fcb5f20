"""The page on client secrets, followed in a new project: in and out again."""

from __future__ import annotations

import json
import shutil
import string

import pytest

from django_at_jwt.authorization_server.client_secrets.attempts import MOST_FAILURES, WINDOW_SECONDS
from tests.ports import reserved_port

from .blocks import CLIENT_SECRETS, INSTALLATION, blocks_of
from .new_project import NewProject

pytestmark = pytest.mark.skipif(
    not shutil.which("curl") or not shutil.which("bash"), reason="the pages' commands need bash and curl"
)

# With Django's own password hashers, unlike other new projects of the tests.
SETTINGS = """
INSTALLED_APPS += ["oauth2_provider"]
OAUTH2_PROVIDER = {"SCOPES": {"read": "Read", "write": "Write"}}
"""
SECRET = (string.ascii_letters + string.digits) * 2 + "abcd"
# A client with a generated secret, and two with secrets that people have chosen.
BEFORE = f"""
from oauth2_provider.models import Application

for client_id, secret in {{"web-shop": "{SECRET}", "one": "hand-set", "two": "hand-set"}}.items():
    Application.objects.create(
        client_type="confidential",
        authorization_grant_type="client-credentials",
        client_id=client_id,
        client_secret=secret,
    )
"""
TOKEN = "curl --silent --user {client}:{secret} --data grant_type=client_credentials https://www.example.com/o/token/"


@pytest.mark.ci
def test_page_in_a_new_project(tmp_path):
    installing = [block for block in blocks_of(INSTALLATION) if block.language == "python"]
    settings, urls = (
        next(block for block in installing if block.file == f"mysite/{name}.py") for name in ("settings", "urls")
    )
    turning_on, creating, reporting, reported = blocks_of(CLIENT_SECRETS)
    with reserved_port() as port:
        project = NewProject(tmp_path, port, settings=SETTINGS)
        try:
            project.follow([settings, urls])
            before = (project.folder / "mysite/settings.py").read_text()
            project.run("python manage.py migrate --verbosity 0")
            (project.folder / "before.py").write_text(BEFORE)
            project.run("python manage.py shell < before.py")

            printed = project.follow([turning_on, creating])
            assert "Created the key that hashes client secrets." in printed["python manage.py rotate_signing_keys"]
            assert "no issues" in project.run("python manage.py check")
            with_hasher = (project.folder / "mysite/settings.py").read_text()
            assert_tokens(project)
            [command] = reporting.commands
            assert project.run(command) == reported.text

            leaving = with_hasher.replace('OAUTH2_PROVIDER["CLIENT_SECRET_HASHER"]', "_")
            assert leaving != with_hasher
            set_settings(project, leaving)
            assert_tokens(project)
            assert project.run(command) == "3 clients: password hash, pbkdf2_sha256\nNo client secret needs this app.\n"
            set_settings(project, before)
            assert "no issues" in project.run("python manage.py check")
            assert_tokens(project)
        finally:
            project.stop()


def assert_tokens(project):
    for client, secret in {"web-shop": SECRET, "one": "hand-set"}.items():
        answer = json.loads(project.run(TOKEN.format(client=client, secret=secret)))
        assert answer["access_token"].startswith("eyJ")
        wrong = json.loads(project.run(TOKEN.format(client=client, secret="wrong")))
        assert wrong["error"] == "invalid_client"


def set_settings(project, text):
    project.stop()
    (project.folder / "mysite/settings.py").write_text(text)


def test_numbers():
    text = " ".join(CLIENT_SECRETS.read_text().split())
    assert f"at most {MOST_FAILURES} wrong secrets per client and minute" in text
    assert WINDOW_SECONDS == 60
