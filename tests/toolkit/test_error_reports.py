"""What Django mails to a site's administrators when a request fails holds no secret, code, token or key."""

from __future__ import annotations

import logging

import pytest
from django.core import mail
from django.db import ProgrammingError, connection
from django.test import Client
from django.utils.log import AdminEmailHandler

from django_at_jwt.authorization_server.claim_mappers import claim_mappers
from django_at_jwt.authorization_server.high_water import high_water_marks
from django_at_jwt.authorization_server.keystore import key_store
from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.core.keys import SigningKey, VerificationKey
from django_at_jwt.core.verifier import CompactJws
from django_at_jwt.resource_server import verification
from django_at_jwt.resource_server.rest_framework import authentication
from django_at_jwt.resource_server.verified_tokens import verified_tokens
from tests.toolkit.broken_database import CALLS, Site, failing

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys", "mailed")]


@pytest.fixture
def mailed(settings):
    """Django's own handler for errors, which mails each as text and as HTML."""
    settings.ADMINS = [("admin", "admin@example.com")]
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "DCR_ENABLED": True,
        "DCR_REGISTRATION_PERMISSION_CLASSES": ["oauth2_provider.dcr.AllowAllDCRPermission"],
        "OIDC_ENABLED": True,
    }
    handler = AdminEmailHandler(include_html=True)
    handler.setLevel(logging.ERROR)
    loggers = [logging.getLogger(name) for name in ("django.request", "django_at_jwt")]
    for each in loggers:
        each.addHandler(handler)
    yield
    for each in loggers:
        each.removeHandler(handler)


def forget():
    key_store.forget()
    registry.forget()
    claim_mappers.forget()
    high_water_marks.forget()
    verified_tokens.forget()


def texts():
    for message in mail.outbox:
        yield message.body
        yield from (alternative[0] for alternative in message.alternatives)


def assert_secret(secrets):
    assert any("Traceback" in text for text in texts())
    assert any("<!DOCTYPE html>" in text for text in texts())
    for text in texts():
        for secret in secrets:
            assert secret not in text


@pytest.mark.parametrize("name", CALLS)
def test_no_secret_whichever_statement_fails(name, make_client, user):
    call = getattr(Site(make_client, user), name)()
    number = 0
    while True:
        number += 1
        forget()
        mail.outbox.clear()
        with failing(number, ProgrammingError("a statement is wrong")) as statements:
            answer = call.send()
        if statements.failed is None:
            break
        if answer.status_code == 500:
            # Hashes of secrets, codes and tokens that are made on the way: all that the statements had, but for ids.
            made = {value for value in statements.values if len(value) > 25 and f"'{value}'" not in str(call.data)}
            assert_secret([*call.secrets, *(made - _known(call))])
    assert number > 1
    assert answer.status_code < 400, answer.content


def _known(call):
    """What is no secret: the client, its redirect URI and its challenge, and what a registration says."""
    plain = [value for value in (call.data or {}).values() if isinstance(value, str)]
    return {*(value for value in plain if value not in call.secrets), *call.path.replace("?", "/").split("/")}


@pytest.mark.parametrize("where", [(SigningKey, "sign"), (SigningKey, "from_jwk")], ids=["sign", "from_jwk"])
def test_no_key_when_signing_fails(where, service, monkeypatch):
    private = next(iter(key_store.current().signers.values())).open()
    numbers = private._operation_key.get_op_key("sign").private_numbers()

    def broken(*_args, **_kwargs):
        raise RuntimeError("something went wrong")

    forget()
    key_store._opened.clear()
    monkeypatch.setattr(*where, broken)
    service_browser = Client(raise_request_exception=False)
    answer = service_browser.post("/o/token/", {"grant_type": "client_credentials", **service.credentials})
    assert answer.status_code == 500
    assert_secret([service.credentials["client_secret"], str(numbers.d), str(numbers.p), str(numbers.q)])


@pytest.mark.parametrize(
    ("path", "where"),
    [
        ("/whoami/", (CompactJws, "split")),
        ("/whoami/", (VerificationKey, "verifies")),
        ("/whoami/", (verification.verified_tokens, "verify")),
        ("/whoami/", (authentication, "principal_for")),
        ("/toolkit-drf/", (VerificationKey, "verifies")),
        ("/toolkit-view/", (VerificationKey, "verifies")),
        ("/toolkit-view/", (CompactJws, "split")),
    ],
    ids=lambda value: value if isinstance(value, str) else value[1],
)
def test_no_token_when_verifying_fails(path, where, service, monkeypatch):
    token = service.token("client_credentials").json()["access_token"]
    forget()

    def broken(*_args, **_kwargs):
        raise RuntimeError("something went wrong")

    monkeypatch.setattr(*where, broken)
    header = {"Authorization": f"Bearer {token}"}
    answer = Client(raise_request_exception=False).get(path, headers=header)
    assert answer.status_code == 500
    head, payload, signature = token.split(".")
    assert_secret([token, head, payload, signature, repr(f"{head}.{payload}".encode())])


@pytest.mark.parametrize("path", ["/whoami/", "/toolkit-drf/", "/toolkit-view/"])
def test_no_token_whichever_statement_of_an_api_fails(path, web, user, settings):
    settings.AT_JWT = {**settings.AT_JWT, "ACCEPT_OPAQUE_TOKENS": True}
    tokens = [web.code_flow(user).json()["access_token"]]
    if path == "/whoami/":
        settings.AT_JWT = {**settings.AT_JWT, "ACCESS_TOKEN_FORMAT": "opaque"} if False else settings.AT_JWT
    for token in tokens:
        for number in range(1, 50):
            forget()
            mail.outbox.clear()
            with failing(number, ProgrammingError("a statement is wrong")) as statements:
                answer = Client(raise_request_exception=False).get(path, headers={"Authorization": f"Bearer {token}"})
            if statements.failed is None:
                break
            if answer.status_code == 500:
                assert_secret([token, *token.split(".")])
        assert answer.status_code == 200
        assert number > 1
    assert connection.in_atomic_block
