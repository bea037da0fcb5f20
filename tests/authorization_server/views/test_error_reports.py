"""Error reports that Django mails to administrators contain no secret, code, token or key."""

from __future__ import annotations

import base64
import logging
import sys
from datetime import timedelta
from itertools import count
from urllib.parse import parse_qsl, urlsplit

import django
import pytest
from django.core import mail
from django.core.signals import got_request_exception
from django.db import OperationalError, ProgrammingError
from django.test import Client
from django.utils import timezone
from django.utils.log import AdminEmailHandler
from django.views.debug import ExceptionReporter
from oauth2_provider.models import get_access_token_model

from django_at_jwt.authorization_server.claims.registry import claim_mappers
from django_at_jwt.authorization_server.keys.last_expiry import last_token_expiry
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.authorization_server.revocation.deny_list import deny_list
from django_at_jwt.conf import app_settings, problems_in
from django_at_jwt.conf import validators as particular_values
from django_at_jwt.core.jose.keys import PrivateKey, PublicKey
from django_at_jwt.core.verifier import CompactJws
from django_at_jwt.resource_server.rest_framework import authentication
from django_at_jwt.resource_server.token_cache import TokenCache
from django_at_jwt.resource_server.verification import _token_cache
from tests.openid_connect import OPENID_CONNECT
from tests.site.registration import OPEN_REGISTRATION

from .broken_database import CALLS, Site, failing

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys", "mailed")]


@pytest.fixture
def mailed(settings, monkeypatch):
    """Django's ``AdminEmailHandler``, with text and HTML reports."""
    address = "admin@example.com"
    settings.ADMINS = [address] if django.VERSION >= (6, 0) else [("admin", address)]
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPEN_REGISTRATION, **OPENID_CONNECT}
    settings.AT_JWT = {**settings.AT_JWT, "INTROSPECTION_BY_GET": True}
    # Django's own handler would write each report again, without HTML.
    monkeypatch.setattr(logging.getLogger("django"), "handlers", [])
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
    registry.clear()
    claim_mappers.clear()
    last_token_expiry.forget()
    deny_list.clear()
    _token_cache.cache_clear()


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


@pytest.mark.ci
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
            # Hashes of generated secrets, codes and tokens: all parameters of statements except IDs.
            made = {value for value in statements.values if len(value) > 25}
            assert_secret([*call.secrets, *(made - _known(call))])
    assert number > 1
    assert answer.status_code < 400, answer.content


def _known(call):
    """Values that are not secret: the client, its redirect URI and challenge, and registered metadata."""
    said = [*(call.data or {}).values(), *(value for _, value in parse_qsl(urlsplit(call.path).query))]
    return {value for value in said if isinstance(value, str) and value not in call.secrets} | {*call.path.split("/")}


@pytest.mark.parametrize(
    ("error", "status"), [(ProgrammingError("it is wrong"), 500), (OperationalError("the database is away"), 503)]
)
def test_no_secret_of_the_query_wherever_a_server_repeats_it(error, status, service):
    path = "/o/introspect/?a=b&token=hush&token=hush+hush&c=?"
    # As gunicorn and uWSGI do.
    browser = Client(raise_request_exception=False, RAW_URI=path, REQUEST_URI=f"http://testserver{path}")
    credentials = base64.b64encode(":".join(service.credentials.values()).encode()).decode()
    headers = {"Authorization": f"Basic {credentials}", "Referer": f"http://testserver{path}", "X-Original-URI": path}
    with failing(1, error):
        assert browser.get(path, headers=headers).status_code == status
    assert len([text for text in texts() if "RAW_URI" in text and "a=b" in text]) == 2
    assert not [text for text in texts() if "hush" in text]


@pytest.mark.parametrize("where", [(PrivateKey, "sign"), (PrivateKey, "from_jwk")], ids=["sign", "from_jwk"])
def test_no_key_when_signing_fails(where, service, monkeypatch):
    private = next(iter(key_store.current().signers.values())).open()
    numbers = private._private_key.private_numbers()

    def broken(*_args, **_kwargs):
        raise RuntimeError("something went wrong")

    forget()
    key_store._opened.clear()
    monkeypatch.setattr(*where, broken)
    service_browser = Client(raise_request_exception=False)
    answer = service_browser.post("/o/token/", {"grant_type": "client_credentials", **service.credentials})
    assert answer.status_code == 500
    assert_secret([service.credentials["client_secret"], str(numbers.d), str(numbers.p), str(numbers.q)])


def failing_verification(monkeypatch, where):
    def broken(*_args, **_kwargs):
        raise RuntimeError("something went wrong")

    monkeypatch.setattr(*where, broken)


IN_VERIFYING = [(CompactJws, "split"), (PublicKey, "verifies"), (TokenCache, "verify")]


@pytest.mark.parametrize("where", [*IN_VERIFYING, (authentication, "principal_for")], ids=lambda where: where[1])
def test_no_token_when_verifying_fails(where, service, monkeypatch):
    token = service.token("client_credentials").json()["access_token"]
    forget()
    failing_verification(monkeypatch, where)
    assert get("/whoami/", token).status_code == 500
    assert_secret(parts_of(token))


def test_no_token_whichever_statement_of_an_api_fails(web, user, settings):
    settings.AT_JWT = {**settings.AT_JWT, "ACCEPT_OPAQUE_TOKENS": True}
    opaque = get_access_token_model().objects.create(
        user=user, application=web.application, scope="read", token="an-opaque-token-of-some-length",
        expires=timezone.now() + timedelta(hours=1),
    )  # fmt: skip
    for token in (opaque.token, web.code_flow(user).json()["access_token"]):
        for number in count(1):
            forget()
            mail.outbox.clear()
            with failing(number, ProgrammingError("a statement is wrong")) as statements:
                answer = get("/whoami/", token)
            if statements.failed is None:
                break
            if answer.status_code == 500:
                assert_secret(parts_of(token))
        assert (answer.status_code, number > 1) == (200, True)


@pytest.mark.parametrize("path", ["/toolkit-drf/", "/toolkit-view/"])
@pytest.mark.parametrize("where", IN_VERIFYING[:2], ids=lambda where: where[1])
def test_no_token_in_our_frames_when_called_by_dot(path, where, service, monkeypatch):
    token = service.token("client_credentials").json()["access_token"]
    forget()
    failing_verification(monkeypatch, where)
    raised = []
    got_request_exception.connect(lambda **_kwargs: raised.append(sys.exc_info()), weak=False, dispatch_uid="test")
    try:
        assert get(path, token).status_code == 500
    finally:
        got_request_exception.disconnect(dispatch_uid="test")
    kind, error, trace = raised[0]
    # Frames of oauthlib and DOT hold the token too; they are out of scope.
    while "django_at_jwt/" not in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    # The first remaining frame is the decorator's.
    report = ExceptionReporter(None, kind, error, trace).get_traceback_text()
    assert not any(part in report for part in parts_of(token))


def get(path, token):
    return Client(raise_request_exception=False).get(path, headers={"Authorization": f"Bearer {token}"})


def parts_of(token):
    head, _, signature = token.rpartition(".")
    return [token, *filter(None, [head, signature, repr(head.encode()) if head else ""])]


def test_settings_that_cannot_be_read(settings, monkeypatch):
    key = base64.urlsafe_b64encode(b"the key-encryption key, 32 bytes").decode()
    settings.AT_JWT = {**settings.AT_JWT, "KEY_ENCRYPTION_KEYS": [key]}
    monkeypatch.setattr(particular_values.base64, "urlsafe_b64decode", None)
    for read in (app_settings, lambda: problems_in(settings.AT_JWT)):
        with pytest.raises(TypeError) as failed:
            read()
        trace = failed.tb.tb_next
        for report in ("get_traceback_text", "get_traceback_html"):
            assert key not in getattr(ExceptionReporter(None, failed.type, failed.value, trace), report)()
