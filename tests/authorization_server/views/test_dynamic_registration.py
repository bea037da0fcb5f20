"""Dynamic client registration: what is registered of what clients send, who may, and what they then get."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.test import Client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata
from oauth2_provider.models import get_access_token_model, get_application_model
from oauth2_provider.views import DynamicClientRegistrationView

from django_at_jwt import oauth2_provider_settings
from django_at_jwt.authorization_server.revocation.impact import tokens_of_users
from django_at_jwt.authorization_server.views import registration
from django_at_jwt.authorization_server.views.registration import MOST_BYTES, RegistrationView, _offered_grant_types
from django_at_jwt.revocation import revoke_client, revoke_user
from tests.conftest import DEVICE_CODE_GRANT, REDIRECT_URI, decoded
from tests.settings import API, REPORTS

pytestmark = pytest.mark.django_db

ENDPOINT = "/o/register/"
CODE = ["authorization_code", "refresh_token"]
# What clients send, as far as their source or reports of it are public.
CLIENTS = {
    "VS Code": {
        "client_name": "Visual Studio Code",
        "client_uri": "https://code.visualstudio.com",
        "grant_types": ["authorization_code", "refresh_token", DEVICE_CODE_GRANT],
        "response_types": ["code"],
        "redirect_uris": [
            "https://insiders.vscode.dev/redirect",
            "https://vscode.dev/redirect",
            "http://localhost/",
            "http://127.0.0.1/",
            "http://localhost:33418/",
            "http://127.0.0.1:33418/",
        ],
        "token_endpoint_auth_method": "none",
    },
    "Claude Code": {
        "client_name": "Claude Code (orders)",
        "redirect_uris": ["http://localhost:53682/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    },
    "Claude": {
        "client_name": "Claude",
        "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": "claudeai read",
        "token_endpoint_auth_method": "client_secret_post",
    },
    "Cursor": {
        "client_name": "Cursor",
        "redirect_uris": [
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://www.cursor.com/agents/mcp/oauth/callback",
            "http://localhost:8787/callback",
        ],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    },
    "MCP Inspector": {
        "client_name": "MCP Inspector",
        "client_uri": "https://github.com/modelcontextprotocol/inspector",
        "redirect_uris": ["http://localhost:6274/oauth/callback", "http://localhost:6274/oauth/callback/debug"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "scope": "",
        "token_endpoint_auth_method": "none",
    },
    "MCP Python SDK": OAuthClientMetadata(
        client_name="orders", redirect_uris=["http://127.0.0.1:3030/callback"], scope="read"
    ).model_dump(mode="json", by_alias=True, exclude_none=True),
    "rmcp": {
        "client_name": "Codex",
        "redirect_uris": ["http://127.0.0.1:1455/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    },
    "RFC 7591": {
        "redirect_uris": ["https://client.example.org/callback", "https://client.example.org/callback2"],
        "client_name": "My Example Client",
        "client_name#ja-Jpan-JP": "クライアント名",
        "token_endpoint_auth_method": "client_secret_basic",
        "logo_uri": "https://client.example.org/logo.png",
        "jwks_uri": "https://client.example.org/my_public_keys.jwks",
        "example_extension_parameter": "example_value",
    },
}


def register(document, *, to=ENDPOINT, method="post", client=None, **extra):
    body = document if isinstance(document, bytes) else json.dumps(document)
    return getattr(client or Client(), method)(to, body, content_type="application/json", **extra)


def applications():
    return get_application_model().objects


@pytest.fixture
def allow(settings):
    """Return a function that sets who may register, and the rate."""
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "registrations"}
    }

    def change(registration, rate="0/day", **ours):
        settings.AT_JWT = {
            **settings.AT_JWT,
            "CLIENT_REGISTRATION": registration,
            "CLIENT_REGISTRATION_RATE": rate,
            **ours,
        }

    yield change
    cache.clear()


@pytest.fixture
def anyone(allow):
    allow("open")


@pytest.mark.compliance("7591-1", "7591-2")
@pytest.mark.usefixtures("anyone", "signing_keys")
class TestWhatClientsSend:
    @pytest.mark.parametrize("name", CLIENTS)
    def test_it_is_narrowed_and_stated(self, name):
        sent = CLIENTS[name]
        answer = register(sent)
        assert answer.status_code == 201
        assert "no-store" in answer["Cache-Control"]
        made = answer.json()
        assert made["grant_types"] == CODE
        assert made["response_types"] == ["code"]
        assert set(made["redirect_uris"]) == {uri for uri in sent["redirect_uris"] if uri.startswith("http")}
        assert made["client_name"] == sent["client_name"]
        method = sent.get("token_endpoint_auth_method") or "client_secret_basic"
        assert made["token_endpoint_auth_method"] == method
        assert ("client_secret" in made, made.get("client_secret_expires_at")) == (
            (False, None) if method == "none" else (True, 0)
        )
        # No API is open to clients that register themselves.
        assert made.get("scope") == ("" if sent.get("scope") else None)
        client = applications().get(client_id=made["client_id"])
        assert (client.registration_source, client.user) == ("dcr", None)
        assert made["client_id_issued_at"] == int(client.created.timestamp())
        # As a client reads it.
        OAuthClientInformationFull.model_validate(made)

    def test_scopes_are_those_of_apis_for_such_clients_and_of_the_issuer(self, settings):
        document = {"redirect_uris": [REDIRECT_URI], "scope": "openid read reports:read nonsense"}
        assert register(document).json()["scope"] == "openid"
        settings.AT_JWT = {
            **settings.AT_JWT,
            "RESOURCE_SERVERS": {API: {"scopes": ["read"], "registered_clients": True}},
        }
        assert register(document).json()["scope"] == "openid read"

    def test_device_without_redirect_uris(self):
        made = register({"grant_types": [DEVICE_CODE_GRANT], "token_endpoint_auth_method": "none"}).json()
        assert made["grant_types"] == [DEVICE_CODE_GRANT, "refresh_token"]
        assert (made["response_types"], made["redirect_uris"]) == ([], [])

    @pytest.mark.parametrize("grant", ["client_credentials", "implicit", "password"])
    def test_grants_that_the_site_does_not_offer(self, grant, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **oauth2_provider_settings(profile="rfc9700")}
        refused = register({"grant_types": [grant], "redirect_uris": [REDIRECT_URI]})
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata")
        assert refused.json()["error_description"].startswith("None of grant_types can be registered here.")

    @pytest.mark.parametrize(
        "scheme", ["javascript:alert(document.cookie)", "data:text/html,x", "http://client.example.com/", "file:///x"]
    )
    def test_hostile_redirect_uris(self, scheme):
        refused = register({"redirect_uris": [scheme]})
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_redirect_uri")
        assert "alert" not in refused.json()["error_description"]
        kept = register({"redirect_uris": [scheme, REDIRECT_URI]}).json()
        assert kept["redirect_uris"] == [REDIRECT_URI]
        assert applications().get().redirect_uris == REDIRECT_URI

    @pytest.mark.parametrize("uri", ["http://127.0.0.2/", "http://any.localhost/"])
    def test_redirect_uris_that_validators_of_the_model_refuse_are_dropped(self, uri, mcp_site):
        kept = register({"redirect_uris": [uri, REDIRECT_URI]})
        assert (kept.status_code, kept.json().get("redirect_uris")) == (201, [REDIRECT_URI])

    @pytest.mark.parametrize(
        "document",
        [
            json.dumps({"client_name": "x" * MOST_BYTES, "redirect_uris": [REDIRECT_URI]}).encode(),
            json.dumps({"redirect_uris": [f"{REDIRECT_URI}?{number}" for number in range(2000)]}).encode(),
            b"{" + b'"a": 1, ' * 5000 + b'"redirect_uris": ["https://client.example.com/"]}',
            b'{"redirect_uris": ["https://client.example.com/\\u0000"]}',
            b"x" * 3_000_000,
            b'{"redirect_uris": ' + b"[" * 20_000,
            b"\xff",
        ],
        ids=["long name", "many redirect URIs", "duplicates", "NUL", "not JSON", "deep", "not UTF-8"],
    )
    def test_hostile_documents(self, document):
        refused = register(document)
        assert refused.status_code == 400
        assert refused.json()["error"] in {"invalid_client_metadata", "invalid_redirect_uri"}
        assert len(refused.content) < 500
        assert not applications().exists()


class TestWhoMayRegister:
    document = {"redirect_uris": [REDIRECT_URI]}

    @pytest.mark.parametrize("toolkit", [{}, {"DCR_ENABLED": True}, {"DCR_ENABLED": False}])
    def test_nobody(self, toolkit, allow, settings, signing_keys):
        allow("open")
        made = register(self.document).json()
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **toolkit}
        allow("closed")
        own = {"headers": {"Authorization": f"Bearer {made['registration_access_token']}"}}
        where = urlsplit(made["registration_client_uri"]).path
        for answer in (
            register(self.document),
            Client().get(where, **own),
            register(self.document, to=where, method="put", **own),
        ):
            assert answer.status_code == 404
        assert "registration_endpoint" not in Client().get("/o/.well-known/oauth-authorization-server").json()

    def test_users(self, allow, user):
        allow("users")
        refused = register(self.document)
        assert (refused.status_code, refused["WWW-Authenticate"]) == (401, "Bearer")
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(user)
        # Another site's page sends the cookie, but not the token.
        assert register(self.document, client=browser).status_code == 401
        browser = Client()
        browser.force_login(user)
        made = register({**self.document, "grant_types": ["client_credentials"]}, client=browser)
        assert made.status_code == 201
        client = applications().get()
        assert (client.user, made.json()["grant_types"]) == (user, ["client_credentials"])

    @pytest.mark.parametrize("grant", ["client_credentials", "password"])
    def test_anyone_gets_no_grant_without_a_page_for_the_user(self, grant, allow):
        allow("users")
        assert grant in _offered_grant_types()
        allow("open")
        refused = register({**self.document, "grant_types": [grant]})
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata")

    def test_anyone(self, allow, user, signing_keys):
        allow("open")
        assert register(self.document).status_code == 201
        # A page of another site can send a user's cookie, so the client is not theirs.
        browser = Client()
        browser.force_login(user)
        assert register(self.document, client=browser).status_code == 201
        assert not applications().filter(user=user).exists()
        document = Client().get("/o/.well-known/oauth-authorization-server").json()
        assert document["registration_endpoint"] == "https://as.example.com/o/register/"

    @pytest.mark.parametrize("enabled", [True, False])
    def test_without_the_setting_dot_decides(self, enabled, allow, settings):
        allow(None)
        toolkit = {
            "DCR_ENABLED": enabled,
            "DCR_REGISTRATION_PERMISSION_CLASSES": ["oauth2_provider.dcr.AllowAllDCRPermission"],
        }
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **toolkit}
        assert register(self.document).status_code == (201 if enabled else 404)
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "DCR_REGISTRATION_PERMISSION_CLASSES": []}
        assert register(self.document).status_code == (401 if enabled else 404)


class TestRate:
    document = {"redirect_uris": [REDIRECT_URI]}

    @pytest.fixture(autouse=True)
    def _two_a_day(self, allow, monkeypatch):
        allow("open", "2/day")
        # No day ends during a test.
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now)

    def test_of_an_address(self):
        assert [register(self.document).status_code for _ in range(3)] == [201, 201, 429]
        refused = register(self.document)
        assert 0 < int(refused["Retry-After"]) <= 86400
        assert refused.json()["error"] == "temporarily_unavailable"
        assert "no-store" in refused["Cache-Control"]
        assert applications().count() == 2
        assert register(self.document, REMOTE_ADDR="192.0.2.7").status_code == 201

    def test_headers_that_a_client_sends_do_not_change_its_address(self):
        answers = [
            register(self.document, headers={"X-Forwarded-For": f"192.0.2.{n}", "X-Real-IP": f"192.0.2.{n}"})
            for n in range(3)
        ]
        assert [answer.status_code for answer in answers] == [201, 201, 429]

    def test_a_subscriber_has_a_network_of_ipv6_addresses(self):
        addresses = ("2001:db8::1", "2001:db8::ffff:2", "2001:db8::3", "2001:db8:0:1::1")
        answers = [register(self.document, REMOTE_ADDR=address) for address in addresses]
        assert [answer.status_code for answer in answers] == [201, 201, 429, 201]

    def test_refused_documents_count_too(self):
        assert [register(b"[]").status_code for _ in range(3)] == [400, 400, 429]

    def test_cache_that_fails(self, allow, caplog):
        allow("open", "2/day", ATTEMPT_CACHE="missing")
        assert [register(self.document).status_code for _ in range(3)] == [201, 201, 201]
        assert "could not be counted in the cache, and is allowed" in caplog.text


@pytest.mark.usefixtures("anyone", "signing_keys")
class TestManagement:
    @pytest.fixture
    def made(self):
        return register(CLIENTS["Claude Code"]).json()

    def own(self, made, document=None, method="put"):
        headers = {"Authorization": f"Bearer {made['registration_access_token']}"}
        where = urlsplit(made["registration_client_uri"]).path
        if document is None:
            return getattr(Client(), method)(where, headers=headers)
        return register(document, to=where, method=method, headers=headers)

    def test_reading(self, made):
        read = self.own(made, method="get").json()
        assert read == {key: value for key, value in made.items() if key != "client_id_issued_at"}

    def test_a_change_is_narrowed_too(self, made):
        changed = self.own(
            made,
            {**CLIENTS["Cursor"], "client_id": made["client_id"], "grant_types": ["implicit", "authorization_code"]},
        ).json()
        assert changed["client_name"] == "Cursor"
        assert changed["redirect_uris"] == CLIENTS["Cursor"]["redirect_uris"][1:]
        assert changed["grant_types"] == CODE
        # The token has changed; the former one is no longer valid.
        assert self.own(made, method="get").status_code == 401
        assert self.own(changed, method="get").status_code == 200

    def test_another_client_id(self, made):
        for client_id in ("another", ["x"], None):
            refused = self.own(made, {**CLIENTS["Cursor"], "client_id": client_id})
            assert refused.json()["error_description"] == "client_id is not that of this client."

    def test_a_client_that_becomes_confidential_gets_a_secret(self, made):
        changed = self.own(made, CLIENTS["Claude"]).json()
        client = applications().get()
        assert client.client_type == "confidential"
        form = {"grant_type": "authorization_code", "code": "x", "client_id": client.client_id}
        for secret, error in (("wrong", "invalid_client"), (changed["client_secret"], "invalid_grant")):
            assert Client().post("/o/token/", {**form, "client_secret": secret}).json()["error"] == error
        again = self.own(changed, CLIENTS["Claude"]).json()
        assert "client_secret" not in again

    def test_a_change_does_not_bring_a_deleted_client_back(self, made, monkeypatch):
        read = registration._narrowed

        def deleted_meanwhile(*arguments, **options):
            applications().get().delete()
            return read(*arguments, **options)

        monkeypatch.setattr(registration, "_narrowed", deleted_meanwhile)
        assert self.own(made, CLIENTS["Claude"]).status_code == 401
        assert not applications().exists()
        assert not get_access_token_model().objects.exists()

    def test_a_change_keeps_what_an_administrator_changes_meanwhile(self, made, monkeypatch):
        rows, read = get_application_model().objects.filter(client_id=made["client_id"]), registration._narrowed
        before = rows.get().updated

        def changed_meanwhile(*arguments, **options):
            rows.update(client_secret="new", algorithm="RS256", allowed_origins="https://spa.example.com")
            return read(*arguments, **options)

        monkeypatch.setattr(registration, "_narrowed", changed_meanwhile)
        assert self.own(made, {**CLIENTS["Claude Code"], "client_name": "Renamed"}).status_code == 200
        client = rows.get()
        kept = (client.client_secret, client.algorithm, client.allowed_origins)
        assert kept == ("new", "RS256", "https://spa.example.com")
        assert client.name == "Renamed"
        assert client.updated > before

    def test_the_token_is_not_a_login_of_the_user_who_registered_the_client(self, allow, user):
        allow("users")
        browser = Client()
        browser.force_login(user)
        made = register(CLIENTS["Claude"], client=browser).json()
        user.set_password("battery staple")
        user.save()
        assert tokens_of_users([user], type(user)).access_tokens == 0
        revoke_user(user)
        assert self.own(made, method="get").status_code == 200
        user.is_active = False
        user.save()
        assert self.own(made, method="get").status_code == 401

    def test_the_token_ends_with_all_tokens_of_the_client(self, made):
        revoke_client(applications().get())
        assert self.own(made, method="get").status_code == 401

    def test_deletion(self, made):
        assert self.own(made, method="delete").status_code == 204
        assert not applications().exists()
        assert not get_access_token_model().objects.exists()


class SiteRegistration(DynamicClientRegistrationView):
    def post(self, request, *args, **kwargs):
        answer = super().post(request, *args, **kwargs)
        answer["X-Site"] = "yes"
        return answer


class SiteView(RegistrationView, SiteRegistration):
    pass


def test_a_sites_own_view_below_ours_still_runs(allow, settings, rf):
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "DCR_ENABLED": True,
        "DCR_REGISTRATION_PERMISSION_CLASSES": ["oauth2_provider.dcr.AllowAllDCRPermission"],
    }
    request = rf.post(ENDPOINT, CLIENTS["Claude Code"], content_type="application/json")
    request.user = AnonymousUser()
    answer = SiteView.as_view()(request)
    assert (answer.status_code, answer["X-Site"]) == (201, "yes")
    request = rf.post(ENDPOINT, b"[]", content_type="application/json")
    request.user = AnonymousUser()
    assert "X-Site" not in SiteView.as_view()(request)


@pytest.mark.usefixtures("anyone", "signing_keys")
class TestFromRegistrationToApi:
    def flow(self, user, made, **parameters):
        """Log in, agree and exchange the code as the registered client; return the error or the token response."""
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        browser, uri = Client(), made["redirect_uris"][0]
        browser.force_login(user)
        query = {
            "response_type": "code",
            "client_id": made["client_id"],
            "redirect_uri": uri,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **parameters,
        }
        page = browser.get("/o/authorize/", query)
        if page.status_code == 200:
            self.page = page.content.decode()
            form = {name: value for name, value in page.context["form"].initial.items() if value is not None}
            page = browser.post(f"/o/authorize/?{page.wsgi_request.META['QUERY_STRING']}", {**form, "allow": "on"})
        assert page.status_code == 302, page.content
        answer = {name: values[0] for name, values in parse_qs(urlsplit(page["Location"]).query).items()}
        if "error" in answer:
            return answer
        form = {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": uri,
            "code_verifier": verifier,
        }
        sent = {**form, "client_id": made["client_id"]}
        return Client().post("/o/token/", sent).json()

    def open_to_them(self, settings, **more):
        settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {API: {"registered_clients": True}, **more}}

    def test_a_token_that_the_api_takes(self, user, settings):
        self.open_to_them(settings)
        made = register(CLIENTS["Claude Code"]).json()
        token = self.flow(user, made, scope="read", resource=API)
        assert decoded(token["access_token"])[1]["aud"] == API
        bearer = {"Authorization": f"Bearer {token['access_token']}"}
        assert Client().get("/whoami/", headers=bearer).status_code == 200
        refreshed = Client().post(
            "/o/token/",
            {"grant_type": "refresh_token", "refresh_token": token["refresh_token"], "client_id": made["client_id"]},
        )
        assert refreshed.status_code == 200

    @pytest.mark.compliance("7591-2")
    @pytest.mark.parametrize(
        "parameters", [{}, {"resource": API}, {"scope": "read"}, {"scope": "read", "resource": REPORTS}]
    )
    def test_apis_open_to_all_clients_are_not_open_to_them(self, parameters, user):
        answer = self.flow(user, register(CLIENTS["Claude Code"]).json(), **parameters)
        assert answer["error"] == "invalid_target"

    def test_one_of_two_apis(self, user, settings):
        self.open_to_them(settings, **{REPORTS: {"scopes": ["reports:read"]}})
        made = register(CLIENTS["Claude Code"]).json()
        assert self.flow(user, made, scope="reports:read")["error"] == "invalid_target"
        assert self.flow(user, made, resource=REPORTS)["error"] == "invalid_target"
        token = self.flow(user, made, scope="read reports:read", resource=API)
        assert token["scope"] == "read"

    def test_an_api_that_names_the_client(self, user, settings):
        made = register(CLIENTS["Claude Code"]).json()
        settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {API: {"clients": [made["client_id"]]}}}
        assert "access_token" in self.flow(user, made, resource=API)

    def test_consent_is_not_remembered_because_the_redirect_uris_can_change(self, user, settings):
        self.open_to_them(settings)
        document = {**CLIENTS["Claude"], "token_endpoint_auth_method": "none"}
        asked = {"scope": "read", "resource": API, "approval_prompt": "auto"}
        made = register(document).json()
        assert "access_token" in self.flow(user, made, **asked)
        changed = register(
            {**document, "redirect_uris": ["https://elsewhere.example.com/"]},
            to=urlsplit(made["registration_client_uri"]).path,
            method="put",
            headers={"Authorization": f"Bearer {made['registration_access_token']}"},
        ).json()
        self.page = None
        assert "access_token" in self.flow(user, changed, **asked)
        assert "elsewhere.example.com" in self.page

    def test_an_api_that_closes_again(self, user, settings):
        self.open_to_them(settings)
        made = register(CLIENTS["Claude Code"]).json()
        token = self.flow(user, made, scope="read")
        settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {}}
        form = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"], "client_id": made["client_id"]}
        assert Client().post("/o/token/", form).json()["error"] == "invalid_target"

    @pytest.mark.parametrize("registered", [True, False])
    def test_device(self, registered, settings, user):
        if registered:
            self.open_to_them(settings)
        sent = {"grant_types": [DEVICE_CODE_GRANT], "token_endpoint_auth_method": "none"}
        made = register(sent).json()
        form = urlencode({"client_id": made["client_id"], "scope": "read"})
        encoding = "application/x-www-form-urlencoded"
        answer = Client().post("/o/device-authorization/", form, content_type=encoding)
        if registered:
            assert answer.status_code == 200
        else:
            assert answer.json()["error"] == "invalid_target"

    def test_client_credentials(self, allow, settings, user):
        allow("users")
        browser = Client()
        browser.force_login(user)
        made = register({"grant_types": ["client_credentials"]}, client=browser).json()
        form = {
            "grant_type": "client_credentials",
            "client_id": made["client_id"],
            "client_secret": made["client_secret"],
        }
        assert Client().post("/o/token/", form).json()["error"] == "invalid_target"
        self.open_to_them(settings)
        assert Client().post("/o/token/", form).status_code == 200

    def test_consent_page_names_a_client_without_a_name(self, user, settings):
        self.open_to_them(settings)
        made = register({**CLIENTS["Claude Code"], "client_name": None}).json()
        self.flow(user, made, scope="read")
        assert f"Authorize {made['client_id']}?" in self.page

    def test_an_admin_registered_client_is_not_affected(self, web, user):
        assert web.code_flow(user).status_code == 200
