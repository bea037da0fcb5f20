"""Asking a remote issuer whether a token was revoked: when, how, and what happens while it cannot be asked."""

from __future__ import annotations

import base64
import json
import logging
import threading
from urllib.parse import parse_qs

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import Client
from django.urls import path

from django_at_jwt.conf import app_settings, problems_in
from django_at_jwt.core.errors import TokenRejected
from django_at_jwt.core.revocation import Revocation
from django_at_jwt.resource_server.remote import introspection
from django_at_jwt.resource_server.verification import accepted_issuers, verify_token
from django_at_jwt.views import access_token_required
from tests.core.token_factory import API
from tests.patience import PATIENCE_SECONDS

from .issuer_process import METADATA, Page
from .verdicts import verdict_on

ENDPOINT = "/o/introspect/"
SECRET = "s e:c%r&t"
OPTIONS = {"revocation": "introspect", "client_id": "the api", "client_secret": SECRET}
UNAVAILABLE = [
    Page(status=500),
    Page(status=401, body=b"{}"),
    Page(status=302, headers={"Location": "/o/elsewhere", "Content-Type": "application/json"}),
    Page(body=b"not JSON"),
    Page(body=b"[]"),
    Page(body=b"{}"),
    Page(body=b'{"active": "true"}'),
    Page(body=b'{"active": 1}'),
    Page(body=b'{"active": true, "active": false}'),
    Page(body=b'{"active": true}', headers={"Content-Type": "text/html"}),
    Page(body=b'{"active": true}', headers={"Content-Type": "application/json", "Content-Encoding": "gzip"}),
    Page(body=b'{"active": true, "x": "' + b"x" * 600_000 + b'"}'),
]


class Remote:
    """The issuer, and what this API makes of its answers."""

    def __init__(self, issuer, settings):
        self.issuer, self.settings = issuer, settings
        self.token = issuer.token()
        issuer.describe(introspection_endpoint=f"{issuer.root}{ENDPOINT}")
        self.configure()
        self.answer(active=True)

    def configure(self, *, others=(), **options):
        self.settings.AT_JWT = {
            "ISSUERS": self.issuer.settings(**{**OPTIONS, **options}),
            "ISSUER_TIMEOUT": 60,
            **dict(others),
        }

    def answer(self, *, active):
        self.issuer.pages[ENDPOINT] = Page(json.dumps({"active": active, "sub": "somebody else"}).encode())

    @property
    def asked(self):
        return self.issuer.requests[ENDPOINT]

    def verdict(self, token=None):
        return verdict_on(token or self.token)


@pytest.fixture
def remote(api, issuer, clock):
    return Remote(issuer, api)


def test_asks_with_the_clients_credentials(remote):
    assert remote.verdict() == "accepted"
    [seen] = [each for each in remote.issuer.seen if each["path"] == ENDPOINT]
    assert seen["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(seen["body"]) == {"token": [remote.token], "token_type_hint": ["access_token"]}
    scheme, _, credentials = seen["authorization"].partition(" ")
    assert (scheme, base64.b64decode(credentials)) == ("Basic", b"the+api:s+e%3Ac%25r%26t")


def test_claims_come_from_the_token(remote):
    assert verify_token(remote.token).subject != "somebody else"


def test_inactive_token_is_revoked(remote, caplog):
    remote.answer(active=False)
    assert remote.verdict() == "revoked"


def test_answers_are_used_for_seconds(remote, clock):
    for _ in range(3):
        assert remote.verdict() == "accepted"
    assert remote.asked == 1
    remote.answer(active=False)
    clock.pass_by(4.9)
    assert remote.verdict() == "accepted"
    clock.pass_by(0.2)
    assert remote.verdict() == "revoked"
    assert remote.asked == 2


def test_max_age_by_setting(remote):
    remote.configure(introspection_max_age=0)
    for _ in range(3):
        assert remote.verdict() == "accepted"
    assert remote.asked == 3


def test_each_token_has_its_own_answer(remote):
    other = remote.issuer.token(jti="another")
    assert remote.verdict() == "accepted"
    remote.answer(active=False)
    assert remote.verdict(other) == "revoked"
    assert remote.verdict() == "accepted"


def test_hostile_tokens_are_not_sent(remote):
    head, _, _ = remote.token.rpartition(".")
    for token in (f"{head}.AAAA", "x.y.z", "x", remote.issuer.token(aud="https://other.example.com/")):
        assert remote.verdict(token) not in {"accepted", "unavailable"}
    assert remote.asked == 0


def test_off_by_default_and_for_a_view(remote, api):
    remote.answer(active=False)
    assert verify_token(remote.token, API, Revocation.OFFLINE)
    remote.configure(revocation="offline")
    assert remote.verdict() == "accepted"
    assert verify_token(remote.token, API, Revocation.ROW)
    assert remote.asked == 0


def test_on_for_a_view(remote):
    remote.configure(revocation="offline")
    assert verify_token(remote.token, API, Revocation.INTROSPECT)
    assert remote.asked == 1
    remote.answer(active=False)
    with pytest.raises(TokenRejected):
        verify_token(remote.issuer.token(jti="another"), API, Revocation.INTROSPECT)


def test_view_that_asks_without_credentials_is_a_clear_error(remote):
    remote.configure(revocation="offline", client_secret=None)
    with pytest.raises(ImproperlyConfigured, match='add "client_id" and "client_secret"'):
        verify_token(remote.token, API, Revocation.INTROSPECT)


@pytest.mark.parametrize("page", UNAVAILABLE, ids=range(len(UNAVAILABLE)))
def test_answers_that_cannot_be_used(remote, page, caplog):
    remote.issuer.pages[ENDPOINT] = page
    assert remote.verdict() == "unavailable"
    assert remote.issuer.requests["/o/elsewhere"] == 0
    [record] = [each for each in caplog.records if "cannot be asked" in each.getMessage()]
    assert SECRET not in record.getMessage()
    assert remote.token not in record.getMessage()


def test_last_answer_while_the_issuer_is_away(remote, clock):
    assert remote.verdict() == "accepted"
    remote.issuer.pages[ENDPOINT] = Page(status=503)
    clock.pass_by(200)
    assert remote.verdict() == "accepted"
    # No answer about this token.
    assert remote.verdict(remote.issuer.token(jti="another")) == "unavailable"
    clock.pass_by(101)
    assert remote.verdict() == "unavailable"


def test_max_stale_by_setting(remote, clock):
    remote.configure(others={"REVOCATION_MAX_STALE": 0})
    assert remote.verdict() == "accepted"
    remote.issuer.pages[ENDPOINT] = Page(status=503)
    clock.pass_by(10)
    assert remote.verdict() == "unavailable"


def test_revoked_token_stays_revoked_while_the_issuer_is_away(remote, clock):
    remote.configure(others={"REVOCATION_UNAVAILABLE": "accept"})
    remote.answer(active=False)
    assert remote.verdict() == "revoked"
    remote.issuer.pages[ENDPOINT] = Page(status=503)
    clock.pass_by(400)
    assert remote.verdict() == "revoked"


def test_accepted_while_the_issuer_is_away_if_the_settings_say_so(remote):
    remote.configure(others={"REVOCATION_UNAVAILABLE": "accept"})
    remote.issuer.pages[ENDPOINT] = Page(status=503)
    assert remote.verdict() == "accepted"


def test_failing_issuer_is_not_asked_by_every_request(remote, clock):
    remote.issuer.pages[ENDPOINT] = Page(status=503)
    for number in range(5):
        assert remote.verdict(remote.issuer.token(jti=str(number))) == "unavailable"
    assert remote.asked == 1
    remote.answer(active=True)
    clock.pass_by(introspection.RETRY_AFTER)
    assert remote.verdict() == "accepted"


def test_threads_with_one_token_share_a_request(remote):
    with remote.issuer.holding(ENDPOINT) as asked:
        verdicts = []
        threads = [threading.Thread(target=lambda: verdicts.append(remote.verdict())) for _ in range(8)]
        for thread in threads:
            thread.start()
        assert asked.wait(PATIENCE_SECONDS)
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert verdicts == ["accepted"] * 8
    assert remote.asked == 1


def test_number_of_answers_is_bounded(remote, monkeypatch):
    monkeypatch.setattr(introspection, "_MOST_ANSWERS", 3)
    for number in range(6):
        assert remote.verdict(remote.issuer.token(jti=str(number))) == "accepted"
    [accepted] = accepted_issuers().values()
    assert len(accepted.revocation) == 3


class TestEndpoint:
    def test_of_the_settings(self, remote):
        remote.issuer.describe()
        remote.configure(introspection_endpoint=f"{remote.issuer.root}/elsewhere")
        remote.issuer.pages["/elsewhere"] = Page(b'{"active": false}')
        assert remote.verdict() == "revoked"
        assert remote.asked == 0

    @pytest.mark.parametrize("endpoint", [None, "http://as.example.com/introspect", "file:///etc/passwd", 1])
    def test_metadata_without_a_usable_one(self, remote, endpoint):
        remote.issuer.describe(introspection_endpoint=endpoint)
        assert remote.verdict() == "unavailable"

    def test_metadata_of_another_issuer(self, remote):
        assert remote.verdict() == "accepted"
        remote.configure()
        remote.issuer.describe(issuer="https://other.example.com", introspection_endpoint=f"{remote.issuer.root}/x")
        assert remote.verdict() == "unavailable"
        assert remote.issuer.requests["/x"] == 0

    def test_is_looked_up_once(self, remote, clock):
        assert remote.verdict() == "accepted"
        fetched = remote.issuer.requests[METADATA]
        clock.pass_by(6)
        assert remote.verdict() == "accepted"
        assert remote.issuer.requests[METADATA] == fetched

    def test_stays_known_while_the_metadata_cannot_be_fetched(self, remote, clock):
        remote.configure(others={"ISSUER_MAX_AGE": 60})
        assert remote.verdict() == "accepted"
        remote.issuer.pages[METADATA] = Page(status=503)
        clock.pass_by(61)
        remote.answer(active=False)
        assert remote.verdict() == "revoked"


class TestSettings:
    @pytest.mark.parametrize("name", ["client_id", "client_secret"])
    def test_credentials_are_required(self, remote, name):
        remote.configure(**{name: None})
        with pytest.raises(ImproperlyConfigured, match=f'needs a "{name}"'):
            app_settings()

    def test_secret_is_in_no_message_and_no_representation(self, remote):
        assert SECRET not in repr(app_settings())
        [accepted] = accepted_issuers().values()
        assert SECRET not in repr(accepted)
        wrong = {"ISSUERS": {"https://as.example.com": {"client_secret": [SECRET], "revocation": "introspect"}}}
        problems = problems_in(wrong)
        assert problems
        assert SECRET not in str(problems)


def test_over_http(remote, caplog, api):
    """A view answers 401 to a revoked token, and 503 while the issuer cannot be asked."""
    api.ROOT_URLCONF = __name__
    headers = {"Authorization": f"Bearer {remote.token}"}
    assert Client().get("/", headers=headers).status_code == 200
    remote.configure()
    remote.answer(active=False)
    refused = Client().get("/", headers=headers)
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused["WWW-Authenticate"]
    remote.configure()
    remote.issuer.pages[ENDPOINT] = Page(status=500)
    with caplog.at_level(logging.CRITICAL):
        unavailable = Client().get("/", headers=headers)
    assert unavailable.status_code == 503
    assert int(unavailable["Retry-After"]) > 0


@access_token_required(scopes=[], audience=API)
def _view(_request):
    return HttpResponse("in")


urlpatterns = [path("", _view)]
