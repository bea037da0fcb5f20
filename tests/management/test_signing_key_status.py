"""``signing_key_status``: the text, the JSON and the exit status for monitors."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError
from django.db import OperationalError
from django.utils import timezone

from django_at_jwt.authorization_server.keys.rotation_run import record_run
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.conf import clear_process_caches, oauth2_provider
from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.core.quotation import format_instant
from django_at_jwt.models import SigningKey
from tests.commands import run_to_exit
from tests.conftest import captured_statements

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly")]


def status(*options):
    """Return the output, and the exit status."""
    code, text = run_to_exit("signing_key_status", *options)
    return text, code


@pytest.fixture
def keys(signing_keys):
    record_run(timezone.now())
    now = timezone.now()
    return {row.state_at(now): row for row in signing_keys}


def test_sound_site_is_ok(keys):
    said, code = status()
    announced = keys[KeyState.ANNOUNCED]
    takeover, due = (format_instant(at) for at in (announced.signing_at, announced.signing_at - timedelta(days=9)))
    assert code == 0
    assert said.splitlines()[:4] == [
        f"OK: ES256 can sign; the next rotation is due from {due}.",
        f"ES256: {keys[KeyState.SIGNING].kid} signs.",
        f"Next change: {announced.kid} (ES256) is signing from {takeover}.",
        f"Next rotation: due from {due}.",
    ]
    assert said.splitlines()[4].endswith("(nothing was due).")
    assert said.splitlines()[5].startswith("Deny list: 0 entries, read ")


def test_missing_run_is_a_warning(keys):
    record_run(timezone.now() - timedelta(hours=40))
    said, code = status()
    assert code == 1
    assert said.splitlines()[0].startswith("WARNING: rotate_signing_keys last succeeded at ")
    assert status("--max-run-age", "200000")[1] == 0
    record_run(timezone.now() - timedelta(seconds=60))
    assert status("--max-run-age", "30")[1] == 1


def test_missing_key_is_critical():
    said, code = status()
    assert code == 2
    assert said.startswith("CRITICAL: ES256: no signing key; run manage.py rotate_signing_keys. ")
    assert "Last run: (none recorded)." in said


def test_unreadable_database_is_unknown(monkeypatch):
    def fail(_database):
        raise OperationalError("connection refused")

    clear_process_caches()
    monkeypatch.setattr(key_store._rows, "_read", fail)
    said, code = status()
    assert code == 3
    assert said.startswith("UNKNOWN: ")
    assert "connection refused" in said.splitlines()[0]
    assert status("--json")[1] == 3


@pytest.mark.parametrize("problem", ["settings", "project", "option", "great option"])
def test_unusable_project_is_unknown(problem, settings, monkeypatch):
    options = ("--max-run-age", "9" * 24) if problem == "great option" else ()
    if problem == "settings":
        settings.AT_JWT = {"LEEWAY": "x"}
    elif problem == "option":
        options = ("--max-run-age", "0")
    elif problem == "project":
        monkeypatch.setattr(oauth2_provider.apps, "is_installed", lambda name: name != "oauth2_provider")
    with pytest.raises(CommandError) as error:
        status(*options)
    assert error.value.returncode == 3
    assert "\n" not in str(error.value)


def test_json_has_the_status_and_the_last_run(keys):
    said, code = status("--json")
    report = json.loads(said)
    assert (report["status"], code) == ("ok", 0)
    assert report["rotation"]["last_run"]["outcome"] == "nothing_due"
    assert report["rotation"]["max_run_age_seconds"] == 36 * 3600


def test_changes_nothing(keys):
    with captured_statements() as statements:
        status()
    assert all(statement.startswith("SELECT") for statement in statements)


def test_shows_no_private_key(keys):
    said = status()[0] + status("--json")[0]
    assert not any(row.private_jwe in said for row in SigningKey.objects.all())
