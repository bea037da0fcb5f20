"""Metadata documents of clients: which are refused, from where they are fetched, and when again."""

from __future__ import annotations

import logging
from datetime import timedelta
from types import SimpleNamespace
from urllib.parse import parse_qs, quote, urlencode

import pytest
from django import urls as django_urls
from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.core.cache.backends.dummy import DummyCache
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_application_model

from django_at_jwt import urls as issuer_urls
from django_at_jwt.authorization_server import toolkit
from django_at_jwt.authorization_server.client_metadata import CIMDError
from django_at_jwt.authorization_server.views import rate_limits
from tests.admin.pages import text_of
from tests.client_documents import LibraryFetcher, Page
from tests.conftest import decoded

from .public_clients import CLAUDE, RETURNS_TO, PublicClient, expire, is_stored, stored

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]
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


class CacheThatIsDown(DummyCache):
    def get(self, *_args, **_options):
        raise OSError("no route")

    set = get


def _missing_once(get, model):
    """Return a replacement of ``QuerySet.get`` that finds no row of a model the first two times."""
    left = [1, 1]

    def get_later(self, *args, **filters):
        if self.model is model and left:
            left.pop()
            raise model.DoesNotExist
        return get(self, *args, **filters)

    return get_later


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
