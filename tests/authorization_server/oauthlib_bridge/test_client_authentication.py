"""Client secrets at the endpoints: which hashes are computed, stored and refused."""

from __future__ import annotations

import base64
import json

import pytest
from django.contrib.auth.hashers import make_password
from django.db import DatabaseError
from django.db.models import QuerySet
from django.http import HttpResponse
from django.test import Client, RequestFactory
from oauth2_provider.generators import generate_client_secret
from oauth2_provider.models import get_application_model
from oauth2_provider.views import ClientProtectedResourceView

from django_at_jwt.authorization_server.client_secrets.attempts import MOST_FAILURES
from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.conf import CLIENT_SECRET_HASHER
from django_at_jwt.models import ClientSecretKey
from tests.client_secret_fixtures import COUNTING, OURS, create_client_secret_key
from tests.conftest import SECRET
from tests.settings import API
from tests.site.registration import OPEN_REGISTRATION

pytestmark = pytest.mark.django_db


@pytest.fixture
def secret():
    return generate_client_secret()


class ForClients(ClientProtectedResourceView):
    """A site's own view, which cannot answer 503."""

    def post(self, request):
        return HttpResponse("for clients only")


def rows():
    return get_application_model().objects


def stored_secret(oauth):
    return rows().values_list("client_secret", flat=True).get(pk=oauth.application.pk)


def by_body(oauth, secret):
    return oauth.token("client_credentials", client_secret=secret)


def by_header(oauth, secret):
    credentials = base64.b64encode(f"{oauth.application.client_id}:{secret}".encode()).decode()
    return Client().post(
        "/o/token/", {"grant_type": "client_credentials"}, headers={"authorization": f"Basic {credentials}"}
    )


def assert_invalid_client(answer):
    assert answer.status_code == 401
    assert json.loads(answer.content)["error"] == "invalid_client"


@pytest.mark.parametrize("path", ["/o/token/", "/o/revoke_token/", "/o/introspect/"])
def test_credentials_of_another_client_than_the_request_names(path, make_client, events):
    oauth, other = make_client("client-credentials"), make_client("client-credentials")
    credentials = base64.b64encode(f"{oauth.application.client_id}:{SECRET}".encode()).decode()
    data = {"grant_type": "client_credentials", "token": "x", "client_id": other.application.client_id}
    assert_invalid_client(Client().post(path, data, headers={"authorization": f"Basic {credentials}"}))
    [refused] = events
    assert refused.client_id == oauth.application.client_id
    assert refused.reason == "client_id names another client"


@pytest.mark.usefixtures("keyed_hasher")
class TestGeneratedSecret:
    @pytest.mark.parametrize("send", [by_body, by_header])
    def test_wrong_one_is_traced_to_the_client_in_the_log_only(self, send, make_client, secret, events):
        oauth = make_client("client-credentials", client_secret=secret)
        answer = send(oauth, secret[:-1])
        assert_invalid_client(answer)
        assert "secret" not in answer.text
        [refused] = events
        assert (refused.client_id, refused.reason) == (oauth.application.client_id, "wrong client secret")

    @pytest.mark.parametrize("send", [by_body, by_header])
    def test_costs_no_password_hash(self, send, make_client, secret, hashed):
        oauth = make_client("client-credentials", client_secret=secret)
        before = stored_secret(oauth)
        assert before.startswith(f"{CLIENT_SECRET_HASHER}$")
        assert send(oauth, secret).status_code == 200
        assert_invalid_client(send(oauth, secret[:-1]))
        assert hashed == []
        assert stored_secret(oauth) == before

    def test_stored_hash_is_not_the_secret(self, make_client, secret):
        oauth = make_client("client-credentials", client_secret=secret)
        assert_invalid_client(by_body(oauth, stored_secret(oauth)))

    def test_moves_to_a_newer_key(self, make_client, secret):
        oauth = make_client("client-credentials", client_secret=secret)
        newer = create_client_secret_key()
        for _ in range(2):
            assert by_body(oauth, secret).status_code == 200
            assert stored_secret(oauth).split("$")[1] == newer.kid

    def test_costs_as_many_statements_as_one_in_plain(self, make_client, secret, django_assert_num_queries):
        fast = make_client("client-credentials", client_secret=secret)
        plain = make_client("client-credentials", hash_client_secret=False, client_secret=secret)
        for oauth in (plain, fast):
            assert by_body(oauth, secret).status_code == 200
        with django_assert_num_queries(5):
            by_body(plain, secret)
        with django_assert_num_queries(5):
            by_body(fast, secret)

    def test_of_a_registered_client(self, settings, hashed):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPEN_REGISTRATION}
        settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {API: {"registered_clients": True}}}
        document = {"client_name": "x", "grant_types": ["client_credentials"]}
        answer = Client().post("/o/register/", json.dumps(document), content_type="application/json").json()
        credentials = {name: answer[name] for name in ("client_id", "client_secret")}
        answer = Client().post("/o/token/", {"grant_type": "client_credentials", **credentials})
        assert answer.status_code == 200
        assert hashed == []

    def test_key_that_is_lost_is_503_and_not_a_wrong_secret(self, make_client, secret, settings, caplog):
        oauth = make_client("client-credentials", client_secret=secret)
        settings.SECRET_KEY = "another"
        answer = by_body(oauth, secret)
        assert answer.status_code == 503
        assert int(answer["Retry-After"]) > 0
        assert f"client secret key {ClientSecretKey.objects.get().kid} is encrypted with" in caplog.text
        assert secret not in caplog.text

    def test_lost_key_causes_no_error_on_the_toolkits_own_views(self, make_client, secret, settings):
        oauth = make_client("client-credentials", client_secret=secret)
        settings.SECRET_KEY = "another"
        request = RequestFactory().post("/for-clients/", {**oauth.credentials, "client_secret": secret})
        assert ForClients.as_view()(request).status_code == 403

    def test_key_that_was_deleted_is_refused_with_the_remedy(self, make_client, secret, caplog):
        oauth = make_client("client-credentials", client_secret=secret)
        ClientSecretKey.objects.all().delete()
        assert_invalid_client(by_body(oauth, secret))
        assert "no longer exists. Set a new secret." in caplog.text


class TestUpgrade:
    @pytest.fixture
    def old(self, make_client, secret, hashed):
        """A client of a site that did not have the hasher yet."""
        oauth = make_client("client-credentials", client_secret=secret)
        assert stored_secret(oauth).startswith("counted$")
        return oauth

    @pytest.fixture
    def hashed_so_far(self, old, keyed_hasher, hashed):
        hashed.clear()
        return hashed

    def test_happens_at_the_first_success(self, old, secret, hashed_so_far):
        assert_invalid_client(by_body(old, secret[:-1]))
        assert stored_secret(old).startswith("counted$")
        assert by_body(old, secret).status_code == 200
        assert stored_secret(old).startswith(f"{CLIENT_SECRET_HASHER}$")
        hashed_so_far.clear()
        assert by_body(old, secret).status_code == 200
        assert hashed_so_far == []

    def test_does_not_happen_with_a_wrong_secret(self, old, secret, hashed_so_far):
        before = stored_secret(old)
        assert_invalid_client(by_body(old, generate_client_secret()))
        assert stored_secret(old) == before

    def test_does_not_undo_a_new_secret(self, old, secret, hashed_so_far, monkeypatch):
        update = QuerySet.update
        other = make_password("another", hasher="counted")

        def update_later(query_set, **values):
            if "client_secret" in values:
                update(rows().filter(pk=old.application.pk), client_secret=other)
            return update(query_set, **values)

        monkeypatch.setattr(QuerySet, "update", update_later)
        assert by_body(old, secret).status_code == 200
        assert stored_secret(old) == other

    def test_that_cannot_be_stored_causes_no_error(self, old, secret, hashed_so_far, monkeypatch, caplog):
        update = QuerySet.update

        def fail(query_set, **values):
            if "client_secret" in values:
                raise DatabaseError("read-only")
            return update(query_set, **values)

        monkeypatch.setattr(QuerySet, "update", fail)
        assert by_body(old, secret).status_code == 200
        assert "was not hashed again: read-only" in caplog.text

    def test_needs_a_key(self, old, secret, hashed_so_far):
        ClientSecretKey.objects.all().delete()
        assert by_body(old, secret).status_code == 200
        assert stored_secret(old).startswith("counted$")
        rotate_signing_keys()
        assert by_body(old, secret).status_code == 200
        assert stored_secret(old).startswith(CLIENT_SECRET_HASHER)

    def test_needs_the_hasher_to_be_installed(self, old, secret, hashed_so_far, settings):
        settings.PASSWORD_HASHERS = [COUNTING]
        assert by_body(old, secret).status_code == 200
        assert stored_secret(old).startswith("counted$")

    def test_only_of_generated_secrets(self, make_client, keyed_hasher):
        oauth = make_client("client-credentials")
        before = stored_secret(oauth)
        assert by_body(oauth, SECRET).status_code == 200
        assert stored_secret(oauth) == before
        assert before.startswith("counted$")

    def test_leaves_other_hashers_alone(self, old, secret, hashed_so_far, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "CLIENT_SECRET_HASHER": "md5"}
        settings.PASSWORD_HASHERS = [COUNTING, "django.contrib.auth.hashers.MD5PasswordHasher", OURS]
        before = stored_secret(old)
        assert by_body(old, secret).status_code == 200
        assert stored_secret(old) == before


@pytest.mark.usefixtures("keyed_hasher")
class TestLeaving:
    def test_secret_moves_back_at_the_next_success(self, make_client, secret, settings):
        oauth = make_client("client-credentials", client_secret=secret)
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "CLIENT_SECRET_HASHER": "default"}
        assert by_body(oauth, secret).status_code == 200
        assert stored_secret(oauth).startswith("counted$")
        settings.PASSWORD_HASHERS = [COUNTING]
        assert by_body(oauth, secret).status_code == 200

    def test_missing_hasher_causes_no_error(self, make_client, secret, settings, caplog):
        oauth = make_client("client-credentials", client_secret=secret)
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "CLIENT_SECRET_HASHER": "argon2"}
        assert by_body(oauth, secret).status_code == 200
        assert stored_secret(oauth).startswith(CLIENT_SECRET_HASHER)
        assert "was not hashed again" in caplog.text

    def test_hasher_that_is_removed_too_early_accepts_no_secret(self, make_client, secret, settings, caplog):
        oauth = make_client("client-credentials", client_secret=secret)
        settings.PASSWORD_HASHERS = [COUNTING]
        assert_invalid_client(by_body(oauth, secret))
        assert_invalid_client(by_body(oauth, stored_secret(oauth)))
        assert f"Client '{oauth.application.client_id}' is refused: its stored secret is a hash" in caplog.text
        assert stored_secret(oauth) not in caplog.text


class TestStoredHash:
    """Stock DOT compares a hash that it cannot verify with the secret in plain text."""

    @pytest.mark.parametrize(
        "stored",
        [
            "pbkdf2_sha256$1000000$aSalt$5rbem9iY8SClLARyDLaCJs2h1A2kKpu9pO6IhN7YQaa=",
            "argon2$argon2id$v=19$m=102400,t=2,p=8$c2FsdHNhbHQ$8t0bhaXtE9Q7+a/abcdefg",
            "counted$malformed",
            "5f4dcc3b5aa765d61d8327deb882cf99",
            "!" + "a" * 40,
        ],
    )
    def test_is_never_the_secret(self, stored, make_client, signing_keys, hashed):
        oauth = make_client("client-credentials")
        rows().update(client_secret=stored)
        for send in (by_body, by_header):
            assert_invalid_client(send(oauth, stored))

    def test_whose_library_is_missing_is_never_the_secret(self, make_client, signing_keys, hashed, settings, caplog):
        settings.PASSWORD_HASHERS = [COUNTING, "tests.client_secret_fixtures.HasherWithoutLibrary"]
        oauth = make_client("client-credentials")
        rows().update(client_secret="unloadable$x")
        assert_invalid_client(by_body(oauth, "unloadable$x"))
        assert "Couldn't load" in caplog.text

    @pytest.mark.parametrize("plain", ["pa$$word", "5f4dcc3b5aa765d61d8327deb882cf99", "\u00e9"])
    def test_secret_in_plain_works_as_before(self, plain, make_client, signing_keys, hashed):
        oauth = make_client("client-credentials", client_secret=plain, hash_client_secret=False)
        assert by_body(oauth, plain).status_code == 200
        assert_invalid_client(by_body(oauth, plain + "x"))
        assert stored_secret(oauth) == plain

    def test_secret_in_plain_of_a_generator_stays_in_plain(self, make_client, secret, keyed_hasher):
        oauth = make_client("client-credentials", client_secret=secret, hash_client_secret=False)
        assert by_body(oauth, secret).status_code == 200
        assert stored_secret(oauth) == secret

    def test_empty_secret_works_as_before(self, make_client, signing_keys, hashed):
        oauth = make_client("client-credentials", client_secret="")
        assert by_body(oauth, "").status_code == 200


class Flood:
    """Requests with wrong secrets to each endpoint that authenticates clients."""

    endpoints = {
        "token": ("/o/token/", {"grant_type": "client_credentials"}),
        "code": ("/o/token/", {"grant_type": "authorization_code", "code": "x", "redirect_uri": "https://a/"}),
        "refresh": ("/o/token/", {"grant_type": "refresh_token", "refresh_token": "x"}),
        "revocation": ("/o/revoke_token/", {"token": "x"}),
        "introspection": ("/o/introspect/", {"token": "x"}),
        "device": ("/o/device-authorization/", {"scope": "read"}),
    }

    def __init__(self, oauth):
        self.oauth = oauth

    def send(self, endpoint, number):
        path, data = self.endpoints[endpoint]
        wrong = f"wrong {number}".ljust(128, "a").replace(" ", "")
        return self.oauth.post(path, {**data, "client_secret": wrong})


@pytest.mark.parametrize("endpoint", Flood.endpoints)
class TestWrongSecrets:
    """Many wrong secrets, at each endpoint."""

    def test_cost_no_password_hash(self, endpoint, make_client, secret, keyed_hasher, hashed):
        flood = Flood(make_client("client-credentials", client_secret=secret))
        answers = {flood.send(endpoint, number).status_code for number in range(50)}
        assert answers <= {400, 401, 403}
        assert hashed == []

    def test_against_a_slow_hash_cost_a_few(self, endpoint, make_client, signing_keys, hashed):
        oauth = make_client("client-credentials")
        flood = Flood(oauth)
        hashed.clear()
        answers = {flood.send(endpoint, number).status_code for number in range(50)}
        assert answers <= {400, 401, 403}
        assert len(hashed) == MOST_FAILURES

    def test_for_an_unknown_client_cost_none(self, endpoint, make_client, signing_keys, hashed):
        oauth = make_client("client-credentials")
        flood = Flood(oauth)
        oauth.application.client_id = "unknown"
        hashed.clear()
        assert {flood.send(endpoint, number).status_code for number in range(20)} <= {400, 401, 403}
        assert hashed == []

    def test_do_not_lock_out_a_client_that_came_before(self, endpoint, make_client, signing_keys, hashed):
        oauth = make_client("client-credentials")
        flood = Flood(oauth)
        assert by_body(oauth, SECRET).status_code == 200
        for number in range(20):
            flood.send(endpoint, number)
        assert by_body(oauth, SECRET).status_code == 200

    def test_do_not_affect_apis(self, endpoint, make_client, signing_keys, hashed, client):
        oauth = make_client("client-credentials")
        access_token = by_body(oauth, SECRET).json()["access_token"]
        flood = Flood(oauth)
        hashed.clear()
        for number in range(20):
            flood.send(endpoint, number)
            answer = client.get("/whoami/", headers={"authorization": f"Bearer {access_token}"})
            assert answer.status_code == 200
        assert len(hashed) == MOST_FAILURES
