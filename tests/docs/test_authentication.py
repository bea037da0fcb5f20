"""The page on logins: its settings, callables and tables."""

from __future__ import annotations

import re
import sys
import time
from types import ModuleType

import pytest
from django.contrib.auth import authenticate, login
from django.contrib.sessions.backends.db import SessionStore

from django_at_jwt.authorization_server.login.allauth import login_timeout, step_of
from django_at_jwt.authorization_server.login.events import authentication_of
from django_at_jwt.core.login import combined_methods, context_for
from tests.authorization_server.login.test_events import request_in

from .blocks import AUTHENTICATION, blocks_of, table_rows

pytestmark = pytest.mark.django_db

BLOCKS = [block for block in blocks_of(AUTHENTICATION) if block.language == "python"]


@pytest.fixture
def site(monkeypatch):
    """Import the modules of the page's site, as far as the page has them."""
    made = {"mysite": ModuleType("mysite"), "mysite.backends": ModuleType("mysite.backends")}
    for block in BLOCKS:
        if block.file != "mysite/settings.py":
            name = block.file.removesuffix(".py").replace("/", ".")
            made[name] = ModuleType(name)
            exec(block.text, vars(made[name]))
    from tests.site.logins import BadgeBackend

    made["mysite.backends"].SmartCardBackend = BadgeBackend
    for name, module in made.items():
        monkeypatch.setitem(sys.modules, name, module)


def set_as_in(settings, word):
    [block] = [block for block in BLOCKS if block.file == "mysite/settings.py" and word in block.text]
    # What the site has set already stays: the page adds to the dict.
    values = {"AT_JWT": dict(settings.AT_JWT)}
    exec(block.text, values)
    assert values["AT_JWT"].items() >= settings.AT_JWT.items()
    settings.AT_JWT = values["AT_JWT"]


@pytest.fixture
def request_(db):
    return request_in(SessionStore())


def logged_in(request, **credentials):
    login(request, authenticate(request, **(credentials or {"username": "alice", "password": "correct horse"})))
    return authentication_of(request)


def test_smart_card(request_, user, site, settings):
    set_as_in(settings, "SmartCardBackend")
    settings.AUTHENTICATION_BACKENDS = ["mysite.backends.SmartCardBackend"]
    said = re.search(r"Such a login has the `amr` `\[(.+?)\]`", AUTHENTICATION.read_text())[1]
    # The name of the path is the page's; the class is one of the tests.
    assert logged_in(request_, badge="alice").methods == tuple(re.findall(r'"(\w+)"', said))


def test_table_of_contexts(request_, user, settings):
    set_as_in(settings, "urn:example:smart-card")
    assert logged_in(request_).context == "urn:example:one-factor"
    contexts = settings.AT_JWT["AUTHENTICATION_CONTEXTS"]
    assert context_for(combined_methods(["pwd", "otp"]), contexts) == "urn:example:two-factors"
    assert context_for(combined_methods(["sc", "pin"]), contexts) == "urn:example:smart-card"
    # As the page warns.
    weakest_first = dict(reversed(contexts.items()))
    assert context_for(combined_methods(["pwd", "otp"]), weakest_first) == "urn:example:one-factor"


@pytest.mark.parametrize(
    ("methods", "is_staff", "context"),
    [
        (["sc", "pin"], True, "urn:example:checked-in-person"),
        (["sc", "pin"], False, None),
        (["pwd"], True, None),
    ],
)
def test_callable_for_the_context(methods, is_staff, context, request_, user, site, settings):
    set_as_in(settings, "mysite.contexts")
    backend = "django.contrib.auth.backends.ModelBackend"
    settings.AT_JWT = {**settings.AT_JWT, "AUTHENTICATION_METHODS": {backend: methods}}
    user.is_staff = is_staff
    user.save()
    assert logged_in(request_).context == context


def test_callable_for_the_event(request_, user, site, settings):
    set_as_in(settings, "mysite.logins")
    assert logged_in(request_).methods == ("pwd",)
    request_.session["company_login_at"] = int(time.time()) - 5
    event = logged_in(request_)
    assert event.as_claims() == {"auth_time": request_.session["company_login_at"], "amr": ["hwk", "pin", "mfa"]}


class TestTables:
    rows = {row[0]: tuple(re.findall(r"`(\w+)`", row[1])) for row in table_rows(AUTHENTICATION, columns=2)}
    records = {
        "password": [{"method": "password"}],
        "one-time password (TOTP)": [{"method": "mfa", "type": "totp"}],
        "recovery code": [{"method": "mfa", "type": "recovery_codes"}],
        "passkey or security key, after another step": [{"method": "mfa", "type": "webauthn"}],
        "login with a passkey alone": [{"method": "mfa", "type": "webauthn", "passwordless": True}],
        "code sent to a telephone": [{"method": "code", "phone": "+431"}],
        "code by e-mail, password reset by e-mail, account at another provider, sign-up": [
            {"method": "code", "email": "alice@example.com"},
            {"method": "password_reset", "email": "alice@example.com"},
            {"method": "socialaccount", "provider": "google", "uid": "1"},
        ],
    }

    @pytest.mark.parametrize("words", records)
    def test_of_django_allauth(self, words):
        for record in self.records[words]:
            step = step_of({"at": 1.0, **record})
            assert combined_methods(step.methods, factors=step.factors) == self.rows[words]

    def test_of_django(self, request_, user, settings):
        for words in [words for words in self.rows if words.startswith("`django.")]:
            settings.AUTHENTICATION_BACKENDS = [words.strip("`")]
            assert logged_in(request_).methods == self.rows[words]

    def test_they_have_them_all(self):
        assert len(self.rows) == len(self.records) + 4

    def test_minutes_of_a_login(self):
        assert f"the {login_timeout() // 60} minutes before" in " ".join(AUTHENTICATION.read_text().split())
