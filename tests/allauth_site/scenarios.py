"""Logins by django-allauth over HTTP. test_allauth.py runs them with this folder's settings."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import struct
import time

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.db import SessionStore
from django.core.checks import run_checks
from django.test import Client

from django_at_jwt.authorization_server.login.events import authentication_of
from tests.authorization_server.login.test_events import ENTRY, event_in, request_in, time_passes

from .passkey import Passkey

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse"


@pytest.fixture
def secret(user):
    secret = base64.b32encode(secrets.token_bytes(20)).decode()
    TOTP.activate(user, secret)
    return secret


@pytest.fixture
def recovery_code(user, secret):
    return RecoveryCodes.activate(user).get_unused_codes()[0]


def one_time_password(secret):
    """RFC 6238 with its defaults."""
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    [number] = struct.unpack(">I", digest[digest[-1] & 15 :][:4])
    return f"{(number & 0x7FFFFFFF) % 10**6:06}"


def post(client, address, **data):
    answer = client.post(address, data)
    assert answer.status_code == 302, answer.content
    return answer["Location"]


def log_in(client, password=PASSWORD):
    return post(client, "/accounts/login/", login="alice", password=password)


def claims(client):
    event = event_in(client)
    return (event.methods, event.context)


class TestLogin:
    def test_password(self, client, user):
        before = int(time.time())
        log_in(client)
        assert claims(client) == (("pwd",), None)
        assert before <= event_in(client).authenticated_at <= time.time()

    def test_password_and_one_time_password(self, client, user, secret):
        assert "2fa/authenticate" in log_in(client)
        # The password alone does not log in.
        assert ENTRY not in client.session
        post(client, "/accounts/2fa/authenticate/", code=one_time_password(secret))
        assert claims(client) == (("pwd", "otp", "mfa"), "urn:example:two")

    def test_password_and_recovery_code(self, client, user, recovery_code):
        log_in(client)
        post(client, "/accounts/2fa/authenticate/", code=recovery_code)
        assert claims(client) == (("pwd", "mfa"), "urn:example:two")

    def test_code_by_email(self, client, user, mailoutbox):
        EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
        post(client, "/accounts/login/code/", email=user.email)
        code = re.search(r"^([A-Z0-9-]{6,10})$", mailoutbox[0].body, re.MULTILINE)[1]
        post(client, "/accounts/login/code/confirm/", code=code)
        # Who reads the mail is not said by any value of RFC 8176, and the backend was not asked for a password.
        assert claims(client) == ((), None)

    def test_code_by_email_where_django_names_its_own_backend(self, client, user, mailoutbox, settings):
        settings.AUTHENTICATION_BACKENDS = settings.AUTHENTICATION_BACKENDS[:1]
        self.test_code_by_email(client, user, mailoutbox)
        assert client.session["_auth_user_backend"] == "django.contrib.auth.backends.ModelBackend"

    def by_passkey(self, client, passkey, *, verified):
        options = client.get("/accounts/2fa/webauthn/login/", headers={"X-Requested-With": "XMLHttpRequest"}).json()
        credential = passkey.answer(options["request_options"], verified=verified)
        return client.post("/accounts/2fa/webauthn/login/", {"credential": credential})

    def test_passkey(self, client, user):
        assert self.by_passkey(client, Passkey(user), verified=True).status_code == 302
        assert claims(client) == (("pop", "user", "mfa"), "urn:example:two")

    def test_passkey_that_has_not_verified_its_user_does_not_log_in(self, client, user):
        # What the two factors of the one above are claimed for.
        self.by_passkey(client, Passkey(user), verified=False)
        assert event_in(client) is None

    def test_password_and_passkey(self, client, user):
        passkey = Passkey(user)
        page = client.get(log_in(client))
        options = page.context["js_data"]["request_options"]
        post(client, "/accounts/2fa/authenticate/", credential=passkey.answer(options, verified=False))
        assert claims(client) == (("pwd", "pop", "user", "mfa"), "urn:example:two")

    def test_signup(self, client, db):
        form = {
            "username": "bob",
            "email": "bob@example.com",
            "password1": "battery staple",
            "password2": "battery staple",
        }
        post(client, "/accounts/signup/", **form)
        assert claims(client) == ((), None)

    def test_djangos_own_login(self, client, user):
        get_user_model().objects.update(is_staff=True)
        post(client, "/admin/login/", username="alice", password=PASSWORD)
        assert claims(client) == (("pwd",), None)

    def test_another_user_began_in_this_session(self, client, user, secret):
        log_in(client)
        session = client.session
        [record] = session["account_authentication_methods"]
        session["account_authentication_methods"] = [record, {**record, "method": "mfa", "type": "totp"}]
        session.save()
        bob = get_user_model().objects.create_user("bob", password=PASSWORD, is_staff=True)
        post(client, "/admin/login/", username="bob", password=PASSWORD)
        assert client.session["_auth_user_id"] == str(bob.pk)
        assert len(client.session["account_authentication_methods"]) == 2
        assert claims(client) == (("pwd",), None)

    def test_logout(self, client, user):
        log_in(client)
        post(client, "/accounts/logout/")
        assert event_in(client) is None


class TestReauthentication:
    def grow_old(self, client, seconds):
        time_passes(client, seconds)
        session = client.session
        session["account_authentication_methods"] = [
            {**record, "at": record["at"] - seconds} for record in session["account_authentication_methods"]
        ]
        session.save()

    @pytest.fixture
    def logged_in(self, client, user, secret):
        log_in(client)
        post(client, "/accounts/2fa/authenticate/", code=one_time_password(secret))

    def test_it_moves_the_instant(self, client, logged_in):
        self.grow_old(client, 60)
        first = event_in(client)
        post(client, "/accounts/reauthenticate/", password=PASSWORD)
        assert event_in(client).authenticated_at >= first.authenticated_at + 60
        # The second factor was shown a minute ago.
        assert set(claims(client)[0]) == {"pwd", "otp", "mfa"}

    def test_what_was_not_shown_again_is_not_claimed_again(self, client, logged_in):
        self.grow_old(client, 3600)
        post(client, "/accounts/reauthenticate/", password=PASSWORD)
        assert claims(client) == (("pwd",), None)

    def test_by_a_second_factor(self, client, logged_in, recovery_code):
        self.grow_old(client, 3600)
        post(client, "/accounts/reauthenticate/", password=PASSWORD)
        post(client, "/accounts/2fa/reauthenticate/", code=recovery_code)
        assert claims(client) == (("pwd", "mfa"), "urn:example:two")

    def test_that_fails(self, client, logged_in):
        first = event_in(client)
        assert client.post("/accounts/reauthenticate/", {"password": "wrong"}).status_code == 200
        assert event_in(client) == first

    def test_the_site_is_asked_again(self, client, logged_in, settings):
        settings.AT_JWT = {**settings.AT_JWT, "AUTHENTICATION_EVENT": "tests.site.logins.by_smart_card"}
        post(client, "/accounts/reauthenticate/", password=PASSWORD)
        assert claims(client) == (("sc", "pin", "mfa"), "urn:example:two")


class TestHeadless:
    def call(self, client, kind, path, token=None, **data):
        headers = {"X-Session-Token": token} if token else {}
        return client.post(f"/_allauth/{kind}/v1/auth/{path}", data, "application/json", headers=headers).json()

    def test_browser(self, client, user, secret):
        answer = self.call(client, "browser", "login", username="alice", password=PASSWORD)
        assert answer["status"] == 401
        answer = self.call(client, "browser", "2fa/authenticate", code=one_time_password(secret))
        assert answer["status"] == 200
        assert claims(client) == (("pwd", "otp", "mfa"), "urn:example:two")

    def test_app(self, user, secret):
        answer = self.call(Client(), "app", "login", username="alice", password=PASSWORD)
        token = answer["meta"]["session_token"]
        answer = self.call(Client(), "app", "2fa/authenticate", token, code=one_time_password(secret))
        event = authentication_of(request_in(SessionStore(answer["meta"]["session_token"])))
        assert event.methods == ("pwd", "otp", "mfa")

    def test_reauthentication(self, client, user):
        self.call(client, "browser", "login", username="alice", password=PASSWORD)
        time_passes(client, 100)
        first = event_in(client)
        assert self.call(client, "browser", "reauthenticate", password=PASSWORD)["status"] == 200
        assert event_in(client).authenticated_at >= first.authenticated_at + 100


def test_this_django_allauth_is_read(db):
    assert "django_at_jwt.W007" not in {message.id for message in run_checks()}


def test_older_django_allauth_is_not_read_and_said_so(client, user, monkeypatch):
    def get_authentication_records(request):
        return [{"method": "password", "at": time.time()}, {"method": "mfa", "type": "totp", "at": time.time()}]

    monkeypatch.setattr("allauth.account.authentication.get_authentication_records", get_authentication_records)
    assert "django_at_jwt.W007" in {message.id for message in run_checks()}
    log_in(client)
    assert claims(client) == (("pwd",), None)
