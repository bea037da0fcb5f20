"""The page on introspection: its settings, its command and its table of responses."""

from __future__ import annotations

import os
import shlex

import pytest
from django.test import Client

from django_at_jwt.conf import IssuerSettings, app_settings, problems_in
from django_at_jwt.resource_server.remote import introspection

from .blocks import INTROSPECTION, blocks_of, table_rows

pytestmark = pytest.mark.django_db

NAMED, GATEWAY, REMOTE = (block.text for block in blocks_of(INTROSPECTION) if block.language == "python")
[CURL] = [block.text for block in blocks_of(INTROSPECTION) if block.language == "sh"]
WORDS = " ".join(INTROSPECTION.read_text().split())


@pytest.fixture
def mail_api(settings, make_client, signing_keys):
    at_jwt = {**settings.AT_JWT}
    exec(NAMED, {"AT_JWT": at_jwt})
    settings.AT_JWT = at_jwt
    return make_client("client-credentials", client_id="mail-api")


@pytest.fixture
def token(mail_api, settings, service):
    [identifier] = settings.AT_JWT["RESOURCE_SERVERS"]
    return service.token("client_credentials", resource=identifier, scope="read").json()["access_token"]


def test_api_and_gateway(mail_api, token, settings, make_client):
    gateway = make_client("client-credentials", client_id="gateway")
    assert "." not in token
    assert mail_api.post("/o/introspect/", {"token": token}).json()["active"] is True
    assert gateway.post("/o/introspect/", {"token": token}).json() == {"active": False}
    at_jwt = {**settings.AT_JWT}
    exec(GATEWAY, {"AT_JWT": at_jwt})
    settings.AT_JWT = at_jwt
    assert gateway.post("/o/introspect/", {"token": token}).json()["active"] is True


def test_command_sends_what_the_endpoint_takes(mail_api, token):
    words = shlex.split(CURL)
    credentials = words[words.index("--user") + 1].replace("SECRET", mail_api.credentials["client_secret"])
    name, _, _value = words[words.index("--data") + 1].partition("=")
    client_id, _, secret = credentials.partition(":")
    answer = Client().post("/o/introspect/", {name: token, "client_id": client_id, "client_secret": secret})
    assert answer.json()["active"] is True


def test_statuses(mail_api, service, token):
    answers = {
        200: mail_api.post("/o/introspect/", {"token": "x"}),
        400: mail_api.post("/o/introspect/", {}),
        401: Client().post("/o/introspect/", {"token": "x"}),
        403: Client().post("/o/introspect/", {"token": "x"}, headers={"Authorization": f"Bearer {token}"}),
        405: Client().get("/o/introspect/"),
    }
    assert {status: answer.status_code for status, answer in answers.items()} == {status: status for status in answers}
    said = {int(row[0].split()[0]): row[0] for row in table_rows(INTROSPECTION, columns=2)}
    assert said.keys() == {*answers, 503}
    for status in (400, 401, 403):
        assert f"`{answers[status].json()['error']}`" in said[status]


def test_settings_of_an_api_in_another_project(monkeypatch, settings):
    monkeypatch.setenv("ORDERS_API_SECRET", "the secret")
    values = {"os": os}
    exec(REMOTE, values)
    assert problems_in(values["AT_JWT"]) == []
    settings.AT_JWT = values["AT_JWT"]
    [issuer] = app_settings().issuers
    assert issuer.client_secret == "the secret"


def test_numbers():
    assert f"for {IssuerSettings(issuer='x').introspection_max_age:g} seconds (`introspection_max_age`)" in WORDS
    assert f"about {round(introspection._MOST_ANSWERS, -3):,} tokens" in WORDS
    assert f"for {introspection.RETRY_AFTER:g} seconds after a failure" in WORDS
