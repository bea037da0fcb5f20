"""Sites with their own endpoint views, derived from this app's classes or from DOT's."""

from __future__ import annotations

import base64
import hashlib
import secrets
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.checks import run_checks
from django.test import Client
from django.urls import NoReverseMatch, clear_script_prefix, reverse, set_script_prefix

from tests.conftest import DEVICE_CODE_GRANT, REDIRECT_URI, SECRET, decoded
from tests.docs.blocks import DOCS, ROOT
from tests.openid_connect import OIDC_KEY

pytestmark = pytest.mark.django_db

OF_BEFORE = "tests.own_views.urls_of_before"
OF_OURS = "tests.own_views.urls_of_ours"
OF_PARTS = "tests.own_views.urls_of_parts"
OF_SLIPS = "tests.own_views.urls_of_slips"
OF_TWO = "tests.own_views.urls_of_two"
METADATA = "/.well-known/oauth-authorization-server/o"


def own_messages():
    ours = [message for message in run_checks() if message.id.startswith("django_at_jwt.")]
    return [message.id for message in ours if not message.is_silenced()]


@pytest.fixture
def site(settings, tmp_path):
    folder = tmp_path / "own_views"
    folder.mkdir()
    (folder / "authorize.html").write_text("{{ site }} {{ consent.servers.0.name }}")
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [tmp_path]}]

    def of(urlconf, **toolkit):
        settings.ROOT_URLCONF = urlconf
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **toolkit}

    return of


class Program:
    """A client of the endpoints below /login/."""

    def __init__(self, application, user):
        self.application = application
        self.browser = Client()
        assert self.browser.login(username=user.get_username(), password="correct horse")

    def ask(self, **asked):
        self.verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        return self.browser.get(
            "/login/authorize",
            {
                "response_type": "code",
                "client_id": self.application.client_id,
                "redirect_uri": REDIRECT_URI,
                "state": "a state",
                "scope": "read",
                "code_challenge": challenge,
                "code_challenge_method": "S256",
                **asked,
            },
        )

    def agree(self, page):
        form = {name: value for name, value in page.context["form"].initial.items() if value is not None}
        address = f"/login/authorize?{page.wsgi_request.META['QUERY_STRING']}"
        return told(self.browser.post(address, {**form, "allow": "on"}))

    def exchange(self, code):
        return Client().post(
            "/login/token",
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": REDIRECT_URI,
                "code_verifier": self.verifier,
                "client_id": self.application.client_id,
                "client_secret": SECRET,
            },
        )


def told(response):
    assert response.status_code == 302, response.content
    target = urlsplit(response["Location"])
    return {name: values[0] for name, values in parse_qs(target.fragment or target.query).items()}


@pytest.fixture
def program(signing_keys, web, user):
    def make(**fields):
        for name, value in fields.items():
            setattr(web.application, name, value)
        web.application.save()
        return Program(web.application, user)

    return make


def warned():
    found = [message for message in run_checks() if message.id == "django_at_jwt.W024"]
    return {message.msg.split()[0]: message for message in found}


class TestSubclassesOfDotViews:
    """A site with this app whose endpoints are still subclasses of DOT's views."""

    @pytest.fixture(autouse=True)
    def _site(self, site):
        site(OF_BEFORE)

    def test_no_code_for_an_api_that_the_user_has_not_agreed_to(self, program, settings):
        program = program()
        program.exchange(program.agree(program.ask())["code"])
        assert "code" in told(program.ask(approval_prompt="auto"))
        for resource in (settings.REPORTS, [settings.API, settings.REPORTS]):
            refused = told(program.ask(approval_prompt="auto", resource=resource))
            assert refused["error"] == "consent_required"
            assert refused["state"] == "a state"
            assert "code" not in refused
        # The advice in the error works.
        page = program.ask(scope="reports:read", resource=settings.REPORTS, approval_prompt="force")
        assert "code" in program.agree(page)

    def test_the_same_by_the_sites_setting(self, site, program, settings):
        site(OF_BEFORE, REQUEST_APPROVAL_PROMPT="auto")
        program = program()
        program.exchange(program.agree(program.ask())["code"])
        assert told(program.ask(resource=settings.REPORTS))["error"] == "consent_required"

    def test_no_token_either(self, program, settings):
        program = program(authorization_grant_type="implicit")
        asked = {"response_type": "token", "approval_prompt": "auto"}
        assert "access_token" in program.agree(program.ask(**asked))
        assert told(program.ask(**asked, resource=settings.REPORTS))["error"] == "consent_required"

    def test_client_that_needs_no_consent(self, program, settings):
        program = program(skip_authorization=True)
        assert "code" in told(program.ask(approval_prompt="auto", resource=settings.REPORTS))

    def test_token_says_when_and_how_the_user_logged_in(self, program):
        program = program()
        answer = program.exchange(program.agree(program.ask())["code"]).json()
        _, claims = decoded(answer["access_token"])
        assert claims["amr"] == ["pwd"]
        assert isinstance(claims["auth_time"], int)

    def test_session_of_another_user_is_ignored(self, program, django_user_model):
        program = program()
        page = program.ask()
        other = django_user_model.objects.create_user("bob", password="battery staple")
        session = program.browser.session
        session["django_at_jwt.authentication"] = {
            **session["django_at_jwt.authentication"],
            "user": str(other.pk),
        }
        session.save()
        answer = program.exchange(program.agree(page)["code"]).json()
        assert "auth_time" not in decoded(answer["access_token"])[1]

    def test_check_names_each_view_what_is_lost_and_the_class_to_use(self):
        found = warned()
        assert found.keys() == {"/login/authorize", "/login/token", "/login/me"}
        assert "tests.own_views.views.SiteAuthorization" in found["/login/authorize"].msg
        assert "approval_prompt=auto" in found["/login/authorize"].msg
        assert "django_at_jwt.oauth2_views.AuthorizationView" in found["/login/authorize"].hint
        assert "SiteAuthorization" in found["/login/authorize"].hint

    def test_metadata_names_them_as_long_as_there_are_no_others(self, signing_keys):
        document = Client().get(METADATA).json()
        assert document["authorization_endpoint"] == "https://as.example.com/login/authorize"
        # This site has no endpoint that starts the device flow.
        assert DEVICE_CODE_GRANT not in document["grant_types_supported"]


class TestSubclassesOfOurViews:
    """A site whose views have this app's classes as first base."""

    @pytest.fixture(autouse=True)
    def _site(self, site):
        site(OF_OURS)

    def test_check_reports_nothing(self, signing_keys):
        assert warned() == {}
        assert own_messages() == []

    def test_consent_page_is_the_sites_and_names_the_api(self, program, settings):
        program = program()
        # This API does not know "read", so the form has no scope.
        page = program.ask(resource=settings.REPORTS)
        assert page.content.decode() == "the site&#x27;s own Reports"
        assert page["X-Frame-Options"] == "DENY"
        assert "no-store" in page["Cache-Control"]
        assert type(page.context["form"]).__name__ == "SiteForm"
        answer = program.exchange(program.agree(page)["code"])
        assert answer["X-Site"] == "token"
        assert decoded(answer.json()["access_token"])[1]["aud"] == settings.REPORTS

    def test_consent_page_is_shown_instead_of_an_error(self, program, settings):
        program = program()
        program.exchange(program.agree(program.ask())["code"])
        assert program.ask(approval_prompt="auto", resource=settings.REPORTS).status_code == 200
        assert "code" in told(program.ask(approval_prompt="auto"))

    def test_unreadable_request_is_refused(self):
        for path in ("/login/token", "/login/revoke"):
            assert Client().post(path, {"token": "\x00", "grant_type": "\x00"}).status_code == 400

    def test_token_endpoint_needs_no_csrf_token_and_no_login(self, signing_keys, service, settings):
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
        data = {**service.credentials, "grant_type": "client_credentials", "scope": "read"}
        assert Client(enforce_csrf_checks=True).post("/login/token", data).status_code == 200

    def test_userinfo_takes_tokens_of_each_api(self, site, program, settings):
        site(OF_OURS, OIDC_ENABLED=True, OIDC_RSA_PRIVATE_KEY=OIDC_KEY)
        program = program(algorithm="RS256")
        page = program.ask(scope="openid read", resource=settings.REPORTS, nonce="n")
        token = program.exchange(program.agree(page)["code"]).json()["access_token"]
        answer = Client().get("/login/me", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 200
        assert Client().get("/login/me", {"access_token": token}).status_code == 400

    def test_device_flow_finds_its_pages(self, signing_keys, make_client, program):
        device = make_client(DEVICE_CODE_GRANT, client_type="public")
        started = device.post("/things/device-authorization/", {"scope": "read"}).json()
        browser = program().browser
        confirm = browser.post("/things/device/", {"user_code": started["user_code"]})
        assert confirm.status_code == 302
        assert confirm["Location"].startswith("/things/device-confirm/")
        done = browser.post(confirm["Location"], {"action": "accept"})
        assert done["Location"].startswith("/things/device-grant-status/")
        polled = {"grant_type": DEVICE_CODE_GRANT, "device_code": started["device_code"]}
        token = device.post("/login/token", polled).json()
        assert decoded(token["access_token"])[1]["amr"] == ["pwd"]

    @pytest.mark.parametrize("openid", [False, True])
    def test_metadata_names_what_is_mounted_and_nothing_else(self, openid, site, signing_keys):
        site(OF_OURS, OIDC_ENABLED=openid)
        document = Client().get(METADATA).json()
        endpoints = {name: value for name, value in document.items() if name.endswith(("_endpoint", "_uri"))}
        assert endpoints == {
            "authorization_endpoint": "https://as.example.com/login/authorize",
            "token_endpoint": "https://as.example.com/login/token",
            "revocation_endpoint": "https://as.example.com/login/revoke",
            "device_authorization_endpoint": "https://as.example.com/things/device-authorization/",
            "jwks_uri": "https://as.example.com/o/.well-known/jwks.json",
            **({"userinfo_endpoint": "https://as.example.com/login/me"} if openid else {}),
        }
        assert "introspection_endpoint_auth_methods_supported" not in document
        assert DEVICE_CODE_GRANT in document["grant_types_supported"]

    def test_metadata_below_a_script_name(self, signing_keys):
        set_script_prefix("/app/")
        try:
            document = Client().get(METADATA).json()
        finally:
            clear_script_prefix()
        assert document["token_endpoint"] == "https://as.example.com/app/login/token"
        assert document["authorization_endpoint"] == "https://as.example.com/app/login/authorize"


class TestPartialUrls:
    @pytest.fixture(autouse=True)
    def _site(self, site):
        site(OF_PARTS)

    def test_pages_that_were_left_out_stay_out(self, signing_keys, user):
        browser = Client()
        browser.force_login(user)
        for path in ("/o/applications/", "/o/applications/register/", "/o/authorized_tokens/", "/o/register/"):
            assert browser.get(path).status_code == 404
        with pytest.raises(NoReverseMatch):
            reverse("oauth2_provider:register")

    def test_the_rest_is_there_and_protected(self, signing_keys, service):
        assert reverse("oauth2_provider:token") == "/o/token/"
        assert service.token("client_credentials", scope="read").status_code == 200
        assert Client().get("/o/.well-known/jwks.json").json()["keys"]
        assert own_messages() == []

    def test_discovery_without_userinfo(self, site, signing_keys):
        site(OF_PARTS, OIDC_ENABLED=True)
        document = Client().get("/o/.well-known/openid-configuration").json()
        assert document["token_endpoint"] == "https://as.example.com/o/token/"
        assert "userinfo_endpoint" not in document


class TestMisconfiguredUrls:
    def test_each_is_reported_by_its_class_and_not_by_its_name(self, site, signing_keys):
        site(OF_SLIPS)
        found = warned()
        assert found.keys() == {"/named/", "/o/authorize/", "/o/token/", "/api/token/"}
        assert "authorization_function" in found["/o/authorize/"].msg
        assert "function" in found["/o/token/"].msg
        assert "TokenApi" in found["/api/token/"].msg
        assert found["/api/token/"].hint.startswith("Replace it")
        assert found["/named/"].hint.startswith("Make django_at_jwt.oauth2_views.TokenView the first base")

    def test_metadata_names_a_function_at_the_address_of_the_endpoint(self, site, signing_keys):
        site(OF_SLIPS)
        document = Client().get(METADATA).json()
        assert document["authorization_endpoint"] == "https://as.example.com/o/authorize/"

    def test_two_views_of_an_endpoint(self, site, signing_keys):
        site(OF_TWO)
        assert warned().keys() == {"/login/authorize"}
        document = Client().get(METADATA).json()
        # The protected view, else the first in the URLconf.
        assert document["authorization_endpoint"] == "https://as.example.com/o/authorize/"
        assert document["token_endpoint"] == "https://as.example.com/login/token"

    def test_registration_that_dot_does_not_find(self, site, signing_keys, settings):
        site("tests.own_views.urls_of_registration", DCR_ENABLED=True)
        settings.AT_JWT = {**settings.AT_JWT, "CLIENT_REGISTRATION": "open"}
        document = {"redirect_uris": ["https://client.example.com/"]}
        made = Client().post("/o/register/", document, content_type="application/json")
        assert made.status_code == 201
        assert made.json()["registration_client_uri"].endswith(f"/o/register/{made.json()['client_id']}/")


class TestFrontendThatDrawsTheConsentPage:
    @pytest.fixture(autouse=True)
    def _site(self, settings):
        settings.ROOT_URLCONF = "tests.own_views.urls_of_frontend"
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True}

    def ask(self, web, client, **asked):
        web.verifier = "v" * 43
        digest = hashlib.sha256(web.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": web.application.client_id,
            "redirect_uri": REDIRECT_URI,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
            **asked,
        }
        return client.get("/o/authorize/", query)

    def told(self, response):
        return {name: value for name, [value] in parse_qs(urlsplit(response.json()["redirect_uri"]).query).items()}

    @pytest.mark.usefixtures("signing_keys")
    def test_consent(self, web, client, user, settings):
        assert own_messages() == []
        client.force_login(user)
        asked = self.ask(web, client, scope="reports:read", resource=settings.REPORTS)
        [api] = asked.json()["apis"]
        assert (api["name"], list(api["scopes"])) == ("Reports", ["See all figures"])
        form = {name: value for name, value in asked.json()["form"].items() if value is not None}
        answer = client.post("/o/authorize/?" + asked.wsgi_request.META["QUERY_STRING"], {**form, "allow": "on"})
        told = self.told(answer)
        assert told["iss"] == settings.ISSUER
        _, claims = decoded(web.exchange(told["code"]).json()["access_token"])
        assert claims["aud"] == settings.REPORTS
        # The user has agreed.
        again = self.ask(web, client, scope="reports:read", resource=settings.REPORTS, approval_prompt="auto")
        assert "code" in self.told(again)

    def test_errors(self, web, client, user, settings):
        client.force_login(user)
        told = self.told(self.ask(web, client, resource="https://unknown.example.com/"))
        assert (told["error"], told["iss"]) == ("invalid_target", settings.ISSUER)
        told = self.told(self.ask(web, Client(), prompt="none"))
        assert (told["error"], told["iss"]) == ("login_required", settings.ISSUER)
        page = self.ask(web, client, client_id="unknown")
        assert (page.status_code, page.json()) == (400, {"error": "invalid_request"})

    def test_it_is_the_view_on_the_page(self):
        view = (ROOT / "tests/own_views/views.py").read_text()
        shown = view[view.index("class AuthorizationApi") :]
        assert shown in (DOCS / "how-to/own-views.md").read_text()
