"""The metadata documents of protected resources, and the challenges that refer to them (RFC 9728)."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from django.conf import settings as site
from django.urls import reverse

from django_at_jwt.core.metadata import place_of_metadata, protected_resource_metadata
from django_at_jwt.resource_server import protected_resources
from django_at_jwt.rest_framework import AccessTokenAuthentication
from tests.patience import PATIENCE_SECONDS

from .signed_tokens import bearer

WELL_KNOWN = "/.well-known/oauth-protected-resource"

pytestmark = [pytest.mark.urls("tests.site.urls_of_apis"), pytest.mark.compliance("9728-1")]


@pytest.fixture(autouse=True)
def _only_the_views_of_the_site(monkeypatch):
    """Remove the audiences that the views of other tests have declared."""
    monkeypatch.setattr(protected_resources, "_named_by_views", {site.REPORTS: None})


def configured(settings, identifier, **more):
    settings.AT_JWT = {**settings.AT_JWT, "AUDIENCE": identifier, **more}
    protected_resources._named_by_views.clear()


class TestDocument:
    def test_of_the_default_api(self, client, settings):
        settings.AT_JWT = {
            **settings.AT_JWT,
            "PROTECTED_RESOURCES": {
                settings.API: {
                    "resource_name": "Notes",
                    "scopes_supported": ["read", "write"],
                    "resource_documentation": "https://api.example.com/docs",
                }
            },
        }
        answer = client.get(WELL_KNOWN, headers={"Host": "api.example.com"})
        assert answer.status_code == 200
        assert answer["Content-Type"] == "application/json"
        assert answer.json() == {
            "resource": settings.API,
            "authorization_servers": [settings.ISSUER],
            "bearer_methods_supported": ["header"],
            "resource_name": "Notes",
            "scopes_supported": ["read", "write"],
            "resource_documentation": "https://api.example.com/docs",
        }

    def test_without_a_description_it_says_what_is_needed(self, client, settings):
        configured(settings, "https://one.example/api")
        assert client.get(f"{WELL_KNOWN}/api").json() == {
            "resource": "https://one.example/api",
            "authorization_servers": [settings.ISSUER],
            "bearer_methods_supported": ["header"],
        }

    @pytest.mark.parametrize(
        ("identifier", "place"),
        [
            ("https://one.example", ""),
            ("https://one.example/", ""),
            ("https://one.example/", "/"),
            ("https://one.example/api", "/api"),
            ("https://one.example/api/", "/api/"),
            ("https://one.example:8443/a/b", "/a/b"),
            ("https://one.example/a%20b/%C3%BC", "/a%20b/%C3%BC"),
            ("https://one.example/api?tenant=1", "/api?tenant=1"),
        ],
    )
    def test_url_and_document(self, identifier, place, client, settings):
        configured(settings, identifier)
        answer = client.get(f"{WELL_KNOWN}{place}")
        assert answer.json()["resource"] == identifier

    @pytest.mark.parametrize(
        "place", ["/api/", "/ap", "/api/x", "/API", "", "/", "//api", "/api%00", "/api%2F", "x", "/o", "-x"]
    )
    def test_unknown_path(self, place, client, settings):
        configured(settings, "https://one.example/api")
        assert client.get(f"{WELL_KNOWN}{place}").status_code == 404

    def test_unknown_query(self, client, settings):
        configured(settings, "https://one.example/api?tenant=1")
        assert client.get(f"{WELL_KNOWN}/api?tenant=2").status_code == 404
        assert client.get(f"{WELL_KNOWN}/api").status_code == 404

    def test_each_api_has_a_document_and_the_host_selects(self, client, settings):
        for host, identifier in ("api.example.com", settings.API), ("reports.example.com", settings.REPORTS):
            assert client.get(WELL_KNOWN, headers={"Host": host}).json()["resource"] == identifier
        assert client.get(WELL_KNOWN, headers={"Host": "evil.example"}).status_code == 404

    @pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host"])
    def test_nothing_follows_the_host_header(self, header, client, settings):
        configured(settings, "https://one.example/api")
        answer = client.get(f"{WELL_KNOWN}/api", headers={header: "evil.example"})
        assert answer.json()["resource"] == "https://one.example/api"
        assert b"evil" not in answer.content

    def test_only_document_at_a_path_is_found_without_its_host(self, client, settings):
        configured(settings, settings.API)
        assert client.get(WELL_KNOWN, headers={"Host": "10.0.0.1"}).json()["resource"] == settings.API

    def test_api_that_a_view_names_without_a_setting(self, client, settings):
        AccessTokenAuthentication.for_audience("https://named.example/by/a/view")

        class BySubclass(AccessTokenAuthentication):
            audience = "https://named.example/by/a/subclass"

        for place in "view", "subclass":
            assert client.get(f"{WELL_KNOWN}/by/a/{place}").json()["resource"] == f"https://named.example/by/a/{place}"

    def test_no_api_at_all(self, client, settings):
        configured(settings, None, DEFAULT_RESOURCE=None)
        assert client.get(WELL_KNOWN).status_code == 404

    def test_accepted_issuers_are_named(self, client, settings):
        one, two = "https://one.example/api", "https://two.example/other"
        remote = {"https://as.remote.example": {"audience": [one, two]}, "https://as.third.example": {"audience": two}}
        configured(settings, one, ISSUERS=remote)
        found = {place: client.get(f"{WELL_KNOWN}/{place}").json() for place in ("api", "other")}
        assert found["api"]["authorization_servers"] == [settings.ISSUER, "https://as.remote.example"]
        assert found["other"]["resource"] == two
        assert found["other"]["authorization_servers"] == ["https://as.remote.example", "https://as.third.example"]
        # A view's audience also applies to the local issuer, but not to a remote issuer without it.
        for_view = "https://named.example/by/a/view"
        AccessTokenAuthentication.for_audience(for_view)
        assert client.get(f"{WELL_KNOWN}/by/a/view").json()["authorization_servers"] == [settings.ISSUER]
        AccessTokenAuthentication.for_audience(two)
        assert client.get(f"{WELL_KNOWN}/other").json()["authorization_servers"] == [settings.ISSUER, *remote]

    def test_api_that_knows_only_a_remote_issuer(self, client, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": ""}
        remote = {"https://as.remote.example": {"audience": "https://one.example/api"}}
        configured(settings, None, DEFAULT_RESOURCE=None, ISSUERS=remote)
        assert client.get(f"{WELL_KNOWN}/api").json()["authorization_servers"] == ["https://as.remote.example"]
        link = 'resource_metadata="https://one.example/.well-known/oauth-protected-resource/api"'
        assert client.get("/whoami/")["WWW-Authenticate"] == f"Bearer {link}"

    def test_audience_that_is_not_a_url_has_no_document(self, client, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": ""}
        remote = {"https://as.remote.example": {"audience": ["an-api", "urn:example:api"]}}
        configured(settings, None, DEFAULT_RESOURCE=None, ISSUERS=remote)
        assert client.get("/whoami/")["WWW-Authenticate"] == "Bearer"
        for place in ("", "/", "/an-api", "an-api", "/example:api", "example:api"):
            assert client.get(f"{WELL_KNOWN}{place}").status_code == 404
        remote = {"https://as.remote.example": {"audience": ["an-api", "https://one.example/api"]}}
        configured(settings, None, DEFAULT_RESOURCE=None, ISSUERS=remote)
        link = 'resource_metadata="https://one.example/.well-known/oauth-protected-resource/api"'
        assert client.get("/whoami/")["WWW-Authenticate"] == f"Bearer {link}"

    def test_is_public_and_cacheable(self, client, settings):
        configured(settings, "https://one.example/api")
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
        answer = client.get(f"{WELL_KNOWN}/api")
        assert answer["Access-Control-Allow-Origin"] == "*"
        assert answer["Cache-Control"] == "public, max-age=3600"
        again = client.get(f"{WELL_KNOWN}/api", headers={"If-None-Match": answer["ETag"]})
        assert (again.status_code, again.content) == (304, b"")

    def test_preflight_allows_any_header(self, client, settings):
        configured(settings, "https://one.example/api")
        asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "mcp-protocol-version"}
        answer = client.options(f"{WELL_KNOWN}/api", headers={"Origin": "https://app.example.com", **asked})
        assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (204, "*")
        assert "*" in answer["Access-Control-Allow-Headers"].split(", ")
        assert answer["Access-Control-Allow-Methods"] == "GET, HEAD"
        assert "Allow" in client.options(f"{WELL_KNOWN}/api")
        assert client.head(f"{WELL_KNOWN}/api").content == b""
        assert client.post(f"{WELL_KNOWN}/api").status_code == 405

    def test_no_query(self, client, settings, django_assert_num_queries, db):
        configured(settings, "https://one.example/api")
        with django_assert_num_queries(0):
            client.get(f"{WELL_KNOWN}/api")

    def test_toolkits_own_stays_where_it_was(self, client, db):
        address = reverse("oauth2_provider:oauth-resource-metadata")
        assert address == "/o/.well-known/oauth-protected-resource"
        assert client.get(address).status_code == 200

    def test_toolkits_own_follows_the_host_unless_it_is_set(self, client, db, settings):
        address, host = reverse("oauth2_provider:oauth-resource-metadata"), "other.example.com"
        document = client.get(address, headers={"Host": host}).json()
        assert (document["resource"], document["authorization_servers"]) == (f"http://{host}/o", [settings.ISSUER])
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "OAUTH2_PROTECTED_RESOURCE_IDENTIFIER": settings.API,
        }
        assert client.get(address, headers={"Host": host}).json()["resource"] == settings.API


@pytest.mark.django_db
@pytest.mark.usefixtures("keys_made_quickly", "signing_keys")
class TestChallenges:
    LINK = 'resource_metadata="https://api.example.com/.well-known/oauth-protected-resource"'

    @pytest.mark.parametrize(
        ("address", "credentials", "status", "challenge"),
        [
            ("/whoami/", dict, 401, "Bearer "),
            ("/needs-write/", dict, 401, 'Bearer scope="write", '),
            (
                "/whoami/",
                lambda: {"Authorization": "Bearer a.b.c"},
                401,
                'Bearer error="invalid_token", error_description="The access token is invalid.", ',
            ),
            ("/needs-write/", lambda: bearer("read"), 403, 'Bearer error="insufficient_scope", scope="write", '),
            (
                "/whoami/",
                lambda: {"Authorization": "Bearer a b"},
                400,
                'Bearer error="invalid_request", error_description="Bearer must be followed by exactly one token", ',
            ),
            (
                "/whoami/?access_token=x",
                bearer,
                400,
                'Bearer error="invalid_request", error_description="The access token was sent in more than one way.", ',
            ),
        ],
    )
    @pytest.mark.parametrize("host", ["testserver", "evil.example"])
    def test_each_challenge_refers_to_the_document(self, address, credentials, status, challenge, host, client):
        answer = client.get(address, headers={**credentials(), "Host": host})
        assert (answer.status_code, answer["WWW-Authenticate"]) == (status, challenge + self.LINK)

    def test_api_with_another_audience(self, client):
        link = self.LINK.replace("api.", "reports.")
        assert client.get("/reports/")["WWW-Authenticate"] == f"Bearer {link}"
        assert client.get("/reports/", headers=bearer())["WWW-Authenticate"].endswith(link)

    @pytest.mark.parametrize(
        "identifier",
        [
            "https://one.example/api/",
            "https://one.example/a%20b?tenant=1",
            "https://one.example:8443",
            'https://one.example/"quoted"',
        ],
    )
    def test_the_url_in_the_challenge_works(self, identifier, client, settings):
        configured(settings, identifier)
        challenge = client.get("/whoami/")["WWW-Authenticate"]
        link = challenge.removeprefix('Bearer resource_metadata="').removesuffix('"').replace('\\"', '"')
        host = identifier.split("/")[2]
        assert link.startswith(f"https://{host}/.well-known/oauth-protected-resource")
        assert client.get(link.removeprefix(f"https://{host}")).json()["resource"] == identifier

    @pytest.mark.urls("tests.site.urls")
    def test_no_link_where_there_is_no_document(self, client):
        assert client.get("/whoami/")["WWW-Authenticate"] == "Bearer"

    def test_no_link_where_there_is_no_audience(self, client, settings):
        configured(settings, None, DEFAULT_RESOURCE=None)
        assert client.get("/whoami/")["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "said",
    [
        [],
        {"api.example.com": {}},
        {"https://api.example.com/#x": {}},
        {"https://api.example.com/": None},
        {"https://api.example.com/": {"resource": "https://other.example/"}},
        {"https://api.example.com/": {"resource_name": 1}},
        {"https://api.example.com/": {"scopes_supported": "read write"}},
        {"https://api.example.com/": {"scopes_supported": [1]}},
    ],
)
def test_setting_that_cannot_be_used(said):
    from django_at_jwt.conf import problems_in

    assert [name for name, _ in problems_in({"PROTECTED_RESOURCES": said})] == ['AT_JWT["PROTECTED_RESOURCES"]']


def test_settings_cannot_override_protocol_members():
    document = protected_resource_metadata(
        "https://a.example/", authorization_servers=[], description={"resource": "x"}
    )
    assert document == {"resource": "https://a.example/", "bearer_methods_supported": ["header"]}


def test_place_of_metadata():
    assert place_of_metadata("https://a.example/b/?c=d") == ("/b/", "c=d")


WITHOUT_THE_TOOLKIT = """
import django
from django.conf import settings

settings.configure(
    ROOT_URLCONF="api_urls",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"],
    AT_JWT={"AUDIENCE": "https://api.example.com/v1"},
    OAUTH2_PROVIDER={"OIDC_ISS_ENDPOINT": "https://as.example.com/o"},
)
django.setup()

import sys, types
from django.urls import include, path

sys.modules["api_urls"] = types.SimpleNamespace(urlpatterns=[path("", include("django_at_jwt.resource_urls"))])

from django.test import Client
print(Client().get("/.well-known/oauth-protected-resource/v1").content.decode())
assert not [name for name in sys.modules if name.startswith(("oauth2_provider", "oauthlib", "django_at_jwt.models"))]
"""


def test_project_without_the_toolkit_and_without_tables():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_THE_TOOLKIT],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["resource"] == "https://api.example.com/v1"
    assert document["authorization_servers"] == ["https://as.example.com/o"]
