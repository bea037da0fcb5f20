"""The page on moving from opaque tokens: its settings, its steps, its example of the report."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model

from django_at_jwt.checks.token_formats import check_opaque_tokens_are_accepted
from tests.authorization_server.test_token_format_report import AT_JWT, OPAQUE, choose, format_of
from tests.commands import run

from .blocks import OLD_TOKENS, blocks_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]

[SETTINGS] = [block.text for block in blocks_of(OLD_TOKENS) if block.text.startswith("# mysite/settings.py")]
[EXAMPLE] = [block.text for block in blocks_of(OLD_TOKENS) if block.language == "text"]
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")


def status(token):
    return Client().get("/whoami/", headers={"Authorization": f"Bearer {token}"}).status_code


def test_steps(settings, make_client):
    at_jwt = {**settings.AT_JWT}
    exec(SETTINGS.replace("https://www.example.com/", settings.API), {"AT_JWT": at_jwt})
    before = settings.AT_JWT
    settings.AT_JWT = at_jwt
    billing, shop = (
        make_client("client-credentials", client_id=client_id, name=name)
        for client_id, name in (("billing", "Billing"), ("web-shop", "Web shop"))
    )

    def token(client):
        return client.token("client_credentials").json()["access_token"]

    old = [token(billing), token(shop)]
    assert {*map(format_of, old)} == {OPAQUE}
    choose(billing, AT_JWT)
    new = token(billing)
    assert format_of(new) is AT_JWT
    assert [status(each) for each in (*old, new)] == [200, 200, 200]
    assert check_opaque_tokens_are_accepted() == []

    get_access_token_model().objects.filter(application=billing.application).earliest("pk").delete()
    shown = _INSTANT.sub("an instant", run("token_formats")).replace(settings.API, "https://www.example.com/")
    assert shown == re.sub(r"\b12\b", "1", re.sub(r"\b3\b", "1", _INSTANT.sub("an instant", EXAMPLE))).replace(
        "1 tokens", "1 token"
    ).replace("1 live opaque tokens", "1 live opaque token").replace("1 live at+jwt tokens", "1 live at+jwt token")

    settings.AT_JWT = {**before, "ACCEPT_OPAQUE_TOKENS": True}
    choose(billing, None)
    assert {format_of(token(each)) for each in (billing, shop)} == {AT_JWT}
    assert status(old[1]) == 200
    get_access_token_model().objects.update(expires=timezone.now() - timedelta(seconds=1))
    assert run("token_formats").startswith("No live opaque tokens.\n")
    settings.AT_JWT = before
    assert status(token(shop)) == 200
