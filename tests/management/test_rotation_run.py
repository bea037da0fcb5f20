"""``rotate_signing_keys`` records each run, whatever its outcome."""

from __future__ import annotations

import io
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError
from django.db import OperationalError
from django.utils import timezone

from django_at_jwt.authorization_server.keys import rotation_run
from django_at_jwt.authorization_server.keys.rotation_run import last_run, read_last_run, record_run
from django_at_jwt.management.commands import rotate_signing_keys
from django_at_jwt.models import RotationRun, SigningKey
from tests.commands import run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly")]


def rotate(*options):
    errors = io.StringIO()
    run("rotate_signing_keys", *options, stderr=errors)
    return errors.getvalue()


@contextmanager
def rotation_failing_with(monkeypatch, error):
    def fail(**_options):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(rotate_signing_keys, "rotate_signing_keys", fail)
        yield


def test_run_that_made_keys_and_one_that_found_nothing_to_do():
    before = timezone.now()
    rotate()
    first = read_last_run()
    assert (first.changed, first.problem, first.succeeded_at) == (True, "", first.at)
    assert before <= first.at <= timezone.now()
    rotate()
    second = read_last_run()
    assert (second.changed, second.problem) == (False, "")
    assert second.succeeded_at > first.succeeded_at
    assert RotationRun.objects.count() == 1


def test_failed_run_keeps_the_last_success(monkeypatch):
    rotate()
    succeeded_at = read_last_run().succeeded_at
    error = TimeoutError("another change to the signing keys\nhas been running")
    with rotation_failing_with(monkeypatch, error), pytest.raises(CommandError):
        rotate()
    failed = read_last_run()
    assert failed.problem == (
        "The signing keys were not rotated: another change to the signing keys has been running. "
        "Is the database up, and was manage.py migrate run?"
    )
    assert failed.at > failed.succeeded_at == succeeded_at
    rotate()
    assert read_last_run().problem == ""


def test_key_that_cannot_be_opened_is_a_failed_run(settings):
    rotate()
    settings.SECRET_KEY = "another one"
    with pytest.raises(CommandError):
        rotate()
    assert "key-encryption key" in read_last_run().problem


def test_dry_run_is_not_recorded(monkeypatch):
    rotate("--dry-run")
    with rotation_failing_with(monkeypatch, TimeoutError("x")), pytest.raises(CommandError):
        rotate("--dry-run")
    assert read_last_run() is None


def test_unrecorded_run_rotates_all_the_same_and_says_so(monkeypatch):
    def fail(*_arguments, **_options):
        raise OperationalError("no such table")

    monkeypatch.setattr(rotate_signing_keys, "record_run", fail)
    said = rotate()
    assert said == "This run could not be recorded: no such table. Is the database up, and was manage.py migrate run?\n"
    assert SigningKey.objects.count() == 2


@pytest.mark.parametrize("error", [OperationalError("connection lost"), ImproperlyConfigured("no such driver")])
def test_error_of_the_rotation_is_raised_if_recording_fails_too(error, monkeypatch):
    def fail(*_arguments, **_options):
        raise error

    monkeypatch.setattr(rotate_signing_keys, "record_run", fail)
    with rotation_failing_with(monkeypatch, TimeoutError("locked")), pytest.raises(CommandError, match="locked"):
        rotate()


def test_long_or_unstorable_problem_is_shortened():
    record_run(timezone.now(), problem="\udcff\0" + "x" * 1000)
    assert read_last_run().problem == "??" + "x" * 495 + "..."


def test_read_from_the_primary_database_and_seldom(settings, django_assert_num_queries):
    settings.DATABASE_ROUTERS = ["tests.authorization_server.keys.test_replica.StaleReplica"]
    now = timezone.now()
    record_run(now - timedelta(hours=1))
    with django_assert_num_queries(1):
        assert last_run().at == now - timedelta(hours=1)
    with django_assert_num_queries(0):
        last_run()
    record_run(now)
    assert last_run().at == now
    assert rotation_run.primary_rows(RotationRun).db == "default"
