"""The suites pass on a site with swapped models and two databases, too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

from django_at_jwt.models import ResourceServer
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).resolve().parents[2]
MIGRATION = "tests/models/test_first_token.py"
SUITES = (
    "tests/authorization_server/oauthlib_bridge",
    "tests/authorization_server/revocation/test_events.py",
    "tests/authorization_server/revocation/test_revoke.py",
    "tests/resource_server/rest_framework/test_authentication.py",
    "tests/resource_server/users/test_user_modes.py",
    "tests/authorization_server/login/test_events.py",
    "tests/authorization_server/revocation/test_purge.py",
    "tests/authorization_server/keys/test_revocation.py",
    "tests/admin/test_signing_keys.py",
    "tests/admin/test_requests_that_break.py",
    "tests/admin/test_resource_servers.py",
    MIGRATION,
)
BRIDGE = SUITES[0]
# The first site shows them. They store nothing that the others don't.
ONCE = [
    f"--ignore={BRIDGE}/test_{name}.py"
    for name in (
        "audience",
        "bearer",
        "client_assertions",
        "client_authentication",
        "clients_without_algorithm",
        "flow_attacks",
        "generator",
        "lifetime_function",
        "pkce",
        "rfc9700",
    )
]


def run(settings, *arguments):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "DATABASE_URL"))}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**inherited, "DJANGO_SETTINGS_MODULE": settings},
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE_SECONDS,  # Whole suites run in it.
        check=False,
    )


@pytest.mark.ci
@pytest.mark.parametrize(
    ("settings", "suites"),
    [
        ("tests.swapped.settings", SUITES),
        ("tests.swapped.settings_users_away", (*ONCE, *SUITES)),
        # Other tests take the latest token by its number.
        ("tests.swapped.settings_uuid_tokens", (MIGRATION,)),
    ],
    ids=lambda value: value.rpartition(".")[2] if isinstance(value, str) else "",
)
def test_the_suites_pass(settings, suites):
    done = run(
        settings,
        "pytest",
        "--quiet",
        "-p",
        "tests.swapped.databases",
        "-p",
        "no:cacheprovider",
        f"--ds={settings}",
        "-m",
        "not ci",
        *suites,
    )
    if done.returncode:
        pytest.fail(f"With {settings}:\n{done.stdout}\n{done.stderr}", pytrace=False)


@pytest.mark.ci
def test_the_migrations_are_complete():
    done = run("tests.swapped.settings", "django", "makemigrations", "--check", "--dry-run")
    assert done.returncode == 0, done.stdout


@pytest.mark.ci
def test_signing_keys_are_changed_where_each_request_is_a_transaction():
    done = run("tests.swapped.settings_atomic", "tests.swapped.change_keys")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"statuses": [302, 302], "is_revoked": True}


@pytest.mark.django_db
@pytest.mark.ci
def test_resource_servers_move_from_one_site_to_the_other(tmp_path):
    everything = {
        "name": "Mail",
        "description": "Sends mail.",
        "scopes": {"read": "Read your mail", "write": ""},
        "lifetime": 300,
        "algorithm": "RS256",
        "token_format": "opaque",
        "open_to_all_clients": False,
        "clients": ["a client", "another"],
        "introspection_clients": ["a client"],
        "isolated": True,
        "enabled": False,
    }
    ResourceServer.objects.create(identifier="https://plain.example.com/", name="Plain")
    ResourceServer.objects.create(identifier="https://mail.example.com/", **everything)
    fixture = tmp_path / "resource_servers.json"
    options = {"use_natural_foreign_keys": True, "use_natural_primary_keys": True}
    call_command("dumpdata", "django_at_jwt.resourceserver", output=str(fixture), **options)

    done = run("tests.swapped.settings", "tests.swapped.load_fixture", str(fixture))
    assert done.returncode == 0, done.stderr
    sent, arrived = (
        {each["fields"]["identifier"]: each for each in json.loads(text)} for text in (fixture.read_text(), done.stdout)
    )
    # The site has one more API, and had an older state of one that was imported.
    assert arrived.pop("https://own.example.com/")["fields"]["name"] == "Its own"
    assert arrived == sent
    assert arrived["https://mail.example.com/"]["fields"].items() > everything.items()
