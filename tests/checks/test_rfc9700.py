"""``check --deploy`` reports each setting of the RFC 9700 profile that is off, and public clients without a grant."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.checks import run_checks
from django.db import DatabaseError

from django_at_jwt import oauth2_provider_settings
from django_at_jwt.authorization_server import rfc9700
from django_at_jwt.conf import RFC9700_PROFILE

pytestmark = pytest.mark.django_db

FLAGS = {f"django_at_jwt.W{number}" for number in range(111, 121)}


@pytest.fixture
def reported(settings):
    def run(*, deploy=True, **overrides):
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            **oauth2_provider_settings(profile="rfc9700"),
            **overrides,
        }
        messages = run_checks(tags=["security"], include_deployment_checks=deploy)
        return {message.id: message for message in messages if message.id in {*FLAGS, "django_at_jwt.W121"}}

    return run


def test_profile_leaves_nothing_to_report(reported):
    assert reported() == {}


@pytest.mark.parametrize(
    ("name", "value", "check_id"),
    [
        ("PKCE_REQUIRED", False, "W111"),
        ("COMPLIANT_BCP_RFC9700_PKCE_METHOD", False, "W112"),
        ("COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT", False, "W113"),
        ("COMPLIANT_BCP_RFC9700_PASSWORD_GRANT", False, "W114"),
        ("COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT", False, "W115"),
        ("COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS", False, "W116"),
        ("ROTATE_REFRESH_TOKEN", False, "W117"),
        ("REFRESH_TOKEN_REUSE_PROTECTION", False, "W118"),
        ("REFRESH_TOKEN_EXPIRE_SECONDS", None, "W119"),
        ("REFRESH_TOKEN_EXPIRE_SECONDS", 0, "W119"),
        ("REFRESH_TOKEN_GRACE_PERIOD_SECONDS", 0, "W120"),
        ("REFRESH_TOKEN_GRACE_PERIOD_SECONDS", 61, "W120"),
    ],
)
def test_each_setting_that_is_off_has_one_warning(name, value, check_id, reported):
    [(found, message)] = reported(**{name: value}).items()
    assert found == f"django_at_jwt.{check_id}"
    assert f'OAUTH2_PROVIDER["{name}"] to {RFC9700_PROFILE[name]}' in message.hint
    listed = check_id not in {"W115", "W116", "W120"}
    assert ("rfc9700_readiness" in message.hint) is listed
    assert ("The database does not show which" in message.hint) is not listed
    assert reported(deploy=False, **{name: value}) == {}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PKCE_REQUIRED", lambda client_id: client_id != "old"),
        ("REFRESH_TOKEN_EXPIRE_SECONDS", timedelta(days=1)),
        ("REFRESH_TOKEN_GRACE_PERIOD_SECONDS", 60),
    ],
)
def test_other_values_that_are_on(name, value, reported):
    assert reported(**{name: value}) == {}


def test_site_without_the_profile(settings):
    found = {message.id for message in run_checks(tags=["security"], include_deployment_checks=True)}
    assert FLAGS - found == {"django_at_jwt.W111", "django_at_jwt.W117"}  # On by DOT's default.


def test_public_clients_with_client_credentials(reported, make_client):
    make_client("client-credentials", client_id="confidential")
    make_client("authorization-code", client_type="public", client_id="browser")
    assert reported() == {}
    for client_id in ("two", "one"):
        make_client("client-credentials", client_type="public", client_id=client_id)
    [(check_id, message)] = reported().items()
    assert check_id == "django_at_jwt.W121"
    assert message.msg.endswith(": one, two.")


def test_clients_that_cannot_be_read(reported, monkeypatch):
    def broken(model):
        raise DatabaseError("no such table")

    monkeypatch.setattr(rfc9700, "primary_rows", broken)
    assert reported() == {}
