"""``manage.py rfc9700_readiness`` lists the clients that the profile would break, and changes nothing."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError
from django.db import DatabaseError
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_grant_model

from django_at_jwt import oauth2_provider_settings
from django_at_jwt.management.commands import rfc9700_readiness as command
from tests.commands import run_to_exit

pytestmark = pytest.mark.django_db


def readiness(*options):
    return run_to_exit("rfc9700_readiness", *options)


def listed():
    status, text = readiness("--json")
    report = json.loads(text)
    return status, {(each["client_id"], each["setting"]): each["effect"] for each in report["clients"]}


def code_of(client, user, **fields):
    return get_grant_model().objects.create(
        user=user, application=client.application, code=str(fields), expires=timezone.now(), redirect_uri="x", **fields
    )


def test_profile_is_on(settings, make_client, user):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **oauth2_provider_settings(profile="rfc9700")}
    make_client("implicit")
    make_client("password")
    assert readiness() == (0, "All settings of the profile are on.\n")
    assert listed() == (0, {})


@pytest.mark.parametrize(
    ("grant", "setting"),
    [("implicit", "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT"), ("password", "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT")],
)
def test_grants_that_end(grant, setting, make_client):
    make_client(grant, client_id="old", name="Old\n\x1b[31mapp")
    make_client(client_id="new")
    make_client("client-credentials", client_id="service")
    assert listed() == (1, {("old", setting): "breaks"})
    status, text = readiness()
    assert status == 1
    assert "Turning them on breaks 1 client:\n" in text
    assert f"'old' ('Old\\n\\x1b[31mapp'): {setting}: it uses the {grant} grant" in text
    assert "Turning them on may break 0 clients." in text


def test_hybrid_grant_may_break(make_client):
    make_client("openid-hybrid", client_id="hybrid")
    assert listed() == (0, {("hybrid", "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT"): "may break"})


def test_challenges_of_codes_that_are_stored(make_client, user, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "PKCE_REQUIRED": False}
    for client_id, fields in (
        ("without", {}),
        ("plain", {"code_challenge": "a" * 43, "code_challenge_method": "plain"}),
        ("good", {"code_challenge": "a" * 43, "code_challenge_method": "S256"}),
    ):
        code_of(make_client(client_id=client_id), user, **fields)
    assert listed() == (
        1,
        {
            ("without", "PKCE_REQUIRED"): "breaks",
            ("plain", "PKCE_REQUIRED"): "may break",
            ("plain", "COMPLIANT_BCP_RFC9700_PKCE_METHOD"): "breaks",
            ("good", "PKCE_REQUIRED"): "may break",
        },
    )


def test_refresh_tokens(signing_keys, web, user, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ROTATE_REFRESH_TOKEN": False}
    client_id = web.application.client_id
    web.code_flow(user)
    both = {
        (client_id, "ROTATE_REFRESH_TOKEN"): "may break",
        (client_id, "REFRESH_TOKEN_REUSE_PROTECTION"): "may break",
    }
    assert listed() == (0, both)
    get_access_token_model().objects.update(expires=timezone.now() - timedelta(days=31))
    assert listed() == (1, {**both, (client_id, "REFRESH_TOKEN_EXPIRE_SECONDS"): "breaks"})
    assert "1 of its refresh tokens expire at once" in readiness()[1]


def test_refresh_tokens_that_have_ended(signing_keys, web, user):
    token = web.code_flow(user).json()
    web.post("/o/revoke_token/", {"token": token["refresh_token"]})
    assert listed() == (0, {})


def test_database_error_is_one_line(monkeypatch):
    def broken():
        raise DatabaseError("no such\ntable")

    monkeypatch.setattr(command, "affected_clients", broken)
    with pytest.raises(CommandError, match=r"^Nothing was listed: no such table"):
        readiness()
