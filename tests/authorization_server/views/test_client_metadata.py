"""Clients that are identified by a metadata document: from the authorization request to the token."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
import secrets
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from types import SimpleNamespace
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
from django import urls as django_urls
from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.core.cache.backends.dummy import DummyCache
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_application_model

from django_at_jwt import urls as issuer_urls
from django_at_jwt.authorization_server import toolkit
from django_at_jwt.authorization_server.client_metadata import CIMDError
from django_at_jwt.authorization_server.views import rate_limits
from tests import settings as site
from tests.client_documents import PUBLISHED, LibraryFetcher, Page
from tests.conftest import decoded

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]

VSCODE, CLAUDE_CODE, CLAUDE, CHATGPT, CODEX, OPENCODE, CURSOR = PUBLISHED
# What each client sends: a native one listens on a port that it finds free.
RETURNS_TO = {
    VSCODE: "http://127.0.0.1:51234/",
    CLAUDE_CODE: "http://localhost:3118/callback",
    CLAUDE: "https://claude.ai/api/mcp/auth_callback",
    CHATGPT: "https://chatgpt.com/connector_platform_oauth_redirect",
    CODEX: "http://127.0.0.1:33919/callback",
    OPENCODE: "http://127.0.0.1:19876/callback",
    CURSOR: "http://localhost:50001/callback",
}


WITHOUT_USER = [
    "/o/token/",
    "/o/revoke_token/",
    "/o/introspect/",
    "/o/device-authorization/",
    pytest.param(
        "/o/par/",
        marks=pytest.mark.skipif(
            toolkit.get_par_request_model is None,
            reason="the installed django-oauth-toolkit has no pushed authorization requests",
        ),
    ),
]


@dataclass
class PublicClient:
    """A public client that knows only its client id and where the browser returns to."""

    client_id: str
    redirect_uri: str = "http://127.0.0.1:50123/callback"
    browser: Client = field(default_factory=Client)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    def page(self, user, **parameters):
        """Open the authorization endpoint as a user who is logged in."""
        self.browser.force_login(user)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "state": "a state",
            "scope": "read",
            "resource": site.API,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **parameters,
        }
        return self.browser.get("/o/authorize/", query)

    def agree(self, page):
        """Agree on the consent page, and return the parameters of the redirect."""
        assert page.status_code == 200, page.content
        form = {name: value for name, value in page.context["form"].initial.items() if value is not None}
        answer = self.browser.post(f"/o/authorize/?{page.wsgi_request.META['QUERY_STRING']}", {**form, "allow": "on"})
        assert answer.status_code == 302, answer.content
        assert answer["Location"].startswith(self.redirect_uri)
        return {name: value for name, [value] in parse_qs(urlsplit(answer["Location"]).query).items()}

    def post(self, path, **data):
        return Client().post(path, {"client_id": self.client_id, **data})

    def exchange(self, code, **data):
        return self.post(
            "/o/token/",
            grant_type="authorization_code",
            code=code,
            redirect_uri=self.redirect_uri,
            code_verifier=self.verifier,
            resource=site.API,
            **data,
        )

    def token(self, user):
        response = self.exchange(self.agree(self.page(user))["code"])
        assert response.status_code == 200, response.content
        return response.json()


class CacheThatIsDown(DummyCache):
    def get(self, *_args, **_options):
        raise OSError("no route")

    set = get


def stored(client_id):
    return get_application_model().objects.get(client_id=client_id)


def is_stored(client_id):
    return get_application_model().objects.filter(client_id=client_id).exists()


def _missing_once(get, model):
    """Return a replacement of ``QuerySet.get`` that finds no row of a model the first two times."""
    left = [1, 1]

    def get_later(self, *args, **filters):
        if self.model is model and left:
            left.pop()
            raise model.DoesNotExist
        return get(self, *args, **filters)

    return get_later


def expire(client_id, *, ago=timedelta(seconds=1)):
    get_application_model().objects.filter(client_id=client_id).update(cimd_expires_at=timezone.now() - ago)
    # DOT does not fetch a document again that it could not fetch shortly before.
    caches["default"].clear()


def text_of(page):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.content.decode())).split())


@pytest.mark.compliance("CIMD-1")
class TestPublishedClients:
    def test_is_refused_where_the_grant_is_not_offered(self, library, user, settings):
        offered = ["client_credentials", "refresh_token"]
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OAUTH2_GRANT_TYPES_SUPPORTED": offered}
        assert PublicClient(CLAUDE, RETURNS_TO[CLAUDE]).page(user).status_code == 400

    @pytest.mark.parametrize("client_id", PUBLISHED)
    def test_gets_a_token_that_it_can_refresh(self, client_id, library, user):
        client = PublicClient(client_id, RETURNS_TO[client_id])
        answer = client.agree(client.page(user))
        assert (answer["state"], answer["iss"]) == ("a state", site.ISSUER)
        response = client.exchange(answer["code"])
        assert response.status_code == 200, response.content
        header, claims = decoded(response.json()["access_token"])
        assert (header["typ"], claims["aud"], claims["client_id"]) == ("at+jwt", site.API, client_id)
        refresh = {"grant_type": "refresh_token", "refresh_token": response.json()["refresh_token"]}
        assert client.post("/o/token/", **refresh).status_code == 200

    @pytest.mark.parametrize("client_id", PUBLISHED)
    def test_is_a_public_client_with_one_grant(self, client_id, library, user):
        PublicClient(client_id, RETURNS_TO[client_id]).page(user)
        row = stored(client_id)
        assert (row.client_type, row.authorization_grant_type) == ("public", "authorization-code")
        assert (row.registration_source, row.user, row.skip_authorization) == ("cimd", None, False)
        assert row.redirect_uris.split() == PUBLISHED[client_id]["redirect_uris"]

    def test_does_not_get_the_other_grants_of_its_document(self, library, user):
        client = PublicClient(VSCODE, RETURNS_TO[VSCODE])
        client.page(user)
        started = client.post("/o/device-authorization/", scope="read")
        assert (started.status_code, "device_code" in started.json()) == (400, False), started.content
        for grant in ("client_credentials", "password"):
            refused = client.post(
                "/o/token/", grant_type=grant, username="alice", password="correct horse", scope="read"
            )
            assert refused.status_code in {400, 401}
            assert refused.json()["error"] in {"invalid_client", "unauthorized_client", "unsupported_grant_type"}

    def test_must_use_pkce_with_s256(self, library, user):
        client = PublicClient(CLAUDE, RETURNS_TO[CLAUDE])
        for parameters in ({"code_challenge": ""}, {"code_challenge_method": "plain"}, {"code_challenge_method": ""}):
            page = client.page(user, **parameters)
            assert page["Location"].startswith(f"{RETURNS_TO[CLAUDE]}?error=invalid_request&"), parameters

    def test_can_revoke_its_token_but_not_introspect(self, library, user):
        client = PublicClient(CLAUDE, RETURNS_TO[CLAUDE])
        token = client.token(user)["access_token"]
        assert client.post("/o/introspect/", token=token).status_code in {401, 403}
        assert client.post("/o/revoke_token/", token=token).status_code == 200
        assert not get_access_token_model().objects.exists()


class TestMetadata:
    @pytest.mark.parametrize("with_openid", [False, True], ids=["OAuth", "OpenID Connect"])
    def test_announces_what_clients_look_for(self, with_openid, mcp_site):
        mcp_site.OAUTH2_PROVIDER = {**mcp_site.OAUTH2_PROVIDER, "OIDC_ENABLED": with_openid}
        document = Client().get("/.well-known/oauth-authorization-server/o").json()
        assert document["client_id_metadata_document_supported"] is True
        assert document["authorization_response_iss_parameter_supported"] is True
        assert document["code_challenge_methods_supported"] == ["S256"]
        methods = ["client_secret_basic", "client_secret_post", "none"]
        assert document["token_endpoint_auth_methods_supported"] == methods
        # Public clients may revoke their tokens, and introspect none.
        assert document["revocation_endpoint_auth_methods_supported"] == methods
        assert document["introspection_endpoint_auth_methods_supported"] == methods[:2]

    def test_announces_nothing_without_the_profile(self):
        document = Client().get("/.well-known/oauth-authorization-server/o").json()
        assert document["client_id_metadata_document_supported"] is False
        assert "none" not in document["token_endpoint_auth_methods_supported"]


@pytest.mark.compliance("CIMD-1")
class TestRedirectUri:
    @pytest.mark.parametrize(
        ("registered", "sent"),
        [
            ("http://127.0.0.1:33418/", "http://127.0.0.1:1/"),
            ("http://127.0.0.1/callback", "http://127.0.0.1:65535/callback"),
            ("http://[::1]/callback", "http://[::1]:8080/callback"),
            ("http://localhost:3000/callback", "http://localhost:8080/callback"),
            ("http://localhost/callback", "http://localhost/callback"),
            ("cursor://anysphere.cursor-mcp/oauth/callback", "cursor://anysphere.cursor-mcp/oauth/callback"),
        ],
    )
    def test_of_a_native_client_may_have_any_port(self, registered, sent, documents, user):
        client = PublicClient(documents.publish(redirect_uris=[registered]), sent)
        answer = client.agree(client.page(user))
        assert client.exchange(answer["code"]).status_code == 200

    @pytest.mark.parametrize(
        "sent",
        [
            "http://127.0.0.1:8080/other",
            "http://127.0.0.1:8080/callback/",
            "http://127.0.0.1:8080/callback?more=1",
            "http://127.0.0.2:8080/callback",
            "http://localhost:8080/callback",
            "http://[::1]:8080/callback",
            "https://127.0.0.1:8080/callback",
            "http://127.0.0.1.example.com:8080/callback",
            "http://user@127.0.0.1:8080/callback",
            "http://127.0.0.1:99999/callback",
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "https://client.example.com/callback",
        ],
    )
    def test_other_than_the_document_has_is_refused(self, sent, documents, user):
        page = PublicClient(documents.publish(redirect_uris=["http://127.0.0.1/callback"]), sent).page(user)
        assert page.status_code == 400
        assert "redirect" in page.content.decode()

    @pytest.mark.parametrize(
        "unusable",
        [
            "http://client.example.com/callback",
            "http://127.0.0.2/callback",
            "http://localhost.example.com/callback",
            "vscode://vscode.github-authentication/did-authenticate",
            "javascript://client.example.com/%0aalert(1)",
            "data:text/html,x",
            "https://*.example.com/callback",
            "https://user@client.example.com/callback",
            "https://client.example.com/callback#fragment",
            "https://client.example.com/ javascript://client.example.com/",
            "https://client.example.com\\@other.example.com/",
            "https://client.example.com%2eother.example.com/",
            "https:///callback",
            "callback",
            "",
            17,
        ],
    )
    def test_that_no_client_may_have_is_left_out(self, unusable, documents, user, settings):
        # Even where administrators may register wildcards.
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ALLOW_URI_WILDCARDS": True}
        client = PublicClient(documents.publish(redirect_uris=[unusable, "http://127.0.0.1/callback"]))
        assert client.page(user).status_code == 200
        assert stored(client.client_id).redirect_uris == "http://127.0.0.1/callback"

    def test_document_without_a_usable_one_is_refused(self, documents, user, caplog):
        client = PublicClient(documents.publish(redirect_uris=["zed://callback"]), "zed://callback")
        assert client.page(user).status_code == 400
        assert not is_stored(client.client_id)
        [record] = [each for each in caplog.records if each.name == "django_at_jwt"]
        assert "has the scheme 'zed', which ALLOWED_REDIRECT_URI_SCHEMES does not list" in record.getMessage()


def refused_documents():
    """Changes of a document for which it is refused."""
    return {
        "another client's": {"client_id": "https://localhost/other.json"},
        "client_id without path": {"client_id": "https://localhost"},
        "no client_id": {"client_id": None},
        "no name": {"client_name": None},
        "blank name": {"client_name": "  "},
        "name that is not a text": {"client_name": ["A client"]},
        "invisible name": {"client_name": "\u200b\u2060\ufeff"},
        "name of blank letters": {"client_name": "\u3164 \u2800"},
        "name with a mark of Arabic letters": {"client_name": "A\u061cclient"},
        "name over two lines": {"client_name": "A\nclient"},
        "name that reverses text": {"client_name": "A \u202etneilc"},
        "name that is not Unicode": {"client_name": "\ud800"},
        "name with NUL": {"client_name": "A\x00client"},
        "long name": {"client_name": "x" * 256},
        "no redirect URIs": {"redirect_uris": None},
        "empty redirect URIs": {"redirect_uris": []},
        "redirect URIs that are a text": {"redirect_uris": "http://127.0.0.1/callback"},
        "many redirect URIs": {"redirect_uris": [f"http://127.0.0.1/{number}" for number in range(51)]},
        "device grant alone": {"grant_types": ["urn:ietf:params:oauth:grant-type:device_code"]},
        "implicit grant alone": {"grant_types": ["implicit"], "response_types": ["token"]},
        "grants that are a text": {"grant_types": "authorization_code"},
        "response types without code": {"response_types": ["token"]},
        "a secret": {"client_secret": "secret"},
        "end of a secret": {"client_secret_expires_at": 0},
        "authentication by secret": {"token_endpoint_auth_method": "client_secret_basic"},
        "authentication by key": {"token_endpoint_auth_method": "private_key_jwt"},
        "authentication by key or secret": {
            "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_basic"],
        },
        "authentication that is not a text": {"token_endpoint_auth_method": ["none"]},
    }


@pytest.mark.compliance("CIMD-1")
class TestDocument:
    @pytest.mark.parametrize("changes", refused_documents().values(), ids=refused_documents())
    def test_that_lacks_a_requirement_is_refused(self, changes, documents, user, caplog):
        url = documents.publish()
        client = PublicClient(documents.publish(**changes))
        page = client.page(user)
        assert page.status_code == 400
        assert "Location" not in page
        assert not is_stored(url)
        [record] = [each for each in caplog.records if each.name == "django_at_jwt"]
        assert record.levelno == logging.WARNING
        assert record.getMessage().startswith(f"Client {url!r} is refused: ")

    def test_may_have_members_that_this_server_does_not_know(self, documents, user):
        client = PublicClient(
            documents.publish(
                grant_types=["authorization_code", "implicit", "urn:example:grant"],
                response_types=["code", "token", "code id_token"],
                jwks={"keys": [{"kty": "EC"}]},
                logo_uri="http://169.254.169.254/logo.png",
                scope="everything",
                post_logout_redirect_uris=["javascript:alert(1)"],
                skip_authorization=True,
                client_type="confidential",
                user=1,
                token_endpoint_auth_method="none",
            )
        )
        assert client.page(user).status_code == 200
        row = stored(client.client_id)
        assert (row.skip_authorization, row.client_type, row.user, row.post_logout_redirect_uris) == (
            False,
            "public",
            None,
            "",
        )
        assert documents.requests == ["/client.json"]

    @pytest.mark.parametrize(
        "page",
        [
            Page(status=404),
            Page(status=204),
            Page(status=500),
            Page(status=302, headers={"Location": "/client.json", "Content-Type": "application/json"}),
            Page(b"not json"),
            Page(b"[]"),
            Page(b'{"client_name": "A", "client_name": "B"}'),
            Page(b"[" * 10_000),
            Page(b'{"client_name": "' + b"x" * 20_000 + b'"}'),
            Page(b"{}", headers={"Content-Type": "text/html"}),
            Page(b"\x1f\x8b", headers={"Content-Type": "application/json", "Content-Encoding": "gzip"}),
        ],
        ids=["missing", "empty", "error", "redirect", "text", "list", "twice", "deep", "large", "HTML", "compressed"],
    )
    def test_that_cannot_be_read_is_refused(self, page, documents, user):
        documents.publish()
        documents.pages["/elsewhere.json"] = page
        client = PublicClient(f"{documents.root}/elsewhere.json")
        assert client.page(user).status_code == 400
        assert documents.requests == ["/elsewhere.json"]
        assert not is_stored(client.client_id)

    def test_that_arrives_byte_by_byte_is_refused_in_time(self, documents, user, settings):
        """Each byte comes in time; the whole document would take minutes."""
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "CIMD_FETCH_TIMEOUT_SECONDS": 0.5}
        client = PublicClient(documents.publish())
        documents.pages["/client.json"].drip = 0.3
        assert client.page(user).status_code == 400
        assert not is_stored(client.client_id)

    def test_may_have_a_more_specific_media_type(self, documents, user):
        headers = {"Content-Type": "application/client-metadata+json; charset=utf-8"}
        assert PublicClient(documents.publish(headers=headers)).page(user).status_code == 200

    def test_of_a_client_that_an_administrator_registered_is_not_fetched(self, documents, user, make_client):
        url = documents.publish(client_name="Not mine")
        make_client(client_id=url, client_type="public", name="Mine", redirect_uris="http://127.0.0.1/callback")
        page = PublicClient(url).page(user)
        assert "Mine" in text_of(page)
        assert documents.requests == []
        assert "The name of this application is from" not in text_of(page)


@pytest.mark.compliance("CIMD-1")
class TestAddressOfTheDocument:
    @pytest.mark.parametrize(
        "change",
        [
            lambda url: url.replace("https:", "http:"),
            lambda url: f"{url}#fragment",
            lambda url: url.replace("https://", "https://user@"),
            lambda url: url.replace("/client.json", "/./client.json"),
            lambda url: url.replace("/client.json", "/a/../client.json"),
            lambda url: url.replace("/client.json", ""),
            lambda url: url.replace("/client.json", "\\client.json"),
            lambda url: f"{url}?{'x' * 300}",
            lambda url: url.replace("/client.json", "/client json"),
            lambda url: "https://localhost:99999/client.json",
            lambda url: "https://[::1/client.json",
            lambda url: "https:///client.json",
            lambda url: f"{url}\x00",
            lambda url: f"{url}é",
        ],
        ids=[
            "http", "fragment", "user", "dot", "dots", "no path", "backslash", "long", "space", "port", "IPv6",
            "no host", "NUL", "not ASCII",
        ],
    )  # fmt: skip
    def test_that_is_not_a_valid_client_id_is_refused_unfetched(self, change, documents, user):
        client = PublicClient(change(documents.publish()))
        assert client.page(user).status_code == 400
        assert documents.requests == []
        assert client.exchange("a code").status_code in {400, 401}

    @pytest.mark.parametrize(
        "host", ["localhost", "127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "0.0.0.0"]
    )
    def test_that_leads_into_the_network_is_refused(self, host, documents, user, settings, monkeypatch):
        settings.AT_JWT = {**settings.AT_JWT, "LOOPBACK_CLIENT_METADATA": False}
        monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("connected"))
        url = documents.publish().replace("localhost", host)
        assert PublicClient(url).page(user).status_code == 400
        assert documents.requests == []

    def test_on_a_loopback_address_opens_no_other_address(self, documents, user, monkeypatch):
        monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("connected"))
        url = documents.publish().replace("localhost", "10.0.0.1")
        assert PublicClient(url).page(user).status_code == 400

    def test_may_be_as_long_as_the_column(self, documents, user):
        path = "/client.json?"
        path += "x" * (255 - len(documents.root + path))
        client = PublicClient(documents.publish(path), "http://127.0.0.1/callback")
        tokens = client.token(user)
        assert decoded(tokens["access_token"])[1]["client_id"] == client.client_id
        started = client.post("/o/device-authorization/", scope="read")
        assert started.status_code == 400
        refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        assert client.post("/o/token/", **refresh).status_code == 200
        assert client.post("/o/revoke_token/", token=tokens["refresh_token"]).status_code == 200
        longer = PublicClient(f"{client.client_id}x")
        assert longer.page(user).status_code == 400
        assert documents.requests == [path]

    def test_of_an_untrusted_server_is_refused(self, documents, user, monkeypatch):
        monkeypatch.delenv("SSL_CERT_FILE")
        assert PublicClient(documents.publish()).page(user).status_code == 400
        assert documents.requests == []


@pytest.mark.compliance("CIMD-1")
class TestFetching:
    def test_document_is_fetched_once_while_it_is_fresh(self, documents, user):
        client = PublicClient(documents.publish(headers={"Cache-Control": "max-age=3600"}))
        client.token(user)
        client.token(user)
        assert documents.requests == ["/client.json"]

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"Cache-Control": "max-age=3600"}, 3600),
            ({"Cache-Control": "max-age=3600", "Age": "600"}, 3000),
            ({"Cache-Control": "no-store,no-cache,max-age=0"}, 300),
            ({"Cache-Control": "max-age=1"}, 300),
            ({"Cache-Control": "max-age=99999999"}, 86400),
            ({}, 86400),
        ],
    )
    def test_document_is_fresh_as_long_as_its_headers_say_within_bounds(self, headers, seconds, documents, user):
        before = timezone.now()
        client = PublicClient(documents.publish(headers=headers))
        client.page(user)
        fresh = stored(client.client_id).cimd_expires_at
        assert before + timedelta(seconds=seconds) <= fresh <= timezone.now() + timedelta(seconds=seconds)

    def test_document_that_fails_is_not_fetched_again_at_once(self, documents, user):
        client = PublicClient(f"{documents.root}/missing.json")
        for _ in range(3):
            assert client.page(user).status_code == 400
        assert documents.requests == ["/missing.json"]

    def test_redirect_uri_that_is_removed_is_no_longer_accepted(self, documents, user):
        both = ["http://127.0.0.1/callback", "https://client.example.com/callback"]
        client = PublicClient(documents.publish(redirect_uris=both), both[1])
        tokens = client.token(user)
        documents.publish(redirect_uris=both[:1])
        expire(client.client_id)
        assert client.page(user).status_code == 400
        # The tokens stay: the client still exists, and the user has agreed.
        refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        assert client.post("/o/token/", **refresh).status_code == 200

    def test_document_that_becomes_invalid_does_not_change_the_client(self, documents, user):
        client = PublicClient(documents.publish(client_name="Before"))
        client.page(user)
        documents.publish(client_name=None, redirect_uris=["https://attacker.example.com/"])
        expire(client.client_id)
        assert "Before" in text_of(client.page(user))
        assert stored(client.client_id).redirect_uris == "http://127.0.0.1/callback"

    def test_document_that_is_gone_for_a_day_starts_no_authorization(self, documents, user):
        client = PublicClient(documents.publish())
        tokens = client.token(user)
        del documents.pages["/client.json"]
        expire(client.client_id, ago=timedelta(hours=23))
        assert client.page(user).status_code == 200
        expire(client.client_id, ago=timedelta(hours=25))
        assert client.page(user).status_code == 400
        refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        assert client.post("/o/token/", **refresh).status_code == 200
        documents.publish()
        expire(client.client_id, ago=timedelta(hours=25))
        assert client.page(user).status_code == 200

    @pytest.mark.parametrize(
        ("prompt", "status"), [("", 302), ("login", 302), ("none", 400), ("create", 400), ("none create", 400)]
    )
    def test_nothing_is_fetched_for_a_user_who_is_not_logged_in(self, prompt, status, documents, settings):
        """With some prompts, DOT validates the request before the login."""
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "OIDC_ENABLED": True,
            "OIDC_RP_INITIATED_REGISTRATION_ENABLED": True,
            "OIDC_RP_INITIATED_REGISTRATION_URL": "/join/",
        }
        query = {
            "response_type": "code",
            "client_id": documents.publish(),
            "redirect_uri": "http://127.0.0.1/callback",
            "prompt": prompt,
        }
        assert Client().get("/o/authorize/", query).status_code == status
        assert documents.requests == []
        assert not get_application_model().objects.exists()

    @pytest.mark.parametrize(
        ("ago", "redirect_uri", "status"),
        [
            (timedelta(hours=1), "http://127.0.0.1:50123/callback", 302),
            (timedelta(hours=1), "https://elsewhere.example.com/", 400),
            # The copy is too old to use.
            (timedelta(hours=25), "http://127.0.0.1:50123/callback", 400),
        ],
    )
    def test_expired_copy_has_the_redirect_uri_for_an_error(self, ago, redirect_uri, status, documents, user):
        """RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6."""
        client = PublicClient(documents.publish())
        client.page(user)
        expire(client.client_id, ago=ago)
        documents.requests.clear()
        query = {"response_type": "code", "client_id": client.client_id, "redirect_uri": redirect_uri, "state": "s"}
        challenge = {"code_challenge": "a" * 43, "code_challenge_method": "S256"}
        answer = Client().get("/o/authorize/", {**query, **challenge, "scope": "openid read", "prompt": "none"})
        assert answer.status_code == status, answer.content
        assert documents.requests == []
        if status == 302:
            address, _, told = answer["Location"].partition("?")
            assert address == redirect_uri
            assert {name: parse_qs(told)[name] for name in ("error", "state")} == {
                "error": ["login_required"],
                "state": ["s"],
            }

    @pytest.mark.parametrize("path", WITHOUT_USER)
    @pytest.mark.parametrize("is_known", [False, True], ids=["unknown", "expired"])
    def test_nothing_is_fetched_where_no_user_is_logged_in(self, path, is_known, documents, user):
        """Anyone could send these requests: to have URLs fetched, keep workers busy, and store clients."""
        client = PublicClient(documents.publish())
        if is_known:
            client.page(user)
            expire(client.client_id)
        documents.requests.clear()
        sent = {"client_id": client.client_id, "grant_type": "refresh_token", "refresh_token": "a", "token": "b"}
        answer = Client().post(path, urlencode(sent), content_type="application/x-www-form-urlencoded")
        assert answer.status_code in {200, 400, 401}
        assert documents.requests == []
        assert is_stored(client.client_id) is is_known

    def test_nothing_is_fetched_for_a_known_client_in_another_case(self, documents, user):
        """Some databases find it."""
        client = PublicClient(documents.publish())
        client.page(user)
        expire(client.client_id)
        documents.requests.clear()
        other = PublicClient(client.client_id.upper())
        answer = other.post("/o/token/", grant_type="refresh_token", refresh_token="a")
        assert documents.requests == []
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")

    @pytest.mark.parametrize("prefix", ["ö/", "a b/", "a%20b/"])
    def test_nothing_is_fetched_below_a_path_that_is_escaped_in_a_url(self, prefix, documents, settings):
        patterns = [django_urls.path(prefix, django_urls.include(issuer_urls))]
        settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": patterns})
        client = PublicClient(documents.publish())
        answer = client.post(f"/{quote(prefix)}token/", grant_type="refresh_token", refresh_token="a")
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert documents.requests == []

    def test_copy_that_has_expired_still_serves_tokens(self, documents, user):
        client = PublicClient(documents.publish())
        code = client.agree(client.page(user))["code"]
        expire(client.client_id)
        tokens = client.exchange(code).json()
        refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        assert client.post("/o/token/", **refresh).status_code == 200
        assert client.post("/o/revoke_token/", token=tokens["access_token"]).status_code == 200
        assert documents.requests == ["/client.json"]

    def test_user_has_twenty_documents_fetched_in_an_hour(self, documents, user, caplog, monkeypatch):
        now = timezone.now().timestamp()
        monkeypatch.setattr(rate_limits, "time", SimpleNamespace(time=lambda: now))
        urls = [documents.publish(f"/{number}.json") for number in range(21)]
        pages = [PublicClient(url).page(user) for url in urls]
        assert [page.status_code for page in pages] == [200] * 20 + [429]
        assert int(pages[-1]["Retry-After"]) <= 3600
        assert "Error: temporarily_unavailable You have used too many new applications. Try again later." in text_of(
            pages[-1]
        )
        assert len(documents.requests) == 20
        assert not is_stored(urls[-1])
        [record] = [each for each in caplog.records if each.name == "django_at_jwt"]
        assert record.getMessage().startswith(f"Client {urls[-1]!r} is refused: its metadata document is not fetched")
        # Others, and clients that are known, are not affected.
        assert PublicClient(urls[0]).page(user).status_code == 200
        assert PublicClient(urls[-1]).page(get_user_model().objects.create_user("bob")).status_code == 200

    def test_cache_that_is_down_refuses_the_client(self, documents, user, settings, caplog):
        client = PublicClient(documents.publish(), "http://127.0.0.1/callback")
        working = settings.CACHES
        settings.CACHES = {"default": {"BACKEND": f"{__name__}.CacheThatIsDown"}}
        assert client.page(user).status_code == 400
        assert client.exchange("a code").json()["error"] == "invalid_client"
        assert "cannot be looked up, for instance because the default cache is down: no route" in caplog.text
        settings.CACHES = working
        token = client.token(user)
        # A document that is known and fresh needs no cache.
        settings.CACHES = {"default": {"BACKEND": f"{__name__}.CacheThatIsDown"}}
        refresh = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]}
        assert client.post("/o/token/", **refresh).status_code == 200

    def test_client_that_another_request_stores_at_the_same_time(self, library, user, make_client, monkeypatch):
        """In the transaction of a request (ATOMIC_REQUESTS), the error must not end the transaction."""
        retrieve = LibraryFetcher.retrieve

        def retrieve_late(fetcher, client_id):
            make_client(client_id=client_id, registration_source="cimd")
            monkeypatch.setattr(LibraryFetcher, "retrieve", retrieve)
            return retrieve(fetcher, client_id)

        monkeypatch.setattr(LibraryFetcher, "retrieve", retrieve_late)
        # DOT reads the client before the other request has stored it.
        query = type(get_application_model().objects.all())
        monkeypatch.setattr(query, "get", _missing_once(query.get, get_application_model()))
        client = PublicClient(CLAUDE, RETURNS_TO[CLAUDE])
        assert client.page(user).status_code == 400
        caches["default"].clear()
        assert client.page(user).status_code == 200

    def test_hosts_can_be_limited(self, documents, user, settings):
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "CIMD_REGISTRATION_PERMISSION_CLASSES": [f"{CIMDError.__module__}.HostAllowlistCIMDPermission"],
            "CIMD_ALLOWED_HOSTS": ["claude.ai"],
        }
        assert PublicClient(documents.publish()).page(user).status_code == 400
        assert documents.requests == []


class TestConsentPage:
    def test_shows_the_host_of_the_document_and_where_the_browser_returns_to(self, library, user):
        page = text_of(PublicClient(CHATGPT, RETURNS_TO[CHATGPT]).page(user))
        assert "Authorize ChatGPT?" in page
        assert "The name of this application is from chatgpt.com ." in page
        assert "Your browser then returns to chatgpt.com ." in page
        assert "can pretend to be this application" not in page

    def test_shows_both_hosts_if_they_differ(self, library, user):
        library[CHATGPT]["redirect_uris"] = ["https://attacker.example.com/callback"]
        page = text_of(PublicClient(CHATGPT, "https://attacker.example.com/callback").page(user))
        assert "The name of this application is from chatgpt.com ." in page
        assert "Your browser then returns to attacker.example.com ." in page

    def test_shows_the_port_of_the_document(self, documents, user):
        page = PublicClient(documents.publish()).page(user)
        assert f"is from {urlsplit(documents.root).netloc} ." in text_of(page)

    @pytest.mark.parametrize("client_id", [CLAUDE_CODE, VSCODE, OPENCODE])
    def test_warns_if_any_app_on_the_device_can_receive_the_answer(self, client_id, library, user):
        page = text_of(PublicClient(client_id, RETURNS_TO[client_id]).page(user))
        assert "Any app on this device can pretend to be this application." in page
        assert "Your browser then returns to an app on this device ." in page

    def test_does_not_warn_if_an_administrator_registered_the_client(self, user, make_client):
        client = make_client(client_type="public", redirect_uris="http://127.0.0.1/callback")
        page = text_of(PublicClient(client.application.client_id).page(user))
        assert "Your browser then returns to an app on this device ." in page
        assert "can pretend to be this application" not in page

    def test_escapes_the_name(self, documents, user):
        page = PublicClient(documents.publish(client_name="<script>alert(1)</script>")).page(user).content.decode()
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)" in page

    @pytest.mark.compliance("8252-1")
    @pytest.mark.parametrize("client_id", [CLAUDE_CODE, VSCODE])
    def test_is_shown_each_time_to_a_client_that_can_be_impersonated(self, client_id, library, user, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ENABLED": True}
        client = PublicClient(client_id, RETURNS_TO[client_id])
        client.token(user)
        assert client.page(user, approval_prompt="auto").status_code == 200
        silent = client.page(user, prompt="none", scope="openid read")
        assert "error=consent_required" in silent["Location"]

    def test_is_skipped_after_consent_if_the_answer_goes_to_the_host_of_the_document(self, library, user):
        client = PublicClient(CLAUDE, RETURNS_TO[CLAUDE])
        client.token(user)
        assert client.page(user, approval_prompt="auto").status_code == 302

    def test_is_shown_again_if_the_answer_goes_to_another_host(self, library, user):
        """A document can change after the user has agreed."""
        client = PublicClient(CLAUDE, RETURNS_TO[CLAUDE])
        client.token(user)
        elsewhere = "https://attacker.example.com/callback"
        library[CLAUDE]["redirect_uris"].append(elsewhere)
        expire(CLAUDE)
        assert PublicClient(CLAUDE, elsewhere).page(user, approval_prompt="auto").status_code == 200


class TestRegistrationByAdministrators:
    """The scheme http is needed for loopback redirect URIs, and opens no other host."""

    @pytest.mark.parametrize(
        ("redirect_uris", "is_allowed"),
        [
            ("http://127.0.0.1/callback http://localhost:8000/ http://[::1]/", True),
            ("https://client.example.com/", True),
            ("http://client.example.com/", False),
            ("https://client.example.com/ http://127.0.0.2/", False),
        ],
    )
    @pytest.mark.parametrize("is_mcp", [True, False])
    def test_http_is_for_loopback_hosts(self, is_mcp, redirect_uris, is_allowed, request):
        if is_mcp:
            request.getfixturevalue("mcp_site")
        client = get_application_model()(
            name="A client",
            client_type="public",
            authorization_grant_type="authorization-code",
            redirect_uris=redirect_uris,
        )
        is_refused = is_mcp and not is_allowed
        with pytest.raises(ValidationError, match="must be 127") if is_refused else nullcontext():
            client.full_clean(exclude=["client_secret"])
