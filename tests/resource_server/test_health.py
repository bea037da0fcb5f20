"""The age of remote issuers' keys, as the health report shows it."""

from __future__ import annotations

import pytest

from django_at_jwt.conf import clear_process_caches, oauth2_provider
from django_at_jwt.core.errors import KeysUnavailable
from django_at_jwt.health.report import health_report
from django_at_jwt.resource_server.health import remote_issuers_health
from django_at_jwt.resource_server.remote.key_source import RETRY_AFTER
from django_at_jwt.resource_server.verification import verify_token

pytestmark = pytest.mark.usefixtures("api")


def report():
    health = remote_issuers_health()
    [found] = health.facts["issuers"]
    return health.status.value, found


def test_issuer_that_was_not_needed_yet_is_neither_a_problem_nor_asked(issuer):
    status, found = report()
    assert status == "ok"
    assert (found["copy"], found["seconds_old"], found["usable"]) == ("none", None, False)
    assert not issuer.requests


def test_age_of_this_process_and_of_the_shared_copy(issuer, clock):
    verify_token(issuer.token())
    clock.pass_by(20)
    _, found = report()
    assert (found["issuer"], found["copy"]) == (issuer.issuer, "process")
    assert 20 <= found["seconds_old"] < 50
    clear_process_caches()
    assert report()[1]["copy"] == "shared"
    assert issuer.fetches == 1


def test_failing_issuer_is_a_problem_once_its_keys_are_old(issuer, clock):
    verify_token(issuer.token())
    issuer.stop()
    clock.pass_by(3000)
    verify_token(issuer.token())
    assert report()[0] == "ok"
    assert report()[1]["failing"]
    clock.pass_by(700)
    status, found = report()
    assert (status, found["usable"]) == ("warning", True)
    issuer.start()
    clock.pass_by(RETRY_AFTER)
    verify_token(issuer.token())
    status, found = report()
    assert (status, found["failing"]) == ("ok", False)


def test_failure_is_forgotten_if_no_token_has_arrived_since(issuer, clock):
    verify_token(issuer.token())
    issuer.stop()
    clock.pass_by(3700)
    verify_token(issuer.token())
    assert report()[0] == "warning"
    clock.pass_by(3500)
    assert report()[0] == "warning"
    clock.pass_by(200)
    status, found = report()
    assert (status, found["failing"]) == ("ok", False)


def test_issuer_whose_keys_were_never_fetched(issuer):
    issuer.stop()
    with pytest.raises(KeysUnavailable):
        verify_token(issuer.token())
    health = remote_issuers_health()
    assert health.status.value == "warning"
    assert "answered with 503" in health.problems[0].text


def test_project_that_only_accepts_tokens_reports_only_issuers(issuer, monkeypatch):
    monkeypatch.setattr(oauth2_provider.apps, "is_installed", lambda name: name != "oauth2_provider")
    assert {*health_report().facts} == {"at", "issuers"}
