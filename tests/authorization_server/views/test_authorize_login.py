"""Logins that prompt, max_age or acr_values require (OpenID Connect Core section 3.1.2.1)."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings as django_settings
from django.test import Client

from django_at_jwt.core.login import MOST_ASKS
from tests.conftest import REDIRECT_URI

pytestmark = [pytest.mark.django_db, pytest.mark.compliance("9470-1")]

CHALLENGE = {"code_challenge": "c" * 43, "code_challenge_method": "S256"}
CONTEXTS = {"AUTHENTICATION_CONTEXTS": {"urn:example:password": ["pwd"]}}


class Browser:
    """A user's browser with several tabs, told apart by ``state``."""

    def __init__(self, application, user):
        self.application, self.user, self.client = application, user, Client()

    def query(self, **parameters):
        query = {
            "response_type": "code",
            "client_id": self.application.client_id,
            "redirect_uri": REDIRECT_URI,
            "scope": "read write",
            "state": "random_state_string",
            **CHALLENGE,
            **parameters,
        }
        return {name: value for name, value in query.items() if value is not None}

    def open(self, **parameters):
        return self.client.get("/o/authorize/", self.query(**parameters))

    def ask(self, **parameters):
        """Open the authorization endpoint, and return the address to which the login page redirects."""
        return self.return_address(self.open(**parameters))

    def return_address(self, sent):
        assert sent.status_code == 302, sent.content
        assert urlsplit(sent["Location"]).path == django_settings.LOGIN_URL
        return parse_qs(urlsplit(sent["Location"]).query)["next"][0]

    def log_in(self, user=None):
        self.client.force_login(user or self.user)

    def is_asked_to_log_in(self, address):
        page = self.client.get(address)
        return page.status_code == 302 and urlsplit(page["Location"]).path == django_settings.LOGIN_URL

    def sees_the_consent_page(self, address):
        page = self.client.get(address)
        return page.status_code == 200 and "consent" in page.context

    def error(self, address):
        page = self.client.get(address)
        assert page["Location"].startswith(REDIRECT_URI)
        return parse_qs(urlsplit(page["Location"]).query)["error"][0]


@pytest.fixture
def browser(signing_keys, web, user):
    return Browser(web.application, user)


@pytest.fixture
def logged_in(browser):
    browser.log_in()
    return browser


class TestPromptLogin:
    def test_user_who_has_just_logged_in_is_sent_to_log_in(self, logged_in):
        """See DOT's test_prompt_login."""
        return_address = logged_in.ask(prompt="login")
        assert "redirect_uri=https%3A%2F%2Fclient.example.com" in return_address
        assert "state=random_state_string" in return_address
        assert "scope=read+write" in return_address
        assert f"client_id={logged_in.application.client_id}" in return_address
        assert "prompt" not in return_address

    def test_together_with_create(self, logged_in, settings):
        """See DOT's test_authenticated_multi_value_prompt_forces_login."""
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "OIDC_RP_INITIATED_REGISTRATION_ENABLED": True,
            "OIDC_RP_INITIATED_REGISTRATION_URL": "/register/",
        }
        return_address = logged_in.ask(prompt="create login")
        assert "prompt=create" in return_address
        logged_in.log_in()
        assert logged_in.sees_the_consent_page(return_address)

    def test_is_met_only_by_a_login(self, logged_in):
        return_address = logged_in.ask(prompt="login")
        assert logged_in.is_asked_to_log_in(return_address)
        assert logged_in.is_asked_to_log_in(f"{return_address}&approval_prompt=force&max_age=1000")
        logged_in.log_in()
        assert logged_in.sees_the_consent_page(return_address)
        # Reloading the page requires no further login.
        assert logged_in.sees_the_consent_page(return_address)
        # A new authorization request does.
        logged_in.ask(prompt="login")
        assert logged_in.is_asked_to_log_in(return_address)

    def test_other_values_and_all_resources_come_back(self, logged_in):
        resources = [django_settings.API, django_settings.REPORTS]
        return_address = logged_in.ask(prompt="login consent", resource=resources)
        query = parse_qs(urlsplit(return_address).query)
        assert (query["prompt"], query["resource"]) == (["consent"], resources)

    @pytest.mark.parametrize("approval", [{}, {"approval_prompt": "auto"}], ids=["skipped", "auto"])
    def test_no_code_without_it(self, approval, logged_in, web, user):
        web.code_flow(user)
        web.application.skip_authorization = not approval
        web.application.save()
        return_address = logged_in.ask(prompt="login", **approval)
        assert logged_in.is_asked_to_log_in(return_address)
        logged_in.log_in()
        assert "code" in parse_qs(urlsplit(logged_in.client.get(return_address)["Location"]).query)

    def test_no_code_by_a_consent_form_from_before(self, logged_in):
        page = logged_in.open()
        form = {name: value for name, value in page.context["form"].initial.items() if value is not None}
        address = f"/o/authorize/?{page.wsgi_request.META['QUERY_STRING']}"
        return_address = logged_in.ask(prompt="login")
        refused = logged_in.client.post(address, {**form, "allow": "on"})
        assert parse_qs(urlsplit(logged_in.return_address(refused)).query) == parse_qs(urlsplit(return_address).query)
        logged_in.log_in()
        agreed = logged_in.client.post(address, {**form, "allow": "on"})
        assert "code" in parse_qs(urlsplit(agreed["Location"]).query)

    def test_one_login_for_each_tab(self, logged_in):
        first, second = (logged_in.ask(prompt="login", state=state) for state in ("one", "two"))
        logged_in.log_in()
        assert logged_in.sees_the_consent_page(second)
        assert logged_in.is_asked_to_log_in(first)
        logged_in.log_in()
        assert logged_in.sees_the_consent_page(first)

    def test_other_requests_are_not_held_up(self, logged_in):
        logged_in.ask(prompt="login", state="one")
        assert logged_in.open(state="two").status_code == 200

    def test_login_as_another_user(self, logged_in, django_user_model):
        return_address = logged_in.ask(prompt="login")
        logged_in.log_in(django_user_model.objects.create_user("bob"))
        assert logged_in.sees_the_consent_page(return_address)

    def test_user_who_is_not_logged_in_logs_in_once(self, browser):
        """See DOT's test_prompt_login_unauthenticated_single_redirect."""
        return_address = browser.ask(prompt="login")
        assert "prompt" not in return_address
        browser.log_in()
        assert browser.sees_the_consent_page(return_address)

    def test_without_a_page(self, logged_in):
        logged_in.ask(prompt="login")
        # The same request with "none", as sent by a client that first checks whether a page is needed.
        refused = parse_qs(urlsplit(logged_in.open(prompt="none")["Location"]).query)
        assert refused["error"] == ["login_required"]

    def test_session_stores_a_limited_number_of_requests(self, logged_in):
        return_addresses = [logged_in.ask(prompt="login", state=f"{number}") for number in range(MOST_ASKS + 5)]
        assert len(logged_in.client.session["django_at_jwt.login_asks"]) <= MOST_ASKS + 1
        for return_address in return_addresses:
            assert logged_in.is_asked_to_log_in(return_address)
        logged_in.log_in()
        assert logged_in.sees_the_consent_page(return_addresses[0])

    def test_login_page_on_another_host(self, logged_in, settings):
        settings.LOGIN_URL = "https://login.example.com/"
        sent = logged_in.open(prompt="login")
        return_address = parse_qs(urlsplit(sent["Location"]).query)["next"][0]
        assert sent["Location"].startswith("https://login.example.com/?next=")
        assert return_address.startswith("http://testserver/o/authorize/?")

    def test_site_without_recorded_logins(self, logged_in, settings):
        settings.AT_JWT = {
            **settings.AT_JWT,
            "AUTHENTICATION_EVENT": "tests.authorization_server.views.test_authorize_login.unknown",
        }
        for asked in ({"prompt": "login"}, {"max_age": "1"}):
            return_address = logged_in.ask(**asked)
            logged_in.log_in()
            assert logged_in.sees_the_consent_page(return_address)


def unknown(request, user):
    """Return ``None`` as the AUTHENTICATION_EVENT: nothing is known of the login."""


class TestMaxAge:
    @pytest.mark.parametrize("known", [True, False], ids=["logged in", "not logged in"])
    @pytest.mark.parametrize("max_age", ["0", "1"])
    def test_small_one_is_met_by_a_login_for_this_request(self, max_age, known, browser, clock):
        if known:
            browser.log_in()
            clock.now += 2
        return_address = browser.ask(max_age=max_age)
        if known:
            assert browser.is_asked_to_log_in(return_address)
        browser.log_in()
        clock.now += 2
        assert browser.sees_the_consent_page(return_address)
        assert browser.is_asked_to_log_in(return_address)

    def test_of_zero_is_not_met_by_a_login_of_this_second(self, logged_in, clock):
        assert logged_in.is_asked_to_log_in(logged_in.ask(max_age="0"))

    def test_one_login_for_each_tab(self, logged_in, clock):
        clock.now += 1
        first, second = (logged_in.ask(max_age="0", state=state) for state in ("one", "two"))
        logged_in.log_in()
        clock.now += 1
        assert logged_in.sees_the_consent_page(first)
        assert logged_in.is_asked_to_log_in(second)

    def test_one_login_is_recent_for_all_tabs(self, logged_in, clock):
        clock.now += 100
        return_addresses = [logged_in.ask(max_age="60", state=state) for state in ("one", "two")]
        logged_in.log_in()
        assert all(logged_in.sees_the_consent_page(return_address) for return_address in return_addresses)

    @pytest.mark.parametrize("approval", ["auto", "force"])
    def test_without_a_page(self, approval, browser, web):
        web.application.skip_authorization = True
        web.application.save()
        query = browser.query(prompt="none", max_age="0", approval_prompt=approval)
        assert browser.error(f"/o/authorize/?{'&'.join(f'{name}={value}' for name, value in query.items())}")

    def test_request_that_asks_for_nothing_leaves_the_session_alone(self, browser):
        browser.open()
        assert not browser.client.cookies
        browser.log_in()
        browser.open()
        assert "django_at_jwt.login_asks" not in browser.client.session


class TestContext:
    @pytest.fixture(autouse=True)
    def _contexts(self, settings):
        settings.AT_JWT = {**settings.AT_JWT, **CONTEXTS}

    @pytest.mark.parametrize("known", [True, False], ids=["logged in", "not logged in"])
    def test_another_login_is_asked_for_once(self, known, browser):
        if known:
            browser.log_in()
        return_address = browser.ask(acr_values="urn:example:mfa")
        browser.log_in()
        assert browser.error(return_address) == "unmet_authentication_requirements"
        # The next request requires it again: the user may have added a second factor.
        assert browser.is_asked_to_log_in(return_address)

    def test_after_a_logout_once_more(self, browser):
        browser.log_in()
        return_address = browser.ask(acr_values="urn:example:mfa")
        browser.client.logout()
        browser.log_in()
        assert browser.is_asked_to_log_in(return_address)
        browser.log_in()
        assert browser.error(return_address) == "unmet_authentication_requirements"

    def test_login_that_is_enough(self, browser):
        browser.client.login(username="alice", password="correct horse")
        assert browser.open(acr_values="urn:example:password").status_code == 200


@pytest.fixture
def clock(monkeypatch):
    """The clock used to record and check logins."""

    class Clock:
        now = 1_700_000_000.0

    for module in ("login.events", "views.authorize"):
        monkeypatch.setattr(f"django_at_jwt.authorization_server.{module}.time.time", lambda: Clock.now)
    return Clock
