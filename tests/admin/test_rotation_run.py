"""The list of signing keys says when the rotation last ran."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone
from django.utils.html import escape

from django_at_jwt.admin.dates import format_instant
from django_at_jwt.admin.signing_key import last_run
from django_at_jwt.authorization_server.keys.rotation_run import record_run
from django_at_jwt.models import SigningKey

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys", "keys_made_quickly")]


def listed(admin_client):
    answer = admin_client.get("/admin/django_at_jwt/signingkey/")
    assert answer.status_code == 200
    return answer.text


def test_last_run(admin_client):
    at = timezone.now() - timedelta(hours=1)
    record_run(at)
    text = listed(admin_client)
    assert f"rotate_signing_keys last ran at {format_instant(at)}." in text
    assert "It must run at least" not in text


def test_rotation_that_no_longer_runs(admin_client):
    record_run(timezone.now() - timedelta(hours=40))
    assert "It must run at least every 36 hours; check its schedule." in listed(admin_client)


def test_failed_run(admin_client):
    record_run(timezone.now(), problem="<The lock> is taken.")
    assert escape("failed at") in listed(admin_client)
    assert escape("<The lock> is taken.") in listed(admin_client)


def test_no_run_yet(admin_client):
    assert "No run of rotate_signing_keys is recorded yet. Schedule it daily." in listed(admin_client)


def test_no_run_for_too_long(admin_client):
    SigningKey.objects.update(announced_at=timezone.now() - timedelta(days=9))
    text = listed(admin_client)
    assert "No successful run of rotate_signing_keys is recorded. It must run at least every 36 hours" in text
    assert "No run of rotate_signing_keys is recorded yet" not in text


def test_record_that_cannot_be_read(admin_client, monkeypatch):
    def fail():
        raise OperationalError("no such table")

    monkeypatch.setattr(last_run, "last_run", fail)
    assert "at-jwt-last-run" not in listed(admin_client)
