"""Access tokens without rows: of clients that act for themselves, and of users."""

from __future__ import annotations

from datetime import timedelta
from time import time

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.http import HttpResponse
from django.utils import timezone
from oauth2_provider.decorators import protected_resource
from oauth2_provider.models import clear_expired, get_access_token_model, get_refresh_token_model
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.authorization_server.revocation.issued_tokens import UnknownToken, issued_token
from django_at_jwt.authorization_server.revocation.revoke import revoke_client, revoke_token
from django_at_jwt.authorization_server.toolkit import app_authorized
from django_at_jwt.core.token_id import TokenId
from django_at_jwt.models import Authorization, ClientOptions, DenyListEntry, IssuedToken
from django_at_jwt.models.authorization import credential_hash, reference_to
from tests.conftest import captured_statements, decoded
from tests.links import expire_links

from .test_authorizations import refresh
from .test_direct_issuance import is_accepted

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]

UNKNOWN = f".{'a1' * 16}.0"


def store(settings, stores, **others):
    settings.AT_JWT = {**settings.AT_JWT, "STORE_ACCESS_TOKENS": stores, **others}


def choose(client, stores):
    model, key = reference_to(client.application)
    ClientOptions.objects.create(client_model=model, client_key=key, store_access_tokens=stores)


def token_id_of(token):
    return TokenId.parse(decoded(token)[1]["jti"])


def own_token(service, **asked):
    return service.token("client_credentials", **asked).json()["access_token"]


def rows():
    return get_access_token_model().objects.all()


def test_decorators_of_dot_need_the_sites_validator(service, settings, rf, committing):
    store(settings, False)
    token = own_token(service, scope="read")
    request = rf.get("/", secure=True, headers={"Authorization": f"Bearer {token}", "Host": "api.example.com"})

    def status(**options):
        return protected_resource(**options)(lambda _request: HttpResponse())(request).status_code

    sites = {"validator_cls": oauth2_settings.OAUTH2_VALIDATOR_CLASS}
    assert (status(), status(**sites)) == (403, 200)
    with committing():
        revoke_token(decoded(token)[1]["jti"])
    assert status(**sites) == 403


class TestClientCredentials:
    @pytest.mark.parametrize(("ahead", "accepted"), [(-1, False), (20, False), (40, True)])
    def test_revocation_of_its_client_reaches_servers_whose_clock_is_ahead(
        self, service, ahead, accepted, monkeypatch, committing
    ):
        with monkeypatch.context() as clock:
            clock.setattr(
                "django_at_jwt.authorization_server.oauthlib_bridge.generator.time.time", lambda: time() + ahead
            )
            token = own_token(service)
        with committing():
            revoke_client(service.application)
        monkeypatch.setattr("django_at_jwt.resource_server.verification.time.time", lambda: time() + 30)
        assert is_accepted(token) is accepted

    @pytest.fixture(autouse=True)
    def _unstored(self, settings):
        store(settings, stores=False)

    def test_nothing_is_stored(self, service):
        token = own_token(service)
        assert token_id_of(token).has_row is False
        assert not rows().exists()
        assert not IssuedToken.objects.exists()
        assert is_accepted(token)

    def test_request_takes_one_statement(self, service):
        own_token(service)
        with captured_statements() as statements:
            own_token(service)
        assert len(statements) == 1, statements

    def test_response_is_that_of_a_stored_token(self, service, settings):
        settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {settings.API: {"lifetime": 60}}}
        unstored = service.token("client_credentials", scope="read").json()
        store(settings, stores=True)
        stored = service.token("client_credentials", scope="read").json()
        for answer in (unstored, stored):
            answer.pop("access_token")
        assert unstored == stored
        assert unstored["expires_in"] == 60

    def test_client_can_introspect_its_own_token(self, service):
        token = own_token(service)
        answer = service.post("/o/introspect/", {"token": token}).json()
        assert (answer["active"], answer["client_id"]) == (True, service.application.client_id)

    def test_opaque_tokens_keep_rows(self, service, settings):
        opaque = {settings.API: {"format": "opaque"}}
        store(settings, stores=False, RESOURCE_SERVERS=opaque)
        assert "." not in own_token(service)
        assert rows().count() == 1

    @pytest.mark.parametrize("by", ["endpoint", "jti"])
    def test_revoked_alone(self, by, service, committing):
        token, other = own_token(service), own_token(service)
        assert is_accepted(token)
        with committing():
            if by == "endpoint":
                assert service.post("/o/revoke_token/", {"token": token}).status_code == 200
            else:
                assert revoke_token(str(token_id_of(token))) is True
        assert not is_accepted(token)
        assert service.post("/o/introspect/", {"token": token}).json() == {"active": False}
        assert is_accepted(other)
        assert revoke_token(str(token_id_of(token))) is False

    def test_another_client_does_not_revoke_it(self, service, web, committing):
        token = own_token(service)
        with committing():
            assert web.post("/o/revoke_token/", {"token": token}).status_code == 200
        assert is_accepted(token)

    def test_deleted_client(self, service, committing):
        token = own_token(service)
        choose(service, stores=False)
        with committing():
            service.application.delete()
        assert not is_accepted(token)
        assert not ClientOptions.objects.exists()

    def test_row_policy_asks_the_deny_list(self, service, settings, client, committing):
        store(settings, stores=False, REVOCATION="row", DEFAULT_RESOURCE="http://testserver/")
        token = own_token(service)
        bearer = {"headers": {"Authorization": f"Bearer {token}"}}
        assert client.get("/whoami/", **bearer).status_code == 200
        with committing():
            revoke_token(str(token_id_of(token)))
        assert client.get("/whoami/", **bearer).status_code == 401

    def test_receivers_of_app_authorized_get_an_unsaved_row(self, service):
        received = []

        def receive(token, **_kwargs):
            received.append(token)

        app_authorized.connect(receive)
        try:
            own_token(service, scope="read")
        finally:
            app_authorized.disconnect(receive)
        [row] = received
        assert (row.pk, row.application, row.user, row.scope) == (None, service.application, None, "read")

    def test_token_of_an_unknown_authorization_cannot_be_revoked_by_jti(self):
        with pytest.raises(UnknownToken):
            issued_token(f"{'c3' * 16}{UNKNOWN}")
        assert issued_token(UNKNOWN).expires_at > timezone.now()


class TestChoice:
    @pytest.mark.parametrize(
        ("stores", "own", "of_users"), [(True, True, True), ("users", False, True), (False, False, False)]
    )
    def test_setting_decides_which_tokens_get_rows(self, stores, own, of_users, service, web, user, settings):
        store(settings, stores)
        assert token_id_of(own_token(service)).has_row is own
        assert token_id_of(web.code_flow(user).json()["access_token"]).has_row is of_users

    @pytest.mark.parametrize("stores", [True, False])
    def test_client_overrides_the_setting(self, stores, service, make_client, settings):
        store(settings, stores)
        choose(service, stores=not stores)
        choose(make_client("client-credentials"), stores=None)
        assert token_id_of(own_token(service)).has_row is not stores
        assert token_id_of(own_token(make_client("client-credentials"))).has_row is stores

    def test_unreadable_options_are_an_outage(self, service, monkeypatch):
        from django.db import OperationalError

        from django_at_jwt.authorization_server import client_options

        def fail():
            raise OperationalError("away")

        monkeypatch.setattr(client_options._chosen, "current", fail)
        assert service.token("client_credentials").status_code == 503


@pytest.fixture(params=[True, False], ids=["rotating", "not rotating"])
def rotating(request, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ROTATE_REFRESH_TOKEN": request.param}
    return request.param


class TestUsers:
    @pytest.fixture(autouse=True)
    def _unstored(self, settings):
        store(settings, stores=False)

    def test_row_of_the_family_holds_no_token(self, rotating, web, user):
        answer = web.code_flow(user).json()
        for _ in range(3):
            row = rows().get()
            assert row.token == ""
            assert len(row.token_checksum) == 64
            assert row.token_checksum != credential_hash(answer["access_token"])
            assert row.expires.timestamp() == decoded(answer["access_token"])[1]["exp"]
            assert token_id_of(answer["access_token"]).has_row is False
            assert is_accepted(answer["access_token"])
            former, answer = row, refresh(web, answer)
            assert rows().get() == former

    def test_value_in_the_row_is_not_a_token(self, web, user, settings):
        store(settings, stores=False, ACCEPT_OPAQUE_TOKENS=True)
        web.code_flow(user)
        row = rows().get()
        assert not is_accepted(row.token_checksum)
        assert web.post("/o/introspect/", {"token": row.token_checksum}).json() == {"active": False}

    def test_refresh_denies_the_token_that_it_replaces(self, rotating, web, user, committing):
        first = web.code_flow(user).json()
        with committing():
            second = refresh(web, first)
        assert not is_accepted(first["access_token"])
        assert is_accepted(second["access_token"])
        [entry] = DenyListEntry.objects.all()
        assert entry.value == str(token_id_of(first["access_token"]))

    def test_token_for_another_resource_lives_on(self, rotating, web, user, settings):
        both = web.code_flow(user, scope="read reports:read", resource=[settings.API, settings.REPORTS]).json()
        first = refresh(web, both, resource=settings.API)
        second = refresh(web, first, resource=settings.REPORTS)
        assert not DenyListEntry.objects.exists()
        third = refresh(web, second, resource=settings.API)
        [entry] = DenyListEntry.objects.all()
        assert entry.value == str(token_id_of(first["access_token"]))
        assert is_accepted(third["access_token"])

    def test_cleartokens_between_refreshes_loses_nothing(self, rotating, web, user, settings):
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "REFRESH_TOKEN_EXPIRE_SECONDS": 86400,
            "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
        }
        answer = web.code_flow(user).json()
        for _ in range(2):
            # The access token has expired; its refresh token has not.
            rows().update(expires=timezone.now() - timedelta(hours=1))
            expire_links(timezone.now() - timedelta(hours=1))
            Authorization.objects.update(tokens_expire_at=timezone.now() - timedelta(hours=1))
            clear_expired()
            call_command("purge_authorizations", verbosity=0)
            answer = refresh(web, answer)
            assert rows().count() == 1
            assert is_accepted(answer["access_token"])

    def test_refresh_token_expires(self, rotating, web, user, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_EXPIRE_SECONDS": 60}
        answer = web.code_flow(user).json()
        rows().update(expires=timezone.now() - timedelta(seconds=61))
        assert web.token("refresh_token", refresh_token=answer["refresh_token"]).status_code == 400
        clear_expired()
        assert not get_refresh_token_model().objects.exists()
        assert not rows().exists()

    @pytest.mark.parametrize("grace", [0, 120])
    def test_used_refresh_token_is_retried_or_ends_the_family(self, grace, web, user, settings, committing):
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": grace,
            "REFRESH_TOKEN_REUSE_PROTECTION": True,
        }
        first = web.code_flow(user).json()
        second = refresh(web, first)
        with committing():
            retried = web.token("refresh_token", refresh_token=first["refresh_token"])
        assert retried.status_code == (200 if grace else 400)
        assert is_accepted(second["access_token"]) is bool(grace)
        if grace:
            refresh(web, retried.json())
            # The sibling has ended, and the first token is too old for another retry.
            assert web.token("refresh_token", refresh_token=second["refresh_token"]).status_code == 400

    def test_switching_either_way_breaks_no_token(self, rotating, web, user, settings):
        answer, former = web.code_flow(user).json(), None
        for stores in (True, False, True, False):
            store(settings, stores)
            assert is_accepted(answer["access_token"])
            former, answer = answer, refresh(web, answer)
            assert token_id_of(answer["access_token"]).has_row is stores
            assert DenyListEntry.objects.filter(value=str(token_id_of(former["access_token"]))).exists()
            assert is_accepted(answer["access_token"])
            assert rows().count() == IssuedToken.objects.count() == 1

    def test_stored_tokens_are_accepted_by_the_row_policy_after_the_switch(self, web, user, settings, client):
        store(settings, stores=True, REVOCATION="row", DEFAULT_RESOURCE="http://testserver/")
        before = web.code_flow(user, scope=None).json()
        store(settings, stores=False)
        after = web.code_flow(user, scope=None).json()
        for answer in (before, after):
            bearer = {"Authorization": f"Bearer {answer['access_token']}"}
            assert client.get("/whoami/", headers=bearer).status_code == 200

    def test_pairwise_subject_is_found_by_the_authorization(self, web, user, settings, client):
        key = "A" * 43
        store(settings, stores=False, PAIRWISE_SUBJECT_KEY=key, DEFAULT_RESOURCE="http://testserver/")
        token = web.code_flow(user, scope=None).json()["access_token"]
        bearer = {"Authorization": f"Bearer {token}"}
        assert client.get("/whoami/", headers=bearer).status_code == 200
        assert web.post("/o/introspect/", {"token": token}).json()["username"] == "alice"
        other = get_user_model().objects.create_user("mallory")
        Authorization.objects.update(user_key=str(other.pk))
        get_user_model().objects.filter(pk=other.pk).delete()
        assert client.get("/whoami/", headers=bearer).status_code == 401

    def test_introspection_knows_at_once_that_the_authorization_has_ended(self, web, user):
        token = web.code_flow(user).json()["access_token"]
        assert web.post("/o/introspect/", {"token": token}).json()["username"] == "alice"
        # Another process has ended it, and this one has not read the deny list since.
        Authorization.objects.update(ended_at=timezone.now())
        assert web.post("/o/introspect/", {"token": token}).json() == {"active": False}

    def test_receivers_of_app_authorized_get_the_row_of_the_family(self, web, user):
        received = []

        def receive(token, **_kwargs):
            received.append(token)

        app_authorized.connect(receive)
        try:
            web.code_flow(user)
        finally:
            app_authorized.disconnect(receive)
        assert received == [rows().get()]

    def test_agreed_without_asking_again(self, web, user):
        web.code_flow(user)
        assert "code" in web.authorize(user, approval_prompt="auto", allow=False)
