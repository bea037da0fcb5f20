"""The document of revocations, over HTTP: what it contains, for how long, and what a request for it costs."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from joserfc import jws
from joserfc.jwk import KeySet

from django_at_jwt.authorization_server.revocation import publication as publication_module
from django_at_jwt.authorization_server.revocation.deny_list import DenyListCache, deny_list
from django_at_jwt.authorization_server.revocation.publication import publication
from django_at_jwt.conf import clear_process_caches
from django_at_jwt.core.revocation_document import MEDIA_TYPE, TYPE
from django_at_jwt.models import DenyListEntry, SigningKey
from django_at_jwt.revocation import revoke_client, revoke_user
from tests.authorization_server.revocation.grants import granted

PATH = "/o/revocations/"
ISSUER, API, REPORTS = django_settings.ISSUER, django_settings.API, django_settings.REPORTS
ANNOUNCED = f"{ISSUER}/revocations/"
METADATA = ("/o/.well-known/oauth-authorization-server", "/o/.well-known/openid-configuration")

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("keys_made_quickly", "signing_keys", "publishing"),
    pytest.mark.skipif(
        connection.vendor != "sqlite", reason="another connection does not see the rows of this test's transaction"
    ),
]


@pytest.fixture
def publishing(settings, signing_keys):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ENABLED": True}
    settings.AT_JWT = {**settings.AT_JWT, "PUBLISH_REVOCATIONS": True, "REVOCATION_MAX_AGE": 5}


def insert(kind, value, *, issued_until=None, seconds=600):
    """Insert a row as another process does, and read it as soon as this process may."""
    row = DenyListEntry.objects.create(
        kind=kind, value=value, issued_until=issued_until, expires_at=timezone.now() + timedelta(seconds=seconds)
    )
    deny_list.forget()
    return row


def insert_many(count, *, seconds=600):
    expires_at = timezone.now() + timedelta(seconds=seconds)
    rows = [DenyListEntry(kind="token", value=f".{number:032x}.1", expires_at=expires_at) for number in range(count)]
    DenyListEntry.objects.bulk_create(rows)
    deny_list.forget()


def fetch(**headers):
    return Client().get(PATH, headers=headers)


def verified(response):
    """Return the header and the claims, verified by PyJWT and by joserfc with the JWK set of the issuer."""
    assert response.status_code == 200, response.content
    assert response["Content-Type"] == MEDIA_TYPE
    text = response.content.decode()
    jwk_set = Client().get("/o/.well-known/jwks.json").json()
    header = jwt.get_unverified_header(text)
    [key] = [each for each in jwk_set["keys"] if each["kid"] == header["kid"]]
    algorithm = header["alg"]
    # The tests set the clock, which PyJWT does not read.
    options = {"verify_exp": False, "verify_iat": False, "require": ["iss", "iat", "exp"]}
    claims = jwt.decode(text, jwt.PyJWK(key), algorithms=[algorithm], issuer=ISSUER, options=options)
    assert claims["iat"] <= time.time() < claims["exp"]
    # Its default is 128,000 bytes.
    registry = jws.JWSRegistry()
    registry.max_payload_length = 4 * 1024 * 1024
    key_set = KeySet.import_key_set(jwk_set)
    other = jws.deserialize_compact(text, key_set, algorithms=[algorithm], registry=registry)
    assert json.loads(other.payload) == claims
    return header, claims


def published():
    return verified(fetch())[1]


@pytest.mark.compliance("8414-2")
class TestAnnouncement:
    @pytest.mark.parametrize("path", METADATA)
    def test_is_in_the_metadata(self, client, path):
        assert client.get(path).json()["at_jwt_revocations_uri"] == ANNOUNCED

    @pytest.mark.parametrize("path", METADATA)
    def test_is_off_by_default(self, client, settings, path):
        settings.AT_JWT = {name: value for name, value in settings.AT_JWT.items() if name != "PUBLISH_REVOCATIONS"}
        assert "at_jwt_revocations_uri" not in client.get(path).json()
        assert fetch().status_code == 404

    def test_answers_404_without_an_issuer(self, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": ""}
        assert fetch().status_code == 404

    @pytest.mark.urls("tests.site.urls_of_the_toolkit")
    def test_answers_404_if_the_view_is_not_mounted(self, client):
        assert fetch().status_code == 404


class TestContents:
    def test_document_without_revocations_is_empty(self):
        header, claims = verified(fetch())
        assert header["typ"] == TYPE
        assert header["kid"] == SigningKey.objects.get(retained_at__isnull=False, signing_at__lte=timezone.now()).kid
        times = {name: claims.pop(name) for name in ("iat", "exp")}
        assert times["iat"] <= time.time() < times["exp"] == times["iat"] + 300
        assert claims == {
            "iss": ISSUER,
            "version": 0,
            "complete": True,
            "tokens": {},
            "authorizations": {},
            "clients": {},
            "audiences": {},
        }

    def test_has_each_kind_of_entry(self):
        until = datetime.fromtimestamp(1_800_000_000, tz=UTC)
        rows = {
            kind: insert(kind, value, issued_until=at)
            for kind, value, at in (
                ("token", ".abc.1", None),
                ("authorization", "a1" * 16, None),
                ("client", "web", until),
                ("audience", API, until),
            )
        }
        ends = {kind: -int(-row.expires_at.timestamp() // 1) for kind, row in rows.items()}
        claims = published()
        assert claims["tokens"] == {".abc.1": ends["token"]}
        assert claims["authorizations"] == {"a1" * 16: ends["authorization"]}
        assert claims["clients"] == {"web": {"issued_until": 1_800_000_000, "end": ends["client"]}}
        assert claims["audiences"] == {API: {"issued_until": 1_800_000_000, "end": ends["audience"]}}
        assert claims["version"] == max(row.pk for row in rows.values())

    def test_has_what_revocations_write(self, web, service, user, django_capture_on_commit_callbacks):
        tokens = granted(web, web.code_flow(user))
        assert service.token("client_credentials").status_code == 200
        published()
        with django_capture_on_commit_callbacks(execute=True):
            identifier = tokens.authorization.identifier
            revoke_user(user)
            revoke_client(service.application)
        # At once in the process that revoked.
        claims = published()
        assert [*claims["authorizations"]] == [identifier]
        assert [*claims["clients"]] == [service.application.client_id]

    def test_nothing_is_derived_from_the_subject(self, web, user, django_capture_on_commit_callbacks):
        user.pk, user.username, user.email = 918273645, "a very rare name", "rare@example.com"
        user.save(force_insert=True)
        granted(web, web.code_flow(user))
        with django_capture_on_commit_callbacks(execute=True):
            revoke_user(user)
        text = json.dumps(published())
        for secret in (user.pk, user.username, user.email):
            assert str(secret) not in text

    def test_expired_entries_are_left_out(self):
        insert("token", ".expired.1", seconds=-1)
        assert published()["tokens"] == {}


class TestVersion:
    def test_grows_with_each_entry_and_not_with_time(self):
        versions = [published()["version"]]
        for number in range(3):
            insert("token", f".{number}.1")
            versions.append(published()["version"])
        assert versions == sorted({*versions})
        assert published()["version"] == versions[-1]

    def test_is_that_of_other_processes_after_entries_expired(self):
        insert("token", ".a.1")
        expiring = insert("token", ".b.1", seconds=600)
        assert published()["version"] == expiring.pk
        DenyListEntry.objects.filter(pk=expiring.pk).update(expires_at=timezone.now() - timedelta(minutes=2))
        clear_process_caches()
        claims = published()
        assert (claims["version"], [*claims["tokens"]]) == (expiring.pk, [".a.1"])


# Where the clock stands still, no document is due for its next signature.
@pytest.mark.usefixtures("clock")
class TestCaching:
    def test_short_max_age_and_conditional_requests(self):
        response = fetch()
        assert response["Cache-Control"] == "public, max-age=5"
        assert response["Access-Control-Allow-Origin"] == "*"
        asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "GET"}
        assert Client().options(PATH, headers=asked)["Access-Control-Allow-Methods"] == "GET, HEAD"
        again = fetch(**{"If-None-Match": response["ETag"]})
        assert (again.status_code, again.content, again["ETag"]) == (304, b"", response["ETag"])
        assert again["Cache-Control"] == "public, max-age=5"
        insert("token", ".a.1")
        assert fetch(**{"If-None-Match": response["ETag"]}).status_code == 200

    def test_two_processes_have_one_entity_tag(self):
        # Signatures by ES256 differ each time.
        insert("token", ".a.1")
        insert("client", "web", issued_until=timezone.now())
        one = fetch()
        clear_process_caches()
        other = fetch()
        assert one.content != other.content
        assert one["ETag"] == other["ETag"]

    def test_signed_again_after_a_part_of_its_lifetime(self, clock):
        first = fetch()
        clock.pass_by(61)
        second = fetch()
        assert second["ETag"] != first["ETag"]
        assert verified(second)[1]["iat"] > verified(first)[1]["iat"]

    def test_many_requests_cost_one_signature_and_no_query(self, monkeypatch, django_assert_num_queries):
        signed = []
        sign = publication_module.Publication._sign
        monkeypatch.setattr(
            publication_module.Publication, "_sign", lambda *arguments: signed.append(1) or sign(*arguments)
        )
        fetch()
        with django_assert_num_queries(0):
            for _ in range(20):
                assert fetch().status_code == 200
        assert len(signed) == 1
        deny_list.forget()
        with django_assert_num_queries(1):
            fetch()

    @pytest.mark.parametrize("method", ["post", "put", "delete"])
    def test_other_methods_are_refused(self, client, method):
        assert getattr(client, method)(PATH).status_code == 405

    def test_it_is_not_an_access_token(self, client):
        insert("token", ".a.1")
        text = fetch().content.decode()
        for path in ("/whoami/", "/o/userinfo/"):
            assert client.get(path, headers={"Authorization": f"Bearer {text}"}).status_code == 401


class TestTooManyEntries:
    @pytest.fixture(autouse=True)
    def few(self, monkeypatch):
        monkeypatch.setattr("django_at_jwt.authorization_server.revocation.deny_list.MOST_ENTRIES", 3)

    def test_document_says_so_and_is_small(self, caplog):
        insert_many(3)
        assert len(published()["tokens"]) == 3
        insert("token", ".one-more.1")
        claims = published()
        assert claims["complete"] is False
        assert claims["tokens"] == {}
        assert "The deny list is too long to be published" in caplog.text
        caplog.clear()
        insert("token", ".another.1")
        assert published()["version"] > claims["version"]
        assert "too long" not in caplog.text

    def test_complete_again_once_entries_have_expired(self, clock):
        insert_many(3, seconds=100)
        insert("token", ".stays.1", seconds=900)
        assert published()["complete"] is False
        clock.pass_by(200)
        # The comparison runs once a minute.
        published()
        clock.pass_by(6)
        claims = published()
        assert (claims["complete"], [*claims["tokens"]]) == (True, [".stays.1"])

    def test_version_is_not_lower_once_it_is_complete_again(self, clock):
        insert("token", ".live.1", seconds=3600)
        insert_many(4, seconds=60)
        incomplete = published()
        clock.pass_by(200)
        deny_list.forget()
        published()
        deny_list.forget()
        complete = published()
        assert (incomplete["complete"], complete["complete"]) == (False, True)
        assert complete["version"] == incomplete["version"]

    def test_document_over_the_size_limit_is_incomplete(self, monkeypatch):
        monkeypatch.setattr("django_at_jwt.authorization_server.revocation.publication.MOST_BYTES", 1300)
        insert("client", "x" * 255, issued_until=timezone.now())
        assert published()["complete"] is True
        insert("client", "y" * 255, issued_until=timezone.now())
        insert("client", "z" * 255, issued_until=timezone.now())
        assert published()["complete"] is False


@pytest.mark.ci
def test_twenty_thousand_entries_are_complete():
    insert_many(20_000)
    response = fetch()
    assert len(response.content) < 4 * 1024 * 1024
    claims = verified(response)[1]
    assert (claims["complete"], len(claims["tokens"])) == (True, 20_000)


class TestOutage:
    @pytest.fixture
    def broken(self, monkeypatch):
        def fail(*_arguments, **_options):
            raise OperationalError("the server is away")

        monkeypatch.setattr("django_at_jwt.authorization_server.revocation.deny_list._rows", fail)

    def test_list_that_was_never_read_answers_503(self, broken):
        response = fetch()
        assert response.status_code == 503
        assert response["Retry-After"]

    def test_last_document_is_served_until_it_expires(self, clock, request):
        claims = published()
        request.getfixturevalue("broken")
        clock.pass_by(200)
        assert published() == claims
        # A document must not look new if the database was not read.
        clock.pass_by(claims["exp"] - time.time() + 1)
        assert fetch().status_code == 503

    def test_not_published_even_if_tokens_are_accepted(self, settings, broken):
        settings.AT_JWT = {**settings.AT_JWT, "REVOCATION_UNAVAILABLE": "accept"}
        assert fetch().status_code == 503

    def test_max_age_ends_with_the_document(self, clock, request):
        claims = published()
        request.getfixturevalue("broken")
        clock.pass_by(claims["exp"] - time.time() - 2.5)
        assert fetch()["Cache-Control"] == "public, max-age=2"


def test_answers_503_without_a_signing_key():
    SigningKey.objects.all().delete()
    clear_process_caches()
    assert fetch().status_code == 503


def test_nothing_is_kept_if_off(settings):
    settings.AT_JWT = {**settings.AT_JWT, "PUBLISH_REVOCATIONS": False}
    insert("token", ".a.1")
    cache = DenyListCache()
    cache.renew()
    assert (len(cache), cache.reading().entries.kept()) == (1, None)
    assert publication._published is None
