"""The health of the issuer: its problems and their severity."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from django_at_jwt.authorization_server import health as issuer
from django_at_jwt.authorization_server.client_secrets.keys import client_secret_keys
from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.authorization_server.keys.rotation_run import record_run
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.authorization_server.revocation.deny_list import deny_list
from django_at_jwt.conf import clear_process_caches
from django_at_jwt.core.health import Health, HealthStatus, Problem, combined
from django_at_jwt.core.key_lifecycle import KeyState
from django_at_jwt.health.report import health_report
from django_at_jwt.models import ClientSecretKey
from tests.client_secret_fixtures import create_client_secret_key
from tests.signing_key_rows import key_in, let_time_pass

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly")]


def problems(**options):
    return [(problem.name, problem.status.value) for problem in health_report(**options).problems]


def texts():
    return " ".join(problem.text for problem in health_report().problems)


def spoil(state):
    row = key_in(state)
    row.private_jwe = "not a JWE"
    row.save()
    return row


@pytest.fixture
def running(signing_keys):
    """A site whose rotation has just run."""
    record_run(timezone.now())


class TestKeys:
    def test_sound_site(self, running):
        report = health_report().as_json()
        assert (report["status"], report["problems"]) == ("ok", [])
        signing, announced = key_in(KeyState.SIGNING), key_in(KeyState.ANNOUNCED)
        assert report["algorithms"] == [
            {"algorithm": "ES256", "can_sign": True, "kid": signing.kid, "problem": ""},
        ]
        assert report["next_transition"] == {
            "at": announced.signing_at.isoformat(),
            "kid": announced.kid,
            "algorithm": "ES256",
            "state": "signing",
        }

    def test_empty_table(self):
        assert ("cannot_sign", "critical") in problems()
        assert "run manage.py rotate_signing_keys" in texts()

    def test_signing_key_that_cannot_be_opened(self, running):
        row = spoil(KeyState.SIGNING)
        assert problems() == [("cannot_sign", "critical")]
        assert row.kid in texts()
        assert not health_report().as_json()["algorithms"][0]["can_sign"]

    def test_announced_key_that_cannot_be_opened_fails_no_request_yet(self, running):
        row = spoil(KeyState.ANNOUNCED)
        assert problems() == [("key_cannot_be_opened", "warning")]
        assert row.kid in texts()

    def test_keys_with_one_problem_say_it_once(self, running, settings):
        settings.SECRET_KEY = "another"
        clear_process_caches()
        with pytest.raises(CommandError):
            call_command("rotate_signing_keys")
        assert problems() == [
            ("cannot_sign", "critical"),
            ("key_cannot_be_opened", "warning"),
            ("rotation_failed", "warning"),
        ]
        assert texts().count("that this process does not have") == 1
        assert f"Signing key {key_in(KeyState.ANNOUNCED).kid} has the same problem." in texts()
        assert texts().endswith("failed: a signing key cannot be decrypted.")
        assert len(texts()) < 600

    def test_new_algorithm_without_a_key_until_the_next_rotation(self, running, settings):
        settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["ES256", "RS256"]}
        assert problems() == [("no_key", "warning")]

    def test_announced_algorithm_is_not_a_problem(self, running, settings):
        settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["ES256", "ES384"]}
        rotate_signing_keys()
        assert problems() == []

    def test_keys_that_cannot_be_read(self, running, monkeypatch):
        clear_process_caches()

        def fail(_database):
            raise OperationalError("connection refused")

        monkeypatch.setattr(key_store._rows, "_read", fail)
        assert "connection refused" in texts()
        assert problems() == [("keys_unreadable", "unknown")]

    def test_keys_in_memory_are_used_in_an_outage(self, running, monkeypatch):
        assert problems() == []

        def fail(_database):
            raise OperationalError("connection refused")

        monkeypatch.setattr(key_store._rows, "_read", fail)
        key_store.forget()
        assert problems() == []

    def test_client_secret_key_that_cannot_be_opened(self, running, keyed_hasher):
        create_client_secret_key()
        assert problems() == []
        ClientSecretKey.objects.update(private_jwe="not a JWE")
        client_secret_keys.clear()
        assert problems() == [("client_secret_key", "critical")]


class TestRotation:
    def test_takeover_is_not_a_problem(self, running):
        # Nine days before the takeover, the next key is due; a daily run announces it.
        for days in (80, 1.5, 0.4):
            let_time_pass(days=days)
            assert problems() == []
        rotate_signing_keys()
        let_time_pass(days=8.11)
        assert key_in(KeyState.RETAINED)
        assert problems() == []

    def test_overdue(self, running):
        let_time_pass(days=83.1)
        assert problems() == [("rotation_overdue", "warning")]
        rotate_signing_keys()
        assert problems() == []

    def test_no_longer_run(self, signing_keys):
        record_run(timezone.now() - timedelta(hours=37))
        assert problems() == [("rotation_not_run", "warning")]
        assert problems(max_run_age=timedelta(hours=38)) == []

    def test_reported_before_it_is_overdue(self, signing_keys):
        # The last run was just before a key was due.
        let_time_pass(days=81, hours=36.1)
        record_run(timezone.now() - timedelta(hours=36.2))
        assert problems() == [("rotation_not_run", "warning")]
        late_at = health_report().as_json()["rotation"]["late_at"]
        assert late_at > timezone.now().isoformat()

    def test_failed_run(self, running):
        record_run(timezone.now(), problem="The lock is taken.")
        assert problems() == [("rotation_failed", "warning")]
        assert texts().endswith("failed: The lock is taken.")

    @pytest.mark.parametrize(
        ("options", "outcome"),
        [({"changed": True}, "changed"), ({}, "nothing_due"), ({"problem": "locked"}, "failed")],
    )
    def test_last_run(self, options, outcome, signing_keys):
        now = timezone.now()
        record_run(now, **options)
        run = health_report().as_json()["rotation"]["last_run"]
        assert (run["at"], run["outcome"]) == (now.isoformat(), outcome)

    def test_run_that_cannot_be_read(self, signing_keys, monkeypatch):
        def fail():
            raise OperationalError("no such table")

        monkeypatch.setattr(issuer, "last_run", fail)
        assert problems() == [("rotation_unreadable", "warning")]


@pytest.mark.usefixtures("running")
@pytest.mark.skipif(connection.vendor != "sqlite", reason="another connection reads the deny list")
class TestDenyList:
    @pytest.fixture
    def unreadable(self, monkeypatch):
        def make():
            def fail(*_arguments, **_options):
                raise OperationalError("connection refused")

            monkeypatch.setattr("django_at_jwt.authorization_server.revocation.deny_list._rows", fail)
            deny_list.forget()

        return make

    def test_age_and_entries(self):
        fact = health_report().as_json()["deny_list"]
        assert fact["entries"] == 0
        assert fact["seconds_old"] < 300

    def test_that_was_never_read(self, unreadable):
        deny_list.clear()
        unreadable()
        assert problems() == [("deny_list", "critical")]

    def test_that_was_never_read_where_tokens_are_accepted_all_the_same(self, unreadable, settings):
        settings.AT_JWT = {**settings.AT_JWT, "REVOCATION_UNAVAILABLE": "accept"}
        deny_list.clear()
        unreadable()
        assert problems() == [("deny_list", "warning")]

    def test_that_was_read_a_while_ago(self, unreadable, settings, clock):
        settings.AT_JWT = {**settings.AT_JWT, "REVOCATION_MAX_AGE": 5}
        deny_list.renew()
        unreadable()
        assert problems() == []
        clock.pass_by(20)
        assert problems() == [("deny_list", "warning")]
        assert "could not be read for 2" in texts()

    def test_is_not_read_where_it_is_not_used(self, unreadable, settings):
        settings.AT_JWT = {**settings.AT_JWT, "REVOCATION": "offline"}
        unreadable()
        assert problems() == []
        assert health_report().as_json()["deny_list"] is None


def test_worst_problem_comes_first_and_decides():
    def part(status):
        return Health(problems=(Problem(status=status, name="x", text="x"),))

    order = [HealthStatus.WARNING, HealthStatus.UNKNOWN, HealthStatus.CRITICAL]
    for number, status in enumerate(order):
        found = combined(*map(part, order[: number + 1]))
        assert found.status is status
        assert found.as_json()["problems"][0]["status"] == status
    assert combined().status is HealthStatus.OK
