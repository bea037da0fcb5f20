"""Scripts in browsers: which origins may use which endpoints, and how preflight requests are answered."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.conftest import REDIRECT_URI
from tests.settings import API

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]

APP, OTHER = "https://app.example.com", "https://other.example.com"
ENDPOINTS = {
    "/o/token/": "POST",
    "/o/revoke_token/": "POST",
    "/o/register/": "POST",
    "/o/register/x/": "GET, PUT, DELETE",
    "/o/userinfo/": "GET, POST",
}
DOCUMENTS = [
    "/o/.well-known/oauth-authorization-server",
    "/.well-known/oauth-authorization-server/o",
    "/o/.well-known/jwks.json",
]
ALLOWED = "Access-Control-Allow-Origin"


def preflight(path, origin=APP, method="POST", headers="content-type,mcp-protocol-version"):
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return Client().options(path, headers={"Origin": origin, **asked})


@pytest.fixture
def origins(settings):
    def allow(value, **ours):
        settings.AT_JWT = {
            **settings.AT_JWT,
            "CORS_ALLOWED_ORIGINS": value,
            "CLIENT_REGISTRATION": "open",
            "CLIENT_REGISTRATION_RATE": "0/day",
            **ours,
        }

    return allow


class TestEndpoints:
    @pytest.mark.parametrize("path", ENDPOINTS)
    def test_preflight(self, path, origins):
        origins([APP])
        answer = preflight(path)
        assert answer.status_code == 204
        assert answer[ALLOWED] == APP
        assert answer["Access-Control-Allow-Methods"] == ENDPOINTS[path]
        names = {name.strip().lower() for name in answer["Access-Control-Allow-Headers"].split(",")}
        assert names == {"authorization", "content-type", "mcp-protocol-version"}
        assert "Access-Control-Allow-Credentials" not in answer
        assert "Origin" in answer["Vary"]
        assert int(answer["Access-Control-Max-Age"]) > 0

    @pytest.mark.parametrize("path", ENDPOINTS)
    @pytest.mark.parametrize(
        "origin",
        [OTHER, "null", "http://app.example.com", f"{APP}:8443", f"{APP}.evil.example", "https://APP.example.com"],
    )
    def test_other_origins(self, path, origin, origins):
        origins([APP])
        for answer in (preflight(path, origin), Client().post(path, headers={"Origin": origin})):
            assert not [name for name in answer.headers if name.startswith("Access-Control-")]
            # A cache must not give this response to a script of an allowed origin.
            assert "Origin" in answer["Vary"]

    @pytest.mark.parametrize("path", ENDPOINTS)
    def test_all_origins(self, path, origins):
        origins("*")
        for origin in (APP, OTHER, "null"):
            for answer in (preflight(path, origin), Client().post(path, headers={"Origin": origin})):
                assert answer[ALLOWED] == "*"
                assert "Access-Control-Allow-Credentials" not in answer
                assert "Origin" not in answer.get("Vary", "")

    @pytest.mark.parametrize("path", ENDPOINTS)
    def test_errors_can_be_read_with_their_challenge(self, path, origins):
        origins([APP])
        answer = Client().post(path, {"grant_type": "nonsense"}, headers={"Origin": APP})
        assert answer.status_code >= 400
        assert answer[ALLOWED] == APP
        assert "WWW-Authenticate" in answer["Access-Control-Expose-Headers"]
        assert "Retry-After" in answer["Access-Control-Expose-Headers"]

    def test_unreadable_requests_too(self, origins):
        origins([APP])
        answer = Client().post("/o/token/", {"grant_type": "\0"}, headers={"Origin": APP})
        assert (answer.status_code, answer[ALLOWED]) == (400, APP)

    @pytest.mark.parametrize("path", ENDPOINTS)
    def test_without_the_setting_nothing_changes(self, path, origins):
        origins(())
        for answer in (preflight(path), Client().post(path, headers={"Origin": APP})):
            assert not [name for name in answer.headers if name.startswith("Access-Control-")]

    @pytest.mark.parametrize("path", ENDPOINTS)
    def test_a_plain_options_request_is_not_a_preflight(self, path, origins):
        origins([APP])
        assert "Access-Control-Allow-Methods" not in Client().options(path, headers={"Origin": APP})

    @pytest.mark.parametrize("path", ["/o/authorize/", "/o/introspect/", "/o/device/", "/o/applications/"])
    def test_other_endpoints_are_left_alone(self, path, origins):
        origins("*")
        assert ALLOWED not in preflight(path)
        assert ALLOWED not in Client().get(path, headers={"Origin": APP})

    def test_a_script_registers_and_gets_a_token(self, origins):
        origins([APP], RESOURCE_SERVERS={API: {"registered_clients": True}})
        made = Client().post(
            "/o/register/", {"redirect_uris": [REDIRECT_URI]}, content_type="application/json", headers={"Origin": APP}
        )
        assert (made.status_code, made[ALLOWED]) == (201, APP)

    def test_token(self, origins, service):
        origins([APP])
        answer = service.post("/o/token/", {"grant_type": "client_credentials"}, headers={"Origin": APP})
        assert (answer.status_code, answer[ALLOWED]) == (200, APP)


class TestOriginsOfOneClient:
    """DOT's ``allowed_origins`` of a client at the token endpoint."""

    def exchange(self, web, user, origin):
        answer = web.authorize(user)
        form = {"grant_type": "authorization_code", "code": answer["code"], "redirect_uri": REDIRECT_URI}
        return web.post("/o/token/", {**form, "code_verifier": web.verifier}, headers={"Origin": origin})

    @pytest.mark.parametrize("ours", [(), ["https://third.example.com"], "*"])
    def test_they_still_work(self, ours, origins, make_client, user):
        web = make_client(allowed_origins=APP)
        origins(ours)
        answer = self.exchange(web, user, APP)
        assert answer.status_code == 200
        assert answer[ALLOWED] == APP
        assert self.exchange(web, user, OTHER).get(ALLOWED) == ("*" if ours == "*" else None)


class TestDocuments:
    @pytest.mark.parametrize("path", DOCUMENTS)
    @pytest.mark.parametrize("setting", [(), [OTHER]])
    def test_any_origin_reads_them(self, path, setting, origins):
        origins(setting)
        answer = Client().get(path, headers={"Origin": APP})
        assert answer.status_code == 200
        assert answer[ALLOWED] == "*"
        asked = preflight(path, method="GET", headers="mcp-protocol-version")
        assert (asked.status_code, asked[ALLOWED]) == (204, "*")
        assert "GET" in asked["Access-Control-Allow-Methods"]
        assert "mcp-protocol-version" in asked["Access-Control-Allow-Headers"].lower()

    def test_copies_in_caches_are_for_all(self):
        answer = Client().get("/o/.well-known/jwks.json")
        assert answer[ALLOWED] == "*"
        assert "Origin" not in answer.get("Vary", "")
        again = Client().get("/o/.well-known/jwks.json", headers={"If-None-Match": answer["ETag"], "Origin": APP})
        assert (again.status_code, again[ALLOWED]) == (304, "*")


class TestWithDjangoCorsHeaders:
    @pytest.fixture(autouse=True)
    def _middleware(self, settings):
        pytest.importorskip("corsheaders", reason="django-cors-headers is not installed")
        settings.MIDDLEWARE = ["corsheaders.middleware.CorsMiddleware", *settings.MIDDLEWARE]
        settings.CORS_ALLOWED_ORIGINS = [OTHER]
        settings.CORS_ALLOW_CREDENTIALS = True

    def test_headers_are_not_doubled(self, origins, settings):
        origins("*")
        for origin, allowed in ((OTHER, OTHER), (APP, "*")):
            answer = Client().post("/o/token/", headers={"Origin": origin})
            assert answer[ALLOWED] == allowed
            # It is the site's own choice for its own origins, never ours for all.
            assert ("Access-Control-Allow-Credentials" in answer) == (origin == OTHER)

    def test_it_answers_preflight_requests_unless_the_endpoints_are_excluded(self, origins, settings):
        origins([APP])
        assert ALLOWED not in preflight("/o/token/")
        settings.CORS_URLS_REGEX = r"^/api/"
        answer = preflight("/o/token/")
        assert (answer.status_code, answer[ALLOWED]) == (204, APP)
