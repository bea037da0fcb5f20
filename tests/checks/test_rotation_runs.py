"""The check that the rotation ran."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.db import OperationalError
from django.db.models import F
from django.utils import timezone

from django_at_jwt.authorization_server.keys import rotation_run
from django_at_jwt.authorization_server.keys.rotation_run import record_run
from django_at_jwt.checks import CheckId
from django_at_jwt.checks.keys import check_rotation_runs
from django_at_jwt.models import SigningKey

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def old_keys(signing_keys):
    SigningKey.objects.update(announced_at=F("announced_at") - 100 * HOUR)


def found():
    return [(message.id, message.msg) for message in check_rotation_runs()]


@pytest.mark.parametrize(("hours", "problems"), [(1, 0), (35, 0), (37, 1)])
def test_last_success(hours, problems, old_keys):
    record_run(timezone.now() - hours * HOUR)
    assert [each for each, _ in found()] == [CheckId.ROTATION_NOT_RUN] * problems


def test_setting(old_keys, settings):
    record_run(timezone.now() - 3 * HOUR)
    settings.AT_JWT = {**settings.AT_JWT, "ROTATION_RUN_MAX_AGE": 2 * HOUR}
    assert "at least every 2 hours" in found()[0][1]
    settings.AT_JWT = {**settings.AT_JWT, "ROTATION_RUN_MAX_AGE": 0}
    assert found() == []


def test_no_run_recorded(old_keys):
    assert "No successful run of rotate_signing_keys is recorded." in found()[0][1]


def test_new_site(signing_keys):
    assert found() == []


def test_failed_run(old_keys):
    record_run(timezone.now() - HOUR)
    record_run(timezone.now(), problem="The lock is taken.")
    [(_, message)] = found()
    assert message.endswith("failed: The lock is taken.")


def test_only_for_deployment(old_keys):
    assert CheckId.ROTATION_NOT_RUN not in {message.id for message in run_checks()}
    assert CheckId.ROTATION_NOT_RUN in {message.id for message in run_checks(include_deployment_checks=True)}


def test_table_that_cannot_be_read(old_keys, monkeypatch):
    def fail():
        raise OperationalError("no such table")

    monkeypatch.setattr(rotation_run, "read_last_run", fail)
    assert found() == []


def test_no_keys_yet():
    assert found() == []
