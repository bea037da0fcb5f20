"""django-allauth's records one at a time, and real logins on a separate site."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from django_at_jwt.authorization_server.login import allauth as allauth_records
from django_at_jwt.authorization_server.login.allauth import step_of
from django_at_jwt.core.login import AuthenticationStep, Factor
from tests.docs.blocks import ROOT
from tests.patience import PATIENCE_SECONDS


@pytest.mark.parametrize(
    ("record", "methods", "factors"),
    [
        ({"method": "password", "username": "alice"}, ["pwd"], []),
        ({"method": "password", "reauthenticated": True}, ["pwd"], []),
        ({"method": "mfa", "type": "totp", "id": 1}, ["otp"], []),
        ({"method": "mfa", "type": "recovery_codes", "id": 1}, [], [Factor.POSSESSION]),
        ({"method": "mfa", "type": "webauthn", "id": 1}, ["pop", "user"], []),
        ({"method": "mfa", "type": "webauthn", "id": 1, "passwordless": True}, ["pop", "user", "mfa"], []),
        ({"method": "mfa", "type": "new"}, [], []),
        ({"method": "code", "email": "alice@example.com"}, [], []),
        ({"method": "code", "phone": "+431"}, ["sms"], []),
        ({"method": "password_reset", "email": "alice@example.com"}, [], []),
        ({"method": "socialaccount", "provider": "google", "uid": "1"}, [], []),
        ({"method": ["password"]}, [], []),
        ({}, [], []),
    ],
)
def test_record(record, methods, factors):
    step = AuthenticationStep(at=1701423602.7, methods=tuple(methods), factors=frozenset(factors))
    assert step_of({"at": 1701423602.7, **record}) == step


@pytest.mark.parametrize("record", [None, "password", [], {"method": "password"}, {"method": "password", "at": "1"}])
def test_malformed_record(record):
    assert step_of(record) is None
    assert step_of({"method": "password", "at": True}) is None


def test_nothing_is_read_if_it_is_not_installed():
    assert not allauth_records.is_installed()
    assert allauth_records.steps_of(None, None) == []


@pytest.mark.ci
def test_real_logins():
    for module in "allauth.mfa", "fido2":
        pytest.importorskip(module, reason="django-allauth[mfa] is not installed")
    # A process cannot change its installed apps.
    inner = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/allauth_site/scenarios.py"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_CORE"))}
    environment["DJANGO_SETTINGS_MODULE"] = "tests.allauth_site.settings"
    run = subprocess.run(
        inner, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert int(re.search(r"(\d+) passed", run.stdout)[1]) >= 18
    assert "skipped" not in run.stdout
