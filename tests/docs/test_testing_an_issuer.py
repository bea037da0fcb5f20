"""The guide on testing a site that issues tokens, followed in a project without a signing key."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.patience import PATIENCE_SECONDS

from .blocks import TESTING_AN_ISSUER, blocks_of

pytestmark = pytest.mark.ci

[PLUGIN] = [block.text for block in blocks_of(TESTING_AN_ISSUER) if block.language == "ini"]
COMMANDS = [
    command for block in blocks_of(TESTING_AN_ISSUER) if block.language == "console" for command in block.commands
]

PROJECT = {
    "settings.py": """
from django_at_jwt import oauth2_provider_settings

SECRET_KEY = "x"
ROOT_URLCONF = "urls"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider", "django_at_jwt"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
OAUTH2_PROVIDER = {
    **oauth2_provider_settings(), "OIDC_ISS_ENDPOINT": "https://www.example.com/o", "SCOPES": {"read": "Read"}
}
AT_JWT = {"DEFAULT_RESOURCE": "https://www.example.com/"}
""",
    "urls.py": """
from django.http import HttpResponse
from django.urls import include, path
from oauth2_provider.decorators import protected_resource

urlpatterns = [
    path("o/", include("django_at_jwt.urls")),
    path("orders/", protected_resource()(lambda request: HttpResponse("ok"))),
]
""",
    "pytest.ini": """
[pytest]
DJANGO_SETTINGS_MODULE = settings
python_files = test_with_*.py
"""
    + PLUGIN,
}


@pytest.fixture
def folder(tmp_path):
    for name, text in PROJECT.items():
        (tmp_path / name).write_text(text)
    for block in blocks_of(TESTING_AN_ISSUER):
        if block.language == "python" and block.text.startswith("# "):
            (tmp_path / block.file).write_text(block.text)
    return tmp_path


def run(folder, *arguments):
    environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env={**environment, "DJANGO_SETTINGS_MODULE": "settings"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


def test_with_pytest_and_the_mixin(folder):
    finished = run(folder, "pytest", "-q", "-p", "no:randomly")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "2 passed" in finished.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=["in the settings", "on the command line"])
def test_with_the_test_runner(folder, command):
    # Without the mixin, whose issuer would take the runner's place.
    tests = folder / "test_with_unittest.py"
    tests.write_text(tests.read_text().replace("IssuingProjectMixin, ", ""))
    finished = run(folder, *command.removeprefix("python -m ").split(), "test_with_unittest")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "Ran 1 test" in finished.stderr
    assert "django_at_jwt.W001" not in finished.stderr


SPAWNING = """
import multiprocessing
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    execute_from_command_line(sys.argv)
"""


@pytest.mark.ci
def test_with_the_test_runner_in_processes_that_are_spawned(folder):
    """As on macOS. On Linux, they are forked."""
    tests = folder / "test_with_unittest.py"
    text = tests.read_text().replace("IssuingProjectMixin, ", "")
    # One process for each file.
    for file in (tests, folder / "test_with_unittest_too.py"):
        file.write_text(text)
    (folder / "spawning.py").write_text(SPAWNING)
    finished = run(folder, "spawning", "test", "--settings=test_settings", "--parallel=2")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "Ran 2 tests" in finished.stderr
