"""Polling and user codes of the device flow (RFC 8628)."""

from __future__ import annotations

import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.cache import caches
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_device_grant_model, get_refresh_token_model

from django_at_jwt.authorization_server.oauthlib_bridge.device_grant import is_polled_too_early
from django_at_jwt.authorization_server.revocation.purge import purge_authorizations
from django_at_jwt.authorization_server.toolkit import set_oauthlib_user_to_device_request_user
from django_at_jwt.authorization_server.views import rate_limits
from django_at_jwt.models import Authorization
from django_at_jwt.revocation import revoke_user
from django_at_jwt.validators import OAuth2Validator
from tests.conftest import DEVICE_CODE_GRANT

pytestmark = pytest.mark.django_db


@pytest.fixture
def television(signing_keys, make_client):
    return make_client(DEVICE_CODE_GRANT, client_type="public")


@pytest.fixture
def started(television):
    return television.post("/o/device-authorization/", {"scope": "read"}).json()


@pytest.fixture
def poll(television, started):
    def poll(client=television, device_code=started["device_code"], **extra):
        answer = client.token(DEVICE_CODE_GRANT, device_code=device_code, **extra)
        return answer.json().get("error", answer.status_code)

    return poll


def rows():
    return get_device_grant_model().objects


def let_pass(seconds):
    """Let time pass for the device, whose last poll is then longer ago."""
    for row in rows().all():
        rows().filter(pk=row.pk).update(last_checked=row.last_checked - timedelta(seconds=seconds))


def approve(user):
    rows().update(status="authorized", user=user)


@pytest.fixture
def frozen_clock(monkeypatch):
    """Stop the clocks: however slow the machine is, no interval passes and no window ends."""
    now, seconds = timezone.now(), time.time()
    monkeypatch.setattr(timezone, "now", lambda: now)
    monkeypatch.setattr(time, "time", lambda: seconds)


@pytest.mark.compliance("8628-1")
@pytest.mark.usefixtures("frozen_clock")
class TestSlowDown:
    def test_polls_at_the_interval(self, poll, user):
        assert poll() == "authorization_pending"
        for _ in range(3):
            let_pass(5)
            assert poll() == "authorization_pending"
        approve(user)
        assert poll() == 200

    def test_each_early_poll_adds_five_seconds(self, poll, user):
        assert poll() == "authorization_pending"
        for interval in (10, 15):
            let_pass(interval - 6)
            assert poll() == "slow_down"
            assert rows().get().interval == interval
        let_pass(14)
        assert poll() == "slow_down"
        let_pass(20)
        assert poll() == "authorization_pending"
        let_pass(19)
        assert poll() == "slow_down"
        approve(user)
        assert poll() == 200

    def test_interval_of_the_settings(self, television, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "DEVICE_FLOW_INTERVAL": 30}
        started = television.post("/o/device-authorization/", {"scope": "read"}).json()
        assert started["interval"] == rows().get().interval == 30
        polled = {"device_code": started["device_code"]}
        assert television.token(DEVICE_CODE_GRANT, **polled).json()["error"] == "authorization_pending"
        let_pass(29)
        assert television.token(DEVICE_CODE_GRANT, **polled).json()["error"] == "slow_down"

    def test_of_two_simultaneous_polls_one_is_too_early(self, started):
        first, second = rows().get(), rows().get()
        assert [is_polled_too_early(first), is_polled_too_early(second)] == [False, True]
        assert rows().get().interval == 10

    def test_device_grant_from_before_this_app(self, poll):
        rows().update(last_checked=timezone.now())  # As DOT's view stores it.
        assert poll() == "slow_down"
        let_pass(10)
        assert poll() == "authorization_pending"

    def test_polls_of_a_stranger_do_not_slow_the_device_down(self, poll, make_client):
        other = make_client(DEVICE_CODE_GRANT, client_type="public")
        for _ in range(3):
            assert poll(other) == "invalid_grant"
        assert poll() == "authorization_pending"


@pytest.fixture(params=["at our page", "at a page of the site", "from before this app"])
def approved(request, started, user):
    """Approve the device, in each way that its authorization can name the user, lack it, or not exist."""
    if request.param == "from before this app":
        Authorization.objects.all().delete()
    approve(user)
    if request.param == "at our page":
        Authorization.objects.approve_device(started["device_code"], user=user, authentication=None)


@pytest.mark.usefixtures("approved")
class TestUsedCode:
    def test_cannot_be_used_again(self, poll):
        assert [poll() for _ in range(3)] == [200, "expired_token", "expired_token"]
        assert get_access_token_model().objects.count() == 1

    def test_that_another_request_has_used_since_it_was_read(self, poll, monkeypatch):
        save, answers = OAuth2Validator.save_bearer_token, []

        def used_before_it_is_stored(*args, **kwargs):
            if not answers:
                answers.append(None)
                answers[0] = poll()
            return save(*args, **kwargs)

        monkeypatch.setattr(OAuth2Validator, "save_bearer_token", used_before_it_is_stored)
        assert poll() == "invalid_grant"
        assert answers == [200]
        assert [model.objects.count() for model in (Authorization, get_access_token_model())] == [1, 1]

    def test_that_was_ended_since_it_was_read(self, poll, user, monkeypatch):
        save = OAuth2Validator.save_bearer_token

        def ended_before_it_is_stored(*args, **kwargs):
            revoke_user(user)
            return save(*args, **kwargs)

        monkeypatch.setattr(OAuth2Validator, "save_bearer_token", ended_before_it_is_stored)
        assert poll() == "invalid_grant"
        assert not get_access_token_model().objects.exists()


def test_used_code_from_before_this_app_stays_used_after_a_purge(poll, user):
    Authorization.objects.all().delete()
    approve(user)
    assert poll() == 200
    get_refresh_token_model().objects.all().delete()
    passed = timezone.now() - timedelta(minutes=30)
    Authorization.objects.update(expires_at=passed, tokens_expire_at=passed)
    assert purge_authorizations().authorizations == 1
    assert poll() == "expired_token"


class TestDisclosure:
    @pytest.mark.parametrize("status", ["authorization-pending", "authorized", "denied", "expired"])
    @pytest.mark.parametrize("client_type", ["public", "confidential"])
    def test_code_of_another_client_looks_like_an_unknown_one(self, status, client_type, started, make_client, user):
        rows().update(status=status, user=user)
        other = make_client(DEVICE_CODE_GRANT, client_type=client_type)
        answers = [
            other.token(DEVICE_CODE_GRANT, device_code=code) for code in (started["device_code"], "made-up", "x" * 500)
        ]
        for answer in answers:
            assert answer.status_code == 400
            assert answer.json() == {"error": "invalid_grant"}
            assert answer["Cache-Control"] == "no-store"
            assert answer.headers == answers[0].headers

    @pytest.mark.parametrize(
        "credentials",
        [
            {"client_secret": "wrong"},
            {"client_id": "made-up", "client_secret": "x"},
        ],
    )
    def test_unauthenticated_request_gets_no_answer(self, credentials, signing_keys, make_client):
        television = make_client(DEVICE_CODE_GRANT)
        started = television.post("/o/device-authorization/", {"scope": "read"}).json()
        answers = [
            television.token(DEVICE_CODE_GRANT, device_code=code, **credentials)
            for code in (started["device_code"], "made-up")
        ]
        assert [answer.json() for answer in answers] == [{"error": "invalid_client"}] * 2
        assert len({answer.status_code for answer in answers}) == 1

    def test_client_of_another_grant(self, started, web):
        answers = [
            web.token(DEVICE_CODE_GRANT, device_code=code).json() for code in (started["device_code"], "made-up")
        ]
        assert answers == [{"error": "unauthorized_client"}] * 2

    def test_steps_of_the_site_run_and_may_need_the_device(self, started, poll, user, settings):
        seen = []
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "OAUTH_PRE_TOKEN_VALIDATION": [
                set_oauthlib_user_to_device_request_user,
                lambda request: seen.append((request.user, request.scopes)),
                lambda request: rows().get(device_code=request.device_code),
            ],
        }
        approve(user)
        assert poll(device_code="made-up") == "invalid_grant"
        assert seen == [(None, None)]
        assert poll() == 200
        assert seen[1:] == [(user, ["read"])]

    def test_responses_are_not_stored(self, television):
        started = television.post("/o/device-authorization/", {"scope": "read"})
        refused = television.post("/o/device-authorization/", {"scope": "made-up"})
        polled = television.token(DEVICE_CODE_GRANT, device_code=started.json()["device_code"])
        assert [answer.status_code for answer in (started, refused, polled)] == [200, 400, 400]
        assert {answer["Cache-Control"] for answer in (started, refused, polled)} == {"no-store"}


@pytest.fixture
def enter(settings, user):
    """Enter a user code as a user who is logged in, from an address."""
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "user codes"}
    }
    caches["default"].clear()

    def enter(code, *, browser=None, address="192.0.2.1"):
        browser = browser or new_browser(user)
        return browser.post("/o/device/", {"user_code": code}, REMOTE_ADDR=address)

    yield enter
    caches["default"].clear()


def new_browser(user):
    browser = Client()
    browser.force_login(user)
    return browser


def problem_of(page):
    return page.context["form"].errors["user_code"][0]


class TestVerificationAddress:
    def test_default_is_the_page_at_the_issuer(self, started, client, user):
        page = "https://as.example.com/o/device/"
        assert started["verification_uri"] == page
        assert started["verification_uri_complete"] == f"{page}?user_code={started['user_code']}"
        client.force_login(user)
        assert started["user_code"] in client.get(started["verification_uri_complete"]).content.decode()

    def test_setting_of_the_site(self, television, settings):
        settings.OAUTH2_PROVIDER = settings.OAUTH2_PROVIDER | {"OAUTH_DEVICE_VERIFICATION_URI": "https://tv.example/"}
        started = television.post("/o/device-authorization/", {"scope": "read"}).json()
        assert started["verification_uri"] == "https://tv.example/"
        assert "verification_uri_complete" not in started


class TestWrittenForms:
    @pytest.mark.parametrize(
        ("stored", "entered"),
        [
            ("WDJB1234", "WDJB1234"),
            ("WDJB1234", "wdjb1234"),
            ("WDJB1234", " wdjb-1234 "),
            ("WDJB1234", "wd jb 12 34"),
            ("WDJB1234", "wdjb\u20131234"),
            ("WDJB-1234", "wdjb1234"),
            ("WDJB-1234", "WDJB-1234"),
            ("wdjb-1234", "WDJB1234"),
        ],
    )
    def test_case_and_separators_do_not_matter(self, stored, entered, started, enter):
        rows().update(user_code=stored)
        page = enter(entered)
        assert page.status_code == 302
        assert stored in page["Location"]

    @pytest.mark.parametrize("entered", ["WDJB123", "-", "--- ---", "\u0130", "x" * 10_000])
    def test_wrong_codes(self, entered, started, enter):
        rows().update(user_code="WDJB1234")
        assert problem_of(enter(entered)) == "Incorrect user code"

    def test_case_matters_where_a_site_makes_codes_that_differ_only_in_case(self, television, enter):
        for code in ("abcd", "ABCD"):
            television.post("/o/device-authorization/", {"scope": "read"})
            rows().filter(pk=rows().latest("pk").pk).update(user_code=code)
        assert "/abcd" in enter("abcd")["Location"]
        assert "/ABCD" in enter("ABCD")["Location"]
        assert problem_of(enter("aBcD")) == "Incorrect user code"

    def test_older_code_of_the_same_text(self, television, enter):
        for status in ("expired", "authorization-pending"):
            television.post("/o/device-authorization/", {"scope": "read"})
            rows().filter(pk=rows().latest("pk").pk).update(user_code="WDJB1234", status=status)
        assert enter("wdjb1234").status_code == enter("WDJB1234").status_code == 302

    @pytest.mark.parametrize(
        ("changed", "problem"),
        [
            ({"status": "denied"}, "User code has already been used"),
            ({"status": "expired"}, "Expired user code"),
            ({"expires": timezone.now() - timedelta(seconds=1)}, "Expired user code"),
        ],
    )
    def test_code_that_is_no_longer_valid(self, changed, problem, started, enter):
        rows().update(user_code="WDJB1234", **changed)
        assert problem_of(enter("wdjb-1234")) == problem


@pytest.mark.compliance("8628-1")
@pytest.mark.usefixtures("frozen_clock")
class TestGuessing:
    def test_session_has_five_wrong_codes(self, started, enter, user):
        browser = new_browser(user)
        for number in range(5):
            assert enter(f"WRONG{number}", browser=browser).status_code == 200
        refused = enter(started["user_code"], browser=browser, address="192.0.2.2")
        assert refused.status_code == 429
        assert 0 < int(refused["Retry-After"]) <= 900
        assert problem_of(refused) == "Too many wrong codes. Try again in 15 minutes."
        assert refused.context["form"]["user_code"].value() == started["user_code"]
        assert rows().get().user is None
        assert enter(started["user_code"]).status_code == 302

    def test_address_has_twenty_wrong_codes(self, started, enter):
        for number in range(20):
            assert enter(f"WRONG{number}").status_code == 200
        assert enter(started["user_code"]).status_code == 429
        assert enter(started["user_code"], address="192.0.2.2").status_code == 302

    def test_ipv6_network_counts_as_one_address(self, started, enter, settings):
        settings.AT_JWT = {**settings.AT_JWT, "USER_CODE_ATTEMPTS_PER_ADDRESS": 3}
        for number, address in enumerate(("2001:db8::1", "2001:db8::2", "2001:db8::ffff:1")):
            assert enter(f"WRONG{number}", address=address).status_code == 200
        assert enter(started["user_code"], address="2001:db8::3").status_code == 429
        assert enter(started["user_code"], address="2001:db8:0:1::1").status_code == 302

    def test_right_codes_do_not_count(self, started, enter, user, settings):
        settings.AT_JWT = {**settings.AT_JWT, "USER_CODE_ATTEMPTS": 1, "USER_CODE_ATTEMPTS_PER_ADDRESS": 1}
        browser = new_browser(user)
        for _ in range(3):
            assert enter(started["user_code"], browser=browser).status_code == 302

    def test_blocked_session_does_not_block_its_address(self, started, enter, user, settings):
        settings.AT_JWT = {**settings.AT_JWT, "USER_CODE_ATTEMPTS": 1, "USER_CODE_ATTEMPTS_PER_ADDRESS": 3}
        browser = new_browser(user)
        for _ in range(5):
            enter("WRONG", browser=browser)
        assert enter(started["user_code"]).status_code == 302

    def test_next_window(self, started, enter, user, monkeypatch):
        browser = new_browser(user)
        for _ in range(6):
            refused = enter("WRONG", browser=browser)
        assert refused.status_code == 429
        later = rate_limits.time.time() + int(refused["Retry-After"]) + 1
        monkeypatch.setattr(rate_limits, "time", SimpleNamespace(time=lambda: later))
        assert enter(started["user_code"], browser=browser).status_code == 302

    def test_limits_can_be_turned_off(self, started, enter, user, settings):
        settings.AT_JWT = {**settings.AT_JWT, "USER_CODE_ATTEMPTS": 0, "USER_CODE_ATTEMPTS_PER_ADDRESS": 0}
        browser = new_browser(user)
        assert {enter("WRONG", browser=browser).status_code for _ in range(60)} == {200}

    @pytest.mark.parametrize("alias", ["dummy", "missing"])
    def test_cache_that_counts_nothing(self, alias, started, enter, user, settings, caplog):
        settings.CACHES = {**settings.CACHES, "dummy": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
        settings.AT_JWT = {**settings.AT_JWT, "ATTEMPT_CACHE": alias}
        browser = new_browser(user)
        for _ in range(7):
            assert enter("WRONG", browser=browser).status_code == 200
        assert enter(started["user_code"], browser=browser).status_code == 302
        assert ("could not be counted" in caplog.text) == (alias == "missing")
        # Neither codes nor session keys.
        assert "WRONG" not in caplog.text
        assert browser.session.session_key not in caplog.text

    def test_anonymous_users_are_sent_to_log_in(self, started, enter):
        assert enter(started["user_code"], browser=Client())["Location"].startswith("/admin/login/")
