"""Registered resource servers: allowed clients, default, token format, algorithm and lifetime."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_grant_model, get_refresh_token_model

from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.conf import clear_process_caches
from django_at_jwt.models import Authorization, ResourceServer, SigningKey
from tests.conftest import decoded

pytestmark = pytest.mark.django_db

MAIL = "https://mail.example.com/"


@pytest.fixture
def register(db):
    def register(identifier=MAIL, **fields):
        return ResourceServer.objects.create(
            identifier=identifier, name="Mail", **{"open_to_all_clients": True, **fields}
        )

    return register


def claims(response):
    assert response.status_code == 200, response.content
    return decoded(response.json()["access_token"])[1]


def assert_refused(response, code="invalid_target"):
    assert (response.status_code, response.json()["error"]) == (400, code)
    assert response["Content-Type"] == "application/json"
    for model in (get_access_token_model(), get_refresh_token_model()):
        assert not model.objects.exists()


@pytest.mark.compliance("9068-17")
def test_audience_by_scope(signing_keys, service, register):
    register(scopes={"write": ""})
    answer = service.token("client_credentials", scope="write")
    assert claims(answer)["aud"] == MAIL
    assert get_access_token_model().objects.get().resource == [MAIL]


@pytest.mark.compliance("9068-18")
def test_scopes_of_different_resources(signing_keys, service, web, user):
    assert_refused(service.token("client_credentials", scope="read reports:read"), "invalid_scope")
    answer = web.authorize(user, scope="read reports:read")
    assert (answer["error"], answer["state"]) == ("invalid_scope", "a state")
    assert not get_grant_model().objects.exists()


@pytest.mark.compliance("9068-12")
def test_response_has_the_granted_scopes(signing_keys, service):
    answer = service.token("client_credentials", scope="read reports:read openid", resource=settings.REPORTS)
    assert answer.json()["scope"] == claims(answer)["scope"] == "reports:read openid"
    assert get_access_token_model().objects.get().scope == "reports:read openid"


@pytest.mark.compliance("9068-15")
def test_scope_with_two_meanings(signing_keys, service, register):
    register(scopes={"reports:read": ""})
    both = {"resource": [settings.REPORTS, MAIL], "scope": "reports:read"}
    refused = service.token("client_credentials", **both)
    assert_refused(refused)
    assert "one token for each" in refused.json()["error_description"]
    assert claims(service.token("client_credentials", **both | {"resource": MAIL}))["aud"] == MAIL


class TestClients:
    def test_client_that_is_not_allowed_gets_no_token_in_any_way(self, signing_keys, service, web, user, register):
        mine = register(open_to_all_clients=False, clients=[service.application.client_id], scopes={"write": ""})
        assert claims(service.token("client_credentials", resource=MAIL))["aud"] == MAIL
        get_access_token_model().objects.all().delete()
        assert web.authorize(user, resource=MAIL)["error"] == "invalid_target"
        assert web.authorize(user, resource=[settings.API, MAIL])["error"] == "invalid_target"
        assert web.authorize(user, scope="write")["error"] == "invalid_target"
        code = web.authorize(user, scope="read")["code"]
        assert_refused(web.exchange(code, resource=MAIL))
        assert not Authorization.objects.filter(family__isnull=False).exists()
        answer = web.exchange(code).json()
        refreshed = web.token("refresh_token", refresh_token=answer["refresh_token"], resource=MAIL)
        assert refreshed.json()["error"] == "invalid_target"
        mine.open_to_all_clients = True
        mine.save()
        assert claims(web.code_flow(user, resource=MAIL, scope="write"))["aud"] == MAIL

    def test_new_row_is_closed_until_its_clients_are_chosen(self, signing_keys, service):
        row = ResourceServer.objects.create(identifier=MAIL, name="Mail")
        assert_refused(service.token("client_credentials", resource=MAIL))
        row.clients = [service.application.client_id]
        row.save()
        registry.clear()
        assert claims(service.token("client_credentials", resource=MAIL))["aud"] == MAIL

    def test_new_default_is_closed_until_its_clients_are_chosen(self, signing_keys, service, settings):
        settings.AT_JWT = {}
        row = ResourceServer.objects.create(identifier=MAIL, name="Mail", is_default=True)
        assert_refused(service.token("client_credentials"))
        row.open_to_all_clients = True
        row.save()
        registry.clear()
        assert claims(service.token("client_credentials"))["aud"] == MAIL

    def test_settings_are_open_unless_they_name_clients(self, signing_keys, service, settings):
        assert claims(service.token("client_credentials"))["aud"] == settings.API
        assert claims(service.token("client_credentials", resource=settings.REPORTS))["aud"] == settings.REPORTS
        settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {settings.REPORTS: {"clients": ["another"]}}}
        get_access_token_model().objects.all().delete()
        assert_refused(service.token("client_credentials", resource=settings.REPORTS))

    def test_empty_list_allows_no_client(self, signing_keys, service, register):
        register(open_to_all_clients=False, clients=[])
        assert_refused(service.token("client_credentials", resource=MAIL))

    def test_client_that_is_no_longer_allowed(self, signing_keys, web, user, register):
        row = register()
        answer = web.code_flow(user, resource=MAIL).json()
        ResourceServer.objects.filter(pk=row.pk).update(open_to_all_clients=False)
        registry.clear()
        refused = web.token("refresh_token", refresh_token=answer["refresh_token"])
        assert refused.json()["error"] == "invalid_target"

    def test_disabled(self, signing_keys, service, register):
        row = register(enabled=False)
        assert_refused(service.token("client_credentials", resource=MAIL))
        row.enabled = True
        row.save()
        assert claims(service.token("client_credentials", resource=MAIL))["aud"] == MAIL
        row.delete()
        get_access_token_model().objects.all().delete()
        assert_refused(service.token("client_credentials", resource=MAIL))

    def test_isolated(self, signing_keys, service, register):
        register(isolated=True, scopes={"write": ""})
        assert_refused(service.token("client_credentials", resource=[MAIL, settings.API]))
        assert claims(service.token("client_credentials", resource=MAIL))["aud"] == MAIL
        assert claims(service.token("client_credentials", scope="write"))["aud"] == settings.API


class TestDefault:
    def test_row_is_the_default(self, signing_keys, service, register, settings):
        settings.AT_JWT = {}
        register(is_default=True)
        assert claims(service.token("client_credentials"))["aud"] == MAIL

    def test_another_row_takes_its_place(self, signing_keys, service, register, settings):
        settings.AT_JWT = {}
        first = register(is_default=True)
        register("https://other.example.com/", is_default=True)
        first.refresh_from_db()
        assert not first.is_default
        assert claims(service.token("client_credentials"))["aud"] == "https://other.example.com/"

    def test_isolated_default_needs_an_explicit_request(self, signing_keys, service, web, user, register, settings):
        row = register(is_default=True)
        settings.AT_JWT = {}
        before = web.code_flow(user).json()
        get_refresh_token_model().objects.update(resource=[])
        row.isolated = True
        row.save()
        for refused in (
            service.token("client_credentials"),
            web.token("refresh_token", refresh_token=before["refresh_token"]),
        ):
            assert (refused.status_code, refused.json()["error"]) == (503, "server_error")
        assert claims(service.token("client_credentials", resource=MAIL))["aud"] == MAIL

    def test_settings_override_the_default_row(self, signing_keys, service, register):
        register(is_default=True)
        assert claims(service.token("client_credentials"))["aud"] == settings.API

    def test_row_describes_the_default_of_the_settings(self, signing_keys, service, register):
        register(settings.API, scopes={"write": ""})
        answer = service.token("client_credentials", scope="read write", resource=settings.API)
        assert claims(answer)["scope"] == "write"

    def test_settings_override_a_row_with_the_same_identifier(self, signing_keys, service, register):
        register(settings.REPORTS, enabled=False)
        assert claims(service.token("client_credentials", resource=settings.REPORTS))["aud"] == settings.REPORTS


@pytest.mark.compliance("6750-4")
class TestLifetime:
    def assert_lives_for(self, response, seconds):
        body = response.json()
        told = claims(response)
        row = get_access_token_model().objects.latest("pk")
        assert body["expires_in"] == told["exp"] - told["iat"] == seconds
        assert row.expires.timestamp() == told["exp"]

    @pytest.mark.parametrize("lifetime", [1, 90, 3600, 7200])
    def test_is_the_resource_servers(self, lifetime, signing_keys, service, register):
        register(lifetime=lifetime)
        rotate_signing_keys()
        self.assert_lives_for(service.token("client_credentials", resource=MAIL), lifetime)
        self.assert_lives_for(service.token("client_credentials"), 3600)

    def test_shortest_of_several(self, signing_keys, service, register):
        register(lifetime=90, scopes={})
        self.assert_lives_for(service.token("client_credentials", resource=[settings.API, MAIL]), 90)

    def test_in_each_grant(self, signing_keys, web, make_client, user, register):
        register(lifetime=90)
        answer = web.code_flow(user, resource=MAIL)
        self.assert_lives_for(answer, 90)
        self.assert_lives_for(web.token("refresh_token", refresh_token=answer.json()["refresh_token"]), 90)
        told = make_client("implicit").authorize(user, response_type="token", resource=MAIL)
        claims = decoded(told["access_token"])[1]
        assert int(told["expires_in"]) == claims["exp"] - claims["iat"] == 90

    def test_keys_are_published_for_as_long(self, signing_keys, register):
        register(lifetime=10 * 86400)
        register("https://disabled.example.com/", lifetime=90 * 86400, enabled=False)
        assert rotate_signing_keys().plan
        signing = SigningKey.objects.get(retained_at__isnull=False)
        assert signing.retired_at - signing.retained_at == timedelta(days=10, seconds=30)


class TestAlgorithm:
    @pytest.fixture
    def two_algorithms(self, settings, db):
        settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["RS256", "ES256"]}
        return rotate_signing_keys()

    def test_each_resource_server_has_its_algorithm(self, two_algorithms, service, register):
        register(algorithm="ES256")
        for resource, algorithm in ((MAIL, "ES256"), (settings.API, "RS256")):
            token = service.token("client_credentials", resource=resource).json()["access_token"]
            assert decoded(token)[0]["alg"] == algorithm

    def test_algorithm_not_in_use(self, signing_keys, service, register, caplog):
        register(algorithm="ES256")
        assert service.token("client_credentials", resource=MAIL).status_code == 503
        assert 'ES256 is not in use; add it to AT_JWT["SIGNING_ALGORITHMS"]' in caplog.text

    def test_announced_algorithm_does_not_sign_yet(self, signing_keys, service, register, settings):
        settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["RS256", "ES256"]}
        rotate_signing_keys()
        register(algorithm="ES256")
        token = service.token("client_credentials", resource=MAIL).json()["access_token"]
        assert decoded(token)[0]["alg"] == "RS256"
        later = timezone.now() - timedelta(days=8)
        SigningKey.objects.filter(algorithm="ES256").update(announced_at=later, signing_at=timezone.now())
        key_store.forget()
        token = service.token("client_credentials", resource=MAIL).json()["access_token"]
        assert decoded(token)[0]["alg"] == "ES256"

    def test_algorithm_that_is_not_in_use(self, signing_keys, service, register, caplog):
        register(algorithm="ES256")
        refused = service.token("client_credentials", resource=MAIL)
        assert (refused.status_code, refused.json()["error"]) == (503, "server_error")
        assert "SIGNING_ALGORITHMS" in caplog.text

    def test_two_algorithms_cannot_share_a_token(self, two_algorithms, service, register):
        register(algorithm="ES256", scopes={})
        assert_refused(service.token("client_credentials", resource=[MAIL, settings.API]))


class TestOpaque:
    @pytest.fixture(autouse=True)
    def _registered(self, register):
        register(token_format="opaque", scopes={"write": ""}, lifetime=90)

    def test_is_a_token_of_dot(self, signing_keys, service, make_client):
        before = timezone.now()
        answer = service.token("client_credentials", resource=MAIL, scope="write introspection").json()
        assert "." not in answer["access_token"]
        assert (answer["expires_in"], answer["scope"]) == (90, "write introspection")
        row = get_access_token_model().objects.get()
        assert row.resource == [MAIL]
        assert before <= row.expires - timedelta(seconds=90) <= timezone.now()
        asked = Client().post("/o/introspect/", {"token": answer["access_token"], **service.credentials}).json()
        assert (asked["active"], asked["aud"], asked["scope"]) == (True, [MAIL], "write introspection")

    def test_is_refreshed_as_an_opaque_token(self, signing_keys, web, user):
        answer = web.code_flow(user, resource=MAIL, scope="write").json()
        assert "." not in answer["access_token"]
        again = web.token("refresh_token", refresh_token=answer["refresh_token"]).json()
        assert "." not in again["access_token"]
        assert again["expires_in"] == 90

    def test_shares_no_token_with_a_jwt(self, signing_keys, service):
        assert_refused(service.token("client_credentials", resource=[MAIL, settings.API]))

    def test_needs_no_key(self, service, db):
        assert "." not in service.token("client_credentials", resource=MAIL).json()["access_token"]

    def test_user_who_was_deactivated(self, signing_keys, web, user):
        answer = web.code_flow(user, resource=MAIL, scope="write").json()
        user.is_active = False
        user.save()
        refused = web.token("refresh_token", refresh_token=answer["refresh_token"])
        assert refused.json()["error"] == "invalid_grant"


class TestRegistry:
    def test_clearing_the_caches_discards_what_was_read_later(self, register, monkeypatch):
        # As by a test with a fake clock.
        with monkeypatch.context() as patched:
            patched.setattr("time.monotonic", lambda: 1e12)
            registry.current()
        clear_process_caches()
        register()
        assert registry.current().named(MAIL) is not None

    def test_costs_no_query_after_the_first_read(self, signing_keys, service, register, django_assert_num_queries):
        register()
        service.token("client_credentials", resource=MAIL)
        with django_assert_num_queries(5):
            service.token("client_credentials", resource=MAIL)

    def test_resource_server_just_registered_by_another_process(self, signing_keys, service, register, monkeypatch):
        service.token("client_credentials")
        ResourceServer.objects.bulk_create([ResourceServer(identifier=MAIL, name="Mail", open_to_all_clients=True)])
        get_access_token_model().objects.all().delete()
        assert_refused(service.token("client_credentials", resource=MAIL))
        monkeypatch.setattr("django_at_jwt.authorization_server.row_cache._LEAST_AGE", 0.0)
        assert claims(service.token("client_credentials", resource=MAIL))["aud"] == MAIL

    def test_flood_of_unknown_resources_reads_once_a_second(self, signing_keys, service, django_assert_num_queries):
        service.token("client_credentials", resource="https://unknown.example.com/0")
        with django_assert_num_queries(5):  # the client, five times
            for number in range(5):
                service.token("client_credentials", resource=f"https://unknown.example.com/{number}")

    def test_natural_key(self, register):
        row = register()
        assert row.natural_key() == (MAIL,)
        assert ResourceServer.objects.get_by_natural_key(MAIL) == row
        assert str(row) == "Mail"
