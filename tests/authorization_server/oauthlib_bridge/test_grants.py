"""All tokens of one authorization share its granted scopes, resources and login."""

from __future__ import annotations

import time
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_device_grant_model,
    get_grant_model,
    get_refresh_token_model,
)

from django_at_jwt.authorization_server.toolkit import SettingsScopes
from django_at_jwt.models import Authorization
from tests.conftest import DEVICE_CODE_GRANT, decoded
from tests.openid_connect import OPENID_CONNECT
from tests.site.validators import SiteValidator

pytestmark = pytest.mark.django_db


class OnlyWriteByDefault(SettingsScopes):
    """A site's scopes backend with its own default scopes."""

    def get_default_scopes(self, *args, **kwargs):
        return ["write"]


LOGIN_CLAIMS = ("auth_time", "amr", "acr")
CONTEXTS = {"AUTHENTICATION_CONTEXTS": {"urn:example:password": ["pwd"]}}


@pytest.fixture
def clock(monkeypatch):
    """The clock used to record logins."""

    class Clock:
        now = float(int(time.time()) - 1000)

    monkeypatch.setattr("django_at_jwt.authorization_server.login.events.time.time", lambda: Clock.now)
    return Clock


@pytest.fixture(autouse=True)
def _contexts(settings):
    settings.AT_JWT = {**settings.AT_JWT, **CONTEXTS}


def login_claims(token):
    return {name: value for name, value in decoded(token)[1].items() if name in LOGIN_CLAIMS}


def log_in_again(web, user, clock):
    clock.now += 500
    web.browser.logout()
    web.browser.force_login(user)


@pytest.mark.compliance("9068-6", "9068-7")
class TestLogin:
    @pytest.mark.parametrize("rotating", [True, False])
    def test_stays_the_same_through_refreshes(self, rotating, signing_keys, web, user, clock, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ROTATE_REFRESH_TOKEN": rotating}
        logged_in = {"auth_time": int(clock.now), "amr": ["pwd"], "acr": "urn:example:password"}
        code = web.authorize(user)["code"]
        log_in_again(web, user, clock)
        answer = web.exchange(code).json()
        assert login_claims(answer["access_token"]) == logged_in
        for _ in range(3):
            log_in_again(web, user, clock)
            answer = web.token("refresh_token", refresh_token=answer["refresh_token"]).json()
            assert login_claims(answer["access_token"]) == logged_in
        # The next authorization has the new login.
        later = login_claims(web.code_flow(user).json()["access_token"])
        assert later["auth_time"] == int(clock.now) > logged_in["auth_time"]

    @pytest.fixture
    def openid(self, make_client, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPENID_CONNECT}
        return make_client(algorithm="RS256")

    def test_is_the_same_in_the_id_token(self, signing_keys, openid, user, clock):
        logged_in = int(clock.now)
        code = openid.authorize(user, scope="openid read")["code"]
        log_in_again(openid, user, clock)
        answer = openid.exchange(code).json()
        assert login_claims(answer["id_token"]) == login_claims(answer["access_token"])
        assert login_claims(answer["id_token"])["auth_time"] == logged_in
        refreshed = openid.token("refresh_token", refresh_token=answer["refresh_token"]).json()
        assert login_claims(refreshed["access_token"])["auth_time"] == logged_in
        assert "id_token" not in refreshed or login_claims(refreshed["id_token"])["auth_time"] == logged_in

    def test_is_the_same_at_both_ends_of_the_hybrid_flow(self, signing_keys, make_client, openid, user, clock):
        hybrid = make_client("openid-hybrid", algorithm="RS256")
        front = hybrid.authorize(user, response_type="code id_token token", scope="openid read")
        log_in_again(hybrid, user, clock)
        back = hybrid.exchange(front["code"]).json()
        tokens = (front["access_token"], front["id_token"], back["access_token"], back["id_token"])
        assert len({str(login_claims(token)) for token in tokens}) == 1
        assert login_claims(front["access_token"])["amr"] == ["pwd"]

    def test_session_older_than_this_app_has_no_login_claims(self, signing_keys, openid, user):
        openid.browser.force_login(user)
        session = openid.browser.session
        session.pop("django_at_jwt.authentication")
        session.save()
        openid.browser.force_login = lambda _user: None
        answer = openid.code_flow(user, scope="openid read").json()
        assert login_claims(answer["access_token"]) == login_claims(answer["id_token"]) == {}

    def test_refresh_token_from_before(self, signing_keys, web, user):
        answer = web.code_flow(user).json()
        Authorization.objects.all().delete()
        refreshed = web.token("refresh_token", refresh_token=answer["refresh_token"]).json()
        assert login_claims(refreshed["access_token"]) == {}
        assert refreshed["scope"] == answer["scope"]

    def test_password_grant(self, signing_keys, make_client, user):
        client, before = make_client("password"), int(time.time())
        answer = client.token("password", username="alice", password="correct horse").json()
        claims = login_claims(answer["access_token"])
        assert claims["amr"] == ["pwd"]
        assert before <= claims["auth_time"] <= time.time()
        refreshed = client.token("refresh_token", refresh_token=answer["refresh_token"]).json()
        assert login_claims(refreshed["access_token"]) == claims

    def test_machine_has_none(self, signing_keys, service):
        assert login_claims(service.token("client_credentials").json()["access_token"]) == {}

    def test_device_has_the_login_of_the_approving_user(self, signing_keys, make_client, user, clock):
        device = make_client(DEVICE_CODE_GRANT, client_type="public")
        started = device.post("/o/device-authorization/", {"scope": "read"}).json()
        device.browser.force_login(user)
        logged_in = int(clock.now)
        confirm = device.browser.post(reverse("oauth2_provider:device"), {"user_code": started["user_code"]})[
            "Location"
        ]
        assert device.browser.post(confirm, {"action": "accept"}).status_code == 302
        log_in_again(device, user, clock)
        answer = device.token(DEVICE_CODE_GRANT, device_code=started["device_code"]).json()
        assert login_claims(answer["access_token"])["auth_time"] == logged_in

    def test_parameters_cannot_forge_a_login(self, signing_keys, web, service, user):
        forged = {"at_jwt_authentication": "x", "at_jwt_authorization": "x", "at_jwt_audience": "x", "auth_time": "1"}
        assert web.code_flow(user, **forged, exchange=forged).status_code == 200
        assert login_claims(service.token("client_credentials", **forged).json()["access_token"]) == {}


class TestScopes:
    @pytest.fixture
    def both(self, signing_keys, web, user):
        wanted = {"scope": "read write reports:read", "resource": [settings.API, settings.REPORTS]}
        return web.code_flow(user, **wanted).json()

    def refresh(self, web, answer, **narrowed):
        refreshed = web.token("refresh_token", refresh_token=answer["refresh_token"], **narrowed).json()
        claims = decoded(refreshed["access_token"])[1]
        assert claims.get("scope", "") == refreshed["scope"]
        return refreshed, claims

    @pytest.mark.compliance("8707-3", "9068-12")
    def test_narrowed_refresh_does_not_narrow_the_next(self, both, web):
        answer, claims = self.refresh(web, both, resource=settings.REPORTS)
        assert (claims["aud"], claims["scope"]) == (settings.REPORTS, "reports:read")
        answer, claims = self.refresh(web, answer, resource=settings.API)
        assert (claims["aud"], claims["scope"]) == (settings.API, "read write")
        answer, claims = self.refresh(web, answer, scope="read")
        assert (claims["aud"], claims["scope"]) == ([settings.API, settings.REPORTS], "read")
        answer, claims = self.refresh(web, answer)
        assert claims["scope"] == "read write reports:read"

    def test_never_more_than_was_granted(self, signing_keys, web, user):
        answer = web.code_flow(user, scope="read").json()
        refused = web.token("refresh_token", refresh_token=answer["refresh_token"], scope="read write")
        assert refused.json()["error"] == "invalid_scope"

    def test_password_grant_keeps_them_too(self, signing_keys, make_client, user):
        client = make_client("password")
        answer = client.token("password", username="alice", password="correct horse", scope="read write").json()
        narrowed, claims = self.refresh(client, answer, scope="read")
        assert claims["scope"] == "read"
        assert self.refresh(client, narrowed)[1]["scope"] == "read write"


class TestRows:
    def test_belongs_to_the_code_then_to_the_family(self, signing_keys, web, user):
        code = web.authorize(user)["code"]
        row = Authorization.objects.get()
        assert row.code_hash
        assert row.family is None
        assert code not in f"{vars(row)}"
        assert str(row) == f"authorization {row.pk}"
        answer = web.exchange(code).json()
        row.refresh_from_db()
        family = get_refresh_token_model().objects.get().token_family
        assert row.family == family
        web.token("refresh_token", refresh_token=answer["refresh_token"])
        assert Authorization.objects.get().family == row.family

    def test_code_that_was_used_cannot_be_used_again(self, signing_keys, web, user):
        code = web.authorize(user)["code"]
        web.exchange(code)
        assert web.exchange(code).json()["error"] == "invalid_grant"
        assert Authorization.objects.count() == 1

    def test_refused_request_stores_no_authorization(self, signing_keys, web, user):
        web.authorize(user, scope="read reports:read")
        assert not Authorization.objects.exists()


class TestConsentPage:
    def page(self, web, user, **parameters):
        web.browser.force_login(user)
        return web.browser.get(
            "/o/authorize/",
            {
                "response_type": "code",
                "client_id": web.application.client_id,
                "redirect_uri": web.application.redirect_uris,
                "code_challenge": "x" * 43,
                "code_challenge_method": "S256",
                **parameters,
            },
        )

    def test_names_the_api_and_what_each_scope_does_there(self, signing_keys, web, user):
        page = self.page(web, user, scope="openid reports:read read", resource=settings.REPORTS)
        text = page.content.decode()
        assert "<h4>Reports</h4>" in text
        assert "See all figures" in text
        assert "Log in" in text
        # Scopes that the API does not know are not listed.
        assert "<li>Read</li>" not in text
        assert page.context["scopes_descriptions"] == ["Log in", "See all figures"]
        assert page.context["form"].initial["resource"] == settings.REPORTS

    def test_is_about_what_the_scopes_imply(self, signing_keys, web, user):
        page = self.page(web, user, scope="reports:read")
        assert "<h4>Reports</h4>" in page.content.decode()
        # The form sends it back.
        assert page.context["form"].initial["resource"] == settings.REPORTS

    def test_page_without_scopes(self, signing_keys, web, user):
        page = self.page(web, user, scope="read", resource=settings.REPORTS)
        assert "without specific permissions" in page.content.decode()
        answer = web.code_flow(user, scope="read", resource=settings.REPORTS).json()
        assert answer["scope"] == ""
        assert "scope" not in decoded(answer["access_token"])[1]

    def test_own_template_of_the_site(self, signing_keys, web, user, settings, tmp_path):
        (tmp_path / "oauth2_provider").mkdir()
        template = "Ours: {% for server in consent.servers %}{{ server.name }} {{ server.identifier }}{% endfor %}"
        (tmp_path / "oauth2_provider" / "authorize.html").write_text(template)
        settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]
        text = self.page(web, user, scope="reports:read").content.decode()
        assert text == f"Ours: Reports {settings.REPORTS}"

    def test_invalid_answer_shows_the_page_again(self, signing_keys, web, user):
        page = self.page(web, user, scope="read")
        again = web.browser.post(f"/o/authorize/?{page.wsgi_request.META['QUERY_STRING']}", {"allow": "on"})
        assert again.context["scopes_descriptions"] == ["Read"]
        assert not get_grant_model().objects.exists()

    def test_error_that_cannot_be_sent_back(self, signing_keys, web, user):
        web.browser.force_login(user)
        page = web.browser.get("/o/authorize/", {"client_id": "nobody", "response_type": "code"})
        assert page.status_code == 400
        assert "Invalid client_id" in page.content.decode()

    def test_page_of_a_device(self, signing_keys, make_client, user):
        device = make_client(DEVICE_CODE_GRANT, client_type="public", name="Television")
        asked = {"scope": "reports:read read", "resource": settings.REPORTS}
        started = device.post("/o/device-authorization/", asked).json()
        device.browser.force_login(user)
        confirm = device.browser.post(reverse("oauth2_provider:device"), {"user_code": started["user_code"]})[
            "Location"
        ]
        page = device.browser.get(confirm)
        text = page.content.decode()
        assert "Connect Television?" in text
        assert "<h4>Reports</h4>" in text
        assert page.context["scopes_descriptions"] == ["See all figures"]

    def test_default_scopes_of_a_backend_of_the_sites_own(self, signing_keys, web, make_client, user, settings):
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "DEFAULT_SCOPES": ["read"],
            "SCOPES_BACKEND_CLASS": "tests.authorization_server.oauthlib_bridge.test_grants.OnlyWriteByDefault",
        }
        assert self.page(web, user).context["scopes_descriptions"] == ["Write"]
        assert web.code_flow(user, scope=None).json()["scope"] == "write"

        device = make_client(DEVICE_CODE_GRANT, client_type="public")
        started = device.post("/o/device-authorization/", {}).json()
        device.browser.force_login(user)
        entered = device.browser.post(reverse("oauth2_provider:device"), {"user_code": started["user_code"]})
        page = device.browser.get(entered["Location"])
        assert page.context["scopes_descriptions"] == ["Write"]
        device.browser.post(entered["Location"], {"action": "accept"})
        answer = device.token(DEVICE_CODE_GRANT, device_code=started["device_code"])
        assert answer.json()["scope"] == "write"

    def test_device_with_unknown_scopes(self, signing_keys, make_client):
        device = make_client(DEVICE_CODE_GRANT, client_type="public")
        for scope in ("made-up", "read made-up"):
            refused = device.post("/o/device-authorization/", {"scope": scope})
            assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")
        assert not get_device_grant_model().objects.exists()
        assert not Authorization.objects.exists()

    def test_anonymous_is_sent_to_log_in(self, signing_keys, web):
        page = Client().get("/o/authorize/", {"client_id": web.application.client_id, "response_type": "code"})
        assert urlsplit(page["Location"]).path == settings.LOGIN_URL


class TestApprovalPrompt:
    @pytest.mark.parametrize("resource", [[settings.API], []], ids=["named", "from before this app"])
    def test_consent_from_before_is_enough(self, resource, signing_keys, web, user):
        web.code_flow(user)
        Authorization.objects.update(resources=resource)
        assert "code" in self.answer(web, user)
        assert self.answer(web, user, resource=settings.REPORTS) is None

    def test_starts_a_separate_authorization(self, signing_keys, web, user):
        web.code_flow(user)
        self.answer(web, user)
        assert Authorization.objects.count() == 2

    def test_refresh_token_keeps_the_consent_without_an_access_token(self, signing_keys, web, user, settings):
        web.code_flow(user)
        day_ago = timezone.now() - timedelta(days=1)
        get_access_token_model().objects.update(expires=day_ago)
        Authorization.objects.update(tokens_expire_at=day_ago)
        assert "code" in self.answer(web, user)
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_EXPIRE_SECONDS": 60}
        assert self.answer(web, user) is None

    def test_consent_ends_with_its_authorization(self, signing_keys, web, user):
        web.code_flow(user)
        Authorization.objects.update(ended_at=timezone.now())
        assert self.answer(web, user) is None

    def test_consent_of_another_user_or_client_does_not_count(self, signing_keys, web, make_client, user):
        web.code_flow(user)
        other = get_user_model().objects.create_user("bob")
        assert self.answer(web, other) is None
        assert self.answer(make_client(), user) is None

    def test_code_that_was_never_exchanged_is_not_consent(self, signing_keys, web, user):
        web.authorize(user)
        assert self.answer(web, user) is None

    def test_is_judged_by_the_scopes_that_the_token_would_have(self, signing_keys, web, user, settings):
        web.code_flow(user, scope="write")
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "DEFAULT_SCOPES": ["read"],
            "SCOPES_BACKEND_CLASS": "tests.authorization_server.oauthlib_bridge.test_grants.OnlyWriteByDefault",
        }
        assert "code" in self.answer(web, user, scope=None)
        assert self.answer(web, user) is None

    @pytest.mark.compliance("8252-1")
    @pytest.mark.parametrize(
        ("client_type", "redirect_uri", "asks_again"),
        [
            *(
                ("public", uri, True)
                for uri in (
                    "http://127.0.0.1:8000/callback",
                    "http://[::1]/callback",
                    "http://localhost/callback",
                    "https://localhost:4443/callback",
                    "com.example.app:/callback",
                )
            ),
            ("public", "https://client.example.com/callback", False),
            ("confidential", "http://127.0.0.1:8000/callback", False),
        ],
    )
    @pytest.mark.parametrize("by", ["request", "setting"])
    def test_another_app_cannot_pass_for_the_client(
        self, by, client_type, redirect_uri, asks_again, signing_keys, make_client, user, settings
    ):
        """See RFC 8252 section 8.6."""
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "ALLOWED_REDIRECT_URI_SCHEMES": ["https", "http", "com.example.app"],
            "REQUEST_APPROVAL_PROMPT": "auto" if by == "setting" else "force",
        }
        client = make_client(client_type=client_type, redirect_uris=redirect_uri)
        assert "code" in client.authorize(user, redirect_uri=redirect_uri)
        Authorization.objects.update(tokens_expire_at=timezone.now() + timedelta(hours=1))
        asked = {"approval_prompt": "auto"} if by == "request" else {}
        page = TestConsentPage().page(client, user, scope="read", **asked)
        assert page.status_code == (200 if asks_again else 302)
        # A client that an administrator lets skip the page still skips it.
        client.application.skip_authorization = True
        client.application.save()
        page = TestConsentPage().page(client, user, scope="read", **asked)
        assert (page.status_code, "code=" in page["Location"]) == (302, True)

    def answer(self, web, user, *, scope="read", **parameters):
        asked = {"scope": scope, **parameters} if scope else parameters
        page = TestConsentPage().page(web, user, approval_prompt="auto", **asked)
        return parse_qs(urlsplit(page["Location"]).query) if page.status_code == 302 else None


@pytest.mark.compliance("9470-1")
class TestMaxAge:
    def page(self, web, user, **parameters):
        page = TestConsentPage().page(web, user, scope="read", state="a state", **parameters)
        web.browser.force_login = lambda _user: None
        return page

    def test_login_that_is_too_old(self, signing_keys, web, user, clock):
        assert self.page(web, user, max_age="90").status_code == 200
        clock.now += 100
        assert self.page(web, user, max_age="90")["Location"].startswith(f"{settings.LOGIN_URL}?next=/o/authorize/")
        assert self.page(web, user, max_age="110").status_code == 200
        assert self.page(web, user).status_code == 200

    def test_without_a_page(self, signing_keys, web, user, clock):
        self.page(web, user)
        clock.now += 100
        answer = parse_qs(urlsplit(self.page(web, user, max_age="90", prompt="none")["Location"]).query)
        assert (answer["error"], answer["state"]) == (["login_required"], ["a state"])

    def test_session_of_which_nothing_is_known(self, signing_keys, web, user):
        web.browser.force_login(user)
        session = web.browser.session
        session.pop("django_at_jwt.authentication")
        session.save()
        web.browser.force_login = lambda _user: None
        assert self.page(web, user, max_age="1000000").status_code == 302
        assert self.page(web, user).status_code == 200

    @pytest.mark.parametrize("max_age", ["", "-1", "soon", "1e9", "\u0663", "9" * 5000])
    def test_invalid_max_age(self, max_age, signing_keys, web, user):
        assert self.page(web, user, max_age=max_age).status_code == 200


@pytest.mark.compliance("9470-1")
class TestContext:
    """All logins in these tests have the context urn:example:password."""

    def page(self, web, user, **parameters):
        page = TestConsentPage().page(web, user, scope="read", state="a state", **parameters)
        web.browser.force_login = lambda _user: None
        return page

    def answer(self, page):
        return {name: values[0] for name, values in parse_qs(urlsplit(page["Location"]).query).items()}

    def test_login_with_one_of_the_requested_contexts(self, signing_keys, web, user):
        assert self.page(web, user, acr_values="urn:example:mfa urn:example:password").status_code == 200

    def test_another_login_is_asked_for_once(self, signing_keys, web, user, clock):
        self.page(web, user)
        clock.now += 100
        assert self.page(web, user, acr_values="urn:example:mfa")["Location"].startswith(settings.LOGIN_URL)
        del web.browser.force_login
        answer = self.answer(self.page(web, user, acr_values="urn:example:mfa"))
        assert (answer["error"], answer["state"]) == ("unmet_authentication_requirements", "a state")

    def test_without_a_page(self, signing_keys, web, user, clock):
        self.page(web, user)
        clock.now += 100
        answer = self.answer(self.page(web, user, acr_values="urn:example:mfa", prompt="none"))
        assert (answer["error"], answer["state"]) == ("login_required", "a state")

    def test_error_goes_to_no_address_but_the_clients(self, signing_keys, web, user):
        self.page(web, user, acr_values="urn:example:mfa")
        del web.browser.force_login
        page = self.page(web, user, acr_values="urn:example:mfa", redirect_uri="https://evil.example.com/")
        assert page.status_code == 400
        assert "Location" not in page

    def test_site_without_contexts_ignores_acr_values(self, signing_keys, web, user, settings):
        settings.AT_JWT = {**settings.AT_JWT, "AUTHENTICATION_CONTEXTS": None}
        assert self.page(web, user, acr_values="urn:example:mfa").status_code == 200

    def test_metadata_says_which_there_are(self, signing_keys, client, settings):
        address = "/.well-known/oauth-authorization-server/o"
        assert client.get(address).json()["acr_values_supported"] == ["urn:example:password"]
        settings.AT_JWT = {**settings.AT_JWT, "AUTHENTICATION_CONTEXTS": None}
        assert "acr_values_supported" not in client.get(address).json()


def test_code_for_a_stand_in_of_the_request(make_client, user):
    # Unit tests of sites call the validator with an object that has only the attributes that DOT reads.
    request = SimpleNamespace(
        client=make_client("authorization-code").application,
        user=user,
        scopes={"read"},
        claims=None,
        redirect_uri="https://example.com/callback",
        code_challenge="challenge",
        code_challenge_method="S256",
        nonce="",
    )
    grant = SiteValidator()._create_authorization_code(request, {"code": "a code"})
    assert (grant.code, grant.scope) == ("a code", "read")
