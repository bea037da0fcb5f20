"""What revokes tokens, and what must not: requests, admin pages and changes of rows."""

from __future__ import annotations

import io
import time
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.hashers import make_password
from django.core import serializers
from django.core.management import call_command
from django.db import OperationalError, connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_id_token_model,
    get_refresh_token_model,
)

from django_at_jwt.authorization_server.revocation import receivers
from django_at_jwt.authorization_server.revocation import revoke as revoke_module
from django_at_jwt.authorization_server.revocation.authorizations import lock_authorizations
from django_at_jwt.authorization_server.revocation.deny_list import deny_list
from django_at_jwt.authorization_server.revocation.entries import deny_audience, shorten_audience_entries
from django_at_jwt.authorization_server.revocation.issued_tokens import stored_link
from django_at_jwt.core.deny_list import DenyKind, DenyList
from django_at_jwt.core.errors import TokenRejected
from django_at_jwt.events import TokensRevoked
from django_at_jwt.models import Authorization, DenyListEntry, IssuedToken, ResourceServer
from django_at_jwt.models.authorization import EndReason, credential_hash
from django_at_jwt.models.change_times import last_change
from django_at_jwt.models.primary import primary_rows
from django_at_jwt.revocation import revoke_user
from tests.admin.pages import confirm, send
from tests.conftest import captured_statements
from tests.core.test_deny_list import claims
from tests.links import forget_links
from tests.openid_connect import OPENID_CONNECT
from tests.people.models import Department

from .grants import entries, granted

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]

User = get_user_model()
MAIL = "https://mail.example.com/"


@pytest.fixture
def tokens(web, user):
    return granted(web, web.code_flow(user))


@pytest.fixture
def other(make_client, signing_keys):
    """Issue tokens of another user and client, which must live on."""
    client = make_client(name="Another client", client_id="another-client")
    found = granted(client, client.code_flow(User.objects.create_user("bob")))
    yield found
    assert found.is_live()
    assert found.authorization.ended_at is None
    assert found.refresh().status_code == 200


def assert_ended(tokens, reason):
    authorization = tokens.authorization
    assert (authorization.end_reason, authorization.ended_at is not None) == (reason, True)
    assert entries() == [("authorization", authorization.identifier)]
    assert DenyListEntry.objects.get().reason == reason
    assert not tokens.is_live()
    assert tokens.refresh().json()["error"] == "invalid_grant"


def revoke(client, token, **data):
    answer = client.post("/o/revoke_token/", {"token": token, **data})
    assert answer.status_code == 200, answer.content


@pytest.mark.compliance("7009-1")
class TestRevocationEndpoint:
    @pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
    @pytest.mark.parametrize("hint", [None, "access_token", "refresh_token"])
    def test_ends_the_authorization(self, kind, hint, web, tokens, other):
        revoke(web, tokens.response[kind], **({"token_type_hint": hint} if hint else {}))
        assert_ended(tokens, EndReason.TOKEN_REVOKED)

    def test_token_of_a_client_acting_for_itself_is_denied_alone(self, service):
        one = granted(service, service.token("client_credentials"))
        two = granted(service, service.token("client_credentials"))
        revoke(service, one.response["access_token"])
        assert entries() == [("token", one.token_id)]
        assert not one.is_live()
        assert two.is_live()

    def test_access_token_without_a_refresh_token_ends_its_authorization(self, web, tokens):
        get_refresh_token_model().objects.filter(pk=tokens.refresh_token.pk).update(access_token=None)
        revoke(web, tokens.response["access_token"])
        assert_ended(tokens, EndReason.TOKEN_REVOKED)

    def test_link_of_a_former_row_with_the_same_key_is_not_taken(self, web, tokens, other):
        # As after only the tokens were restored from a backup.
        IssuedToken.objects.create(
            access_token=str(tokens.access_token.pk),
            token_id="made-up",
            authorization=other.authorization.identifier,
            expires_at=tokens.access_token.expires,
        )
        get_refresh_token_model().objects.filter(pk=tokens.refresh_token.pk).update(access_token=None)
        revoke(web, tokens.response["access_token"])
        assert_ended(tokens, EndReason.TOKEN_REVOKED)

    @pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
    def test_token_of_another_client_is_left_alone(self, kind, service, tokens):
        revoke(service, tokens.response[kind])
        assert entries() == []
        assert tokens.is_live()

    def test_unknown_token_and_a_second_time(self, web, tokens):
        revoke(web, "unknown")
        assert entries() == []
        revoke(web, tokens.response["refresh_token"])
        ended = Authorization.objects.values().get()
        revoke(web, tokens.response["refresh_token"])
        revoke(web, tokens.response["access_token"])
        assert len(entries()) == 1
        assert Authorization.objects.values().get() == ended

    def test_ends_unused_codes_of_the_authorization(self, web, user, tokens):
        code = web.authorize(user)["code"]
        Authorization.objects.filter(family=None).delete()
        row = tokens.authorization
        Authorization.objects.filter(pk=row.pk).update(code_hash=credential_hash(code))
        revoke(web, tokens.response["refresh_token"])
        assert web.exchange(code).json()["error"] == "invalid_grant"


class TestToolkitPages:
    @pytest.mark.parametrize("name", ["accesstoken", "refreshtoken"])
    def test_admin_action(self, name, tokens, other, admin_client):
        row = tokens.access_token if name == "accesstoken" else tokens.refresh_token
        sent = {"action": "revoke_tokens", "_selected_action": [row.pk]}
        page = admin_client.post(f"/admin/{row._meta.app_label}/{name}/", sent, follow=True)
        assert "Revoked 1" in page.content.decode()
        assert_ended(tokens, EndReason.TOKEN_REVOKED)

    def test_authorized_tokens(self, tokens, other, client, user):
        client.force_login(user)
        address = f"/o/authorized_tokens/{tokens.access_token.pk}/delete/"
        assert client.post(address).status_code == 302
        assert_ended(tokens, EndReason.TOKEN_REVOKED)

    def test_authorized_tokens_are_those_that_are_accepted_or_can_be_refreshed(self, tokens, client, user, settings):
        def listed():
            return list(client.get("/o/authorized_tokens/").context["authorized_tokens"])

        client.force_login(user)
        assert listed() == [tokens.access_token]
        get_access_token_model().objects.update(expires=timezone.now() - timedelta(days=2))
        assert listed() == [tokens.access_token]
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_EXPIRE_SECONDS": 24 * 3600}
        assert listed() == []
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_EXPIRE_SECONDS": None}
        assert listed() == [tokens.access_token]
        revoke_user(user)
        assert listed() == []

    def test_authorized_tokens_include_one_without_a_refresh_token(self, tokens, client, user):
        tokens.refresh_token.delete()
        client.force_login(user)
        assert list(client.get("/o/authorized_tokens/").context["authorized_tokens"]) == [tokens.access_token]

    def test_logout_that_deletes_tokens(self, tokens, other, client, user, settings):
        oidc = {"OIDC_ENABLED": True, "OIDC_RP_INITIATED_LOGOUT_ENABLED": True}
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **oidc}
        client.force_login(user)
        assert client.post("/o/logout/", {"allow": "on"}).status_code == 302
        assert_ended(tokens, EndReason.LOGOUT)

    def test_two_logouts_at_once(self, make_client, client, user, settings, monkeypatch):
        oidc = {**OPENID_CONNECT, "OIDC_RP_INITIATED_LOGOUT_ENABLED": True}
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **oidc}
        web = make_client(algorithm="RS256")
        both = [granted(web, web.code_flow(user, scope="openid")) for _ in range(2)]
        # As from before this app: no authorization ends it.
        forget_links()
        model = get_id_token_model()
        revoke = model.revoke

        def revoke_as_another_logout_does(row):
            if model.objects.count() == 2:
                model.objects.exclude(pk=row.pk).get().delete()
            revoke(row)

        monkeypatch.setattr(model, "revoke", revoke_as_another_logout_does)
        client.force_login(user)
        assert client.post("/o/logout/", {"allow": "on"}).status_code == 302
        assert "_auth_user_id" not in client.session
        assert not get_access_token_model().objects.exists()
        assert not model.objects.exists()
        assert [each.refresh().status_code for each in both] == [400, 400]

    def test_logout_that_keeps_tokens(self, tokens, client, user, settings):
        oidc = {"OIDC_ENABLED": True, "OIDC_RP_INITIATED_LOGOUT_ENABLED": True}
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            **oidc,
            "OIDC_RP_INITIATED_LOGOUT_DELETE_TOKENS": False,
        }
        client.force_login(user)
        assert client.post("/o/logout/", {"allow": "on"}).status_code == 302
        assert entries() == []
        assert tokens.is_live()

    def test_deleting_a_client_on_its_page(self, tokens, other, client, user):
        client_id = tokens.client.application.client_id
        get_application_model().objects.filter(client_id=client_id).update(user=user)
        client.force_login(user)
        assert client.post(f"/o/applications/{tokens.client.application.pk}/delete/").status_code == 302
        assert entries() == [("client", client_id)]
        assert DenyListEntry.objects.get().issued_until is not None
        assert not Authorization.objects.exclude(pk=other.authorization.pk).exists()
        assert stored_link(tokens.token_id) is None

    def test_deleting_a_client_that_acts_for_itself(self, service, other):
        # In django-oauth-toolkit's admin, a client with tokens cannot be deleted.
        tokens = granted(service, service.token("client_credentials"))
        service.application.delete()
        assert entries() == [("client", tokens.client.application.client_id)]
        assert stored_link(tokens.token_id) is None

    def test_reused_refresh_token(self, tokens, other, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_REUSE_PROTECTION": True}
        new = granted(tokens.client, tokens.refresh())
        assert tokens.refresh().status_code == 400
        assert not new.is_live()
        assert ("authorization", new.authorization.identifier) in entries()


class TestUsers:
    def test_deactivation_in_the_admin(self, tokens, other, user, admin_client):
        address = f"/admin/{user._meta.app_label}/user/{user.pk}/change/"
        if user._meta.app_label != "auth":
            pytest.skip("the site's own user model is not in the admin")
        assert send(admin_client, address, is_active=None).status_code == 302
        assert_ended(tokens, EndReason.USER_DEACTIVATED)

    def test_deactivation_ends_the_users_authorizations(self, tokens, other, user):
        user.is_active = False
        user.save(update_fields=["is_active"])
        assert_ended(tokens, EndReason.USER_DEACTIVATED)

    def test_second_save_of_an_inactive_user_does_nothing(self, tokens, user):
        user.is_active = False
        user.save()
        before = list(Authorization.objects.values()), list(DenyListEntry.objects.values())
        with captured_statements() as statements:
            user.save()
        assert (list(Authorization.objects.values()), list(DenyListEntry.objects.values())) == before
        # It reads the former values, and saves.
        assert len(statements) == 2

    def test_saves_that_cannot_revoke_cost_no_query(self, tokens, user, django_assert_num_queries):
        with django_assert_num_queries(1):
            user.save(update_fields=["last_login"])

    def test_deletion_ends_the_users_authorizations(self, tokens, other, user):
        authorization = tokens.authorization
        user.delete()
        assert entries() == [("authorization", authorization.identifier)]
        assert DenyListEntry.objects.get().reason == EndReason.USER_DELETED
        assert not Authorization.objects.filter(pk=authorization.pk).exists()
        assert stored_link(tokens.token_id) is None
        assert tokens.refresh().json()["error"] == "invalid_grant"

    def test_deletion_through_a_query_set(self, tokens, other, user):
        authorization = tokens.authorization
        User.objects.filter(pk=user.pk).delete()
        assert entries() == [("authorization", authorization.identifier)]

    def test_deletion_of_a_proxy(self, tokens, other, user):
        with proxy_of(User) as member_model:
            authorization = tokens.authorization
            member_model.objects.get(pk=user.pk).delete()
        assert entries() == [("authorization", authorization.identifier)]
        assert DenyListEntry.objects.get().reason == EndReason.USER_DELETED
        assert not Authorization.objects.filter(pk=authorization.pk).exists()

    def test_password_change_page(self, tokens, other, user, client):
        User.objects.filter(pk=user.pk).update(is_staff=True)
        client.force_login(User.objects.get(pk=user.pk))
        form = {"old_password": "correct horse", "new_password1": "battery staple", "new_password2": "battery staple"}
        assert client.post("/admin/password_change/", form).status_code == 302
        assert_ended(tokens, EndReason.PASSWORD_CHANGED)

    def test_password_form_of_an_administrator(self, tokens, other, user, admin_client):
        if user._meta.app_label != "auth":
            pytest.skip("the site's own user model is not in the admin")
        form = {"password1": "battery staple", "password2": "battery staple"}
        assert admin_client.post(f"/admin/auth/user/{user.pk}/password/", form).status_code == 302
        assert_ended(tokens, EndReason.PASSWORD_CHANGED)

    def test_password_disabled_by_an_administrator(self, tokens, other, user):
        user.set_unusable_password()
        user.save()
        assert_ended(tokens, EndReason.PASSWORD_CHANGED)

    def test_password_reset(self, tokens, other, user):
        form = SetPasswordForm(user, {"new_password1": "battery staple", "new_password2": "battery staple"})
        form.save() if form.is_valid() else pytest.fail(str(form.errors))
        assert_ended(tokens, EndReason.PASSWORD_CHANGED)

    def test_password_change_where_the_site_turned_it_off(self, tokens, user, settings):
        settings.AT_JWT = {**settings.AT_JWT, "REVOKE_ON_PASSWORD_CHANGE": False}
        user.set_password("battery staple")
        user.save()
        assert entries() == []
        assert tokens.is_live()

    def test_login_that_hashes_the_password_again_revokes_nothing(self, tokens, user, settings, client):
        settings.PASSWORD_HASHERS = [
            "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
            "django.contrib.auth.hashers.MD5PasswordHasher",
        ]
        assert client.login(username="alice", password="correct horse")
        assert User.objects.get(pk=user.pk).password != user.password
        assert entries() == []
        assert tokens.is_live()

    def test_single_sign_on_that_disables_the_password_at_each_login_revokes_nothing(self, web, user):
        User.objects.filter(pk=user.pk).update(password="!")
        user.refresh_from_db()
        tokens = granted(web, web.code_flow(user))
        user.set_unusable_password()
        user.save()
        assert entries() == []
        assert tokens.is_live()

    def test_raw_save_revokes_nothing(self, tokens, user):
        user.is_active = False
        user.save_base(raw=True)
        assert entries() == []
        assert tokens.is_live()

    def test_other_changes_revoke_nothing(self, tokens, user):
        user.first_name = "Alicia"
        user.save()
        assert entries() == []
        assert tokens.is_live()

    def test_query_set_update_sends_no_signal(self, tokens, user):
        User.objects.filter(pk=user.pk).update(is_active=False)
        assert entries() == []

    def test_row_of_another_model_with_the_same_key(self, tokens, user):
        # Threat 37: neither saving nor deleting it concerns the user.
        if not isinstance(user.pk, int):
            pytest.skip("the site's users have other primary keys")
        department = Department(pk=user.pk, code="x")
        department.save()
        department.delete()
        assert entries() == []
        assert tokens.is_live()


@contextmanager
def proxy_of(model):
    """Declare a proxy model, known to the receivers, as if an app had declared it."""
    meta = type("Meta", (), {"proxy": True, "app_label": "people"})
    proxy = type("Member", (model,), {"Meta": meta, "__module__": __name__})
    receivers.connect()
    try:
        yield proxy
    finally:
        del apps.all_models["people"]["member"]
        apps.clear_cache()


class TestClients:
    def test_secret_that_is_hashed_again_revokes_nothing(self, web, user, settings):
        tokens = granted(web, web.code_flow(user))
        settings.PASSWORD_HASHERS = [
            "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
            "django.contrib.auth.hashers.MD5PasswordHasher",
        ]
        assert tokens.refresh().status_code == 200
        assert [kind for kind, _ in entries() if kind != "token"] == []

    def test_other_changes_revoke_nothing(self, tokens):
        client = get_application_model().objects.get(pk=tokens.client.application.pk)
        client.name = "Renamed"
        client.save()
        assert entries() == []


class TestResourceServers:
    @pytest.fixture
    def server(self, db):
        return ResourceServer.objects.create(identifier=MAIL, name="Mail")

    def test_disabled_in_the_admin(self, server, other, admin_client):
        address = f"/admin/django_at_jwt/resourceserver/{server.pk}/change/"
        before = timezone.now()
        page = send(admin_client, address, enabled=None)
        assert entries() == []
        assert confirm(admin_client, page).status_code == 302
        assert entries() == [("audience", MAIL)]
        assert DenyListEntry.objects.get().issued_until >= before

    def test_saved_again_or_enabled(self, server):
        server.enabled = False
        server.save()
        server.save()
        assert len(entries()) == 1
        server.enabled = True
        server.save()
        server.save(update_fields=["name"])
        assert len(entries()) == 1

    @pytest.mark.parametrize("end", ["disable", "delete"])
    def test_tokens_that_another_process_still_issues(self, end, server, settings):
        settings.AT_JWT = {**settings.AT_JWT, "KEY_RING_MAX_AGE": 20, "LEEWAY": 10}
        before = timezone.now()
        if end == "delete":
            server.delete()
        else:
            server.enabled = False
            server.save()
        entry = DenyListEntry.objects.get()
        assert timedelta(seconds=30) <= entry.issued_until - before < timedelta(seconds=60)
        assert entry.expires_at >= entry.issued_until + timedelta(seconds=3600)

    @pytest.mark.parametrize("end", ["disable", "delete"])
    def test_tokens_issued_after_it_was_enabled_again_are_accepted(
        self, end, server, django_capture_on_commit_callbacks
    ):
        now, database = int(time.time()), router.db_for_write(DenyListEntry)
        with django_capture_on_commit_callbacks(using=database, execute=True):
            if end == "delete":
                server.delete()
            else:
                server.enabled = False
                server.save()
        with pytest.raises(TokenRejected, match="its audience"):
            deny_list.check(claims(aud=MAIL, iat=now + 1))
        with django_capture_on_commit_callbacks(using=database, execute=True):
            if end == "delete":
                ResourceServer.objects.create(identifier=MAIL, name="Mail")
            else:
                server.enabled = True
                server.save()
        again = int(time.time())
        deny_list.check(claims(aud=MAIL, iat=again + 1))
        with pytest.raises(TokenRejected, match="its audience"):
            deny_list.check(claims(aud=MAIL, iat=now))
        # As a process reads it that starts now.
        stored = DenyList(row.entry for row in DenyListEntry.objects.all())
        assert stored.hit(claims(aud=MAIL, iat=again + 1)) is None
        assert stored.hit(claims(aud=MAIL, iat=now)) is DenyKind.AUDIENCE

    def test_enabling_it_revokes_nothing_more(self, server, events, django_capture_on_commit_callbacks):
        database = router.db_for_write(DenyListEntry)
        with django_capture_on_commit_callbacks(using=database, execute=True):
            server.enabled = False
            server.save()
        revoked_at = DenyListEntry.objects.get().created_at
        with django_capture_on_commit_callbacks(using=database, execute=True):
            server.enabled = True
            server.save()
        assert DenyListEntry.objects.get().created_at == revoked_at
        assert [type(event) for event in events].count(TokensRevoked) == 1

    def test_enabling_it_in_the_last_second_of_its_revocation(self, server):
        end = timezone.now().replace(microsecond=900_000)
        arguments = {"expires_at": end + timedelta(hours=1), "reason": EndReason.API_DISABLED}
        deny_audience(MAIL, issued_until=end, **arguments)
        shorten_audience_entries(MAIL, issued_until=end.replace(microsecond=100_000), **arguments)
        # Tokens have times in whole seconds.
        assert entries() == [("audience", MAIL)]

    def test_enabling_it_reads_no_replica(self, server, monkeypatch):
        ResourceServer.objects.filter(pk=server.pk).update(enabled=False)
        # The tests have no database called "replica", so reading from it fails.
        monkeypatch.setattr("django.db.router.db_for_read", lambda model, **_hints: "replica")
        server.save()
        assert primary_rows(ResourceServer).get().enabled

    @pytest.mark.parametrize("end", ["disable", "delete"])
    def test_row_of_an_api_that_the_settings_declare_revokes_nothing(self, end, server, settings):
        settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {MAIL: {"scopes": {"mail": "Mail"}}}}
        if end == "delete":
            server.delete()
        else:
            server.enabled = False
            server.save()
        assert entries() == []

    @pytest.mark.parametrize(("enabled", "expected"), [(True, [("audience", MAIL)]), (False, [])])
    def test_deletion_revokes_the_tokens_of_an_enabled_api(self, enabled, expected, db):
        ResourceServer.objects.create(identifier=MAIL, name="Mail", enabled=enabled)
        ResourceServer.objects.all().delete()
        assert entries() == expected

    def test_created_disabled(self, db):
        ResourceServer.objects.create(identifier=MAIL, name="Mail", enabled=False)
        assert entries() == []


class TestCommands:
    def test_cleartokens_revokes_nothing(self, web, user, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_EXPIRE_SECONDS": 1}
        tokens = granted(web, web.code_flow(user))
        long_ago = timezone.now() - timedelta(days=1)
        get_access_token_model().objects.filter(pk=tokens.access_token.pk).update(expires=long_ago)
        identifier = tokens.authorization.identifier
        call_command("cleartokens")
        assert not get_refresh_token_model().objects.exists()
        assert not get_access_token_model().objects.exists()
        assert entries() == []
        assert Authorization.objects.get(identifier=identifier).ended_at is None

    def test_loaddata_revokes_nothing(self, tokens, user, tmp_path):
        user.is_active = False
        refresh_token = tokens.refresh_token
        refresh_token.revoked = timezone.now()
        server = ResourceServer.objects.create(identifier=MAIL, name="Mail")
        server.enabled = False
        fixture = tmp_path / "site.json"
        fixture.write_text(serializers.serialize("json", [user, refresh_token, server]))
        for database in connections:
            call_command("loaddata", str(fixture), database=database, verbosity=0, stdout=io.StringIO())
        assert not User.objects.get(pk=user.pk).is_active
        assert entries() == []
        assert tokens.authorization.ended_at is None


class TestPasswordHashes:
    @pytest.fixture(autouse=True)
    def _hashers(self, settings):
        settings.PASSWORD_HASHERS = [
            "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
            "django.contrib.auth.hashers.MD5PasswordHasher",
        ]

    def test_new_password_that_is_saved_alone_as_a_hash(self, web, user):
        User.objects.filter(pk=user.pk).update(password=make_password("correct horse"))
        tokens = granted(web, web.code_flow(User.objects.get(pk=user.pk)))
        again = User.objects.get(pk=user.pk)
        again.password = make_password("battery staple")
        again.save(update_fields=["password"])
        assert_ended(tokens, EndReason.PASSWORD_CHANGED)

    def test_login_that_also_saves_when_the_user_was_changed(self, tokens, user, client, monkeypatch):
        # As models of django-model-utils and django-extensions do.
        save = User.save

        def save_more(self, *args, update_fields=None, **kwargs):
            fields = None if update_fields is None else {*update_fields, "first_name"}
            save(self, *args, update_fields=fields, **kwargs)

        User.objects.filter(pk=user.pk).update(password=make_password("correct horse", hasher="md5"))
        monkeypatch.setattr(User, "save", save_more)
        assert client.login(username="alice", password="correct horse")
        assert User.objects.get(pk=user.pk).password.startswith("pbkdf2_sha1$")
        assert entries() == []
        assert tokens.is_live()


def test_saving_a_replaced_refresh_token_again_revokes_nothing(tokens):
    new = granted(tokens.client, tokens.refresh())
    before = entries()
    get_refresh_token_model().objects.get(pk=tokens.refresh_token.pk).save()
    assert entries() == before
    assert new.is_live()


class TestTokensOfAClient:
    def test_issued_while_it_is_revoked(self, web, tokens, monkeypatch):
        # By another process, until revoke_client() has locked their authorization.
        locked = []

        def lock(rows):
            locked.append(timezone.now() + timedelta(seconds=3))
            model = get_access_token_model()
            model.objects.update(**{last_change(model): locked[0]})
            return lock_authorizations(rows)

        monkeypatch.setattr(revoke_module, "lock_authorizations", lock)
        revoke_module.revoke_client(web.application)
        assert DenyListEntry.objects.get().issued_until >= locked[0]

    def test_issued_under_a_former_client_id(self, web, tokens, client, django_capture_on_commit_callbacks):
        header = {"Authorization": f"Bearer {tokens.response['access_token']}"}
        assert client.get("/whoami/", headers=header).status_code == 200
        web.application.client_id = "renamed"
        with django_capture_on_commit_callbacks(using=router.db_for_write(DenyListEntry), execute=True):
            web.application.save()
        assert client.get("/whoami/", headers=header).status_code == 401
        web.application.save()
        assert len(entries()) == 1
        assert tokens.authorization.ended_at is None
        assert tokens.refresh().status_code == 200


@pytest.mark.parametrize("kind", ["user", "client"])
def test_authorizations_are_locked_before_the_row_that_changes(kind, tokens, user, admin_client):
    # A token request locks its authorization and then, on MariaDB, the rows that its tokens refer to.
    model = User if kind == "user" else get_application_model()
    if router.db_for_write(model) != router.db_for_write(Authorization):
        pytest.skip("the statements of two databases have no common order")
    with captured_statements() as statements:
        if kind == "user":
            user.set_password("battery staple")
            user.save()
        else:
            row = tokens.client.application
            send(admin_client, f"/admin/{row._meta.app_label}/application/{row.pk}/change/", revoke_tokens="on")
    statements = [sql.replace("`", '"') for sql in statements]
    locked = next(place for place, sql in enumerate(statements) if 'FROM "django_at_jwt_authorization"' in sql)
    changed = next(place for place, sql in enumerate(statements) if sql.startswith(f'UPDATE "{model._meta.db_table}"'))
    assert locked < changed
    assert not tokens.is_live()


@contextmanager
def connection_lost_after_saving(model):
    """Fail every statement after the one that saves a row of a model."""
    saved = []

    def execute_until_saved(execute, sql, *arguments):
        if saved:
            raise OperationalError("the connection is lost")
        result = execute(sql, *arguments)
        if sql.replace("`", '"').startswith(f'UPDATE "{model._meta.db_table}"'):
            saved.append(sql)
        return result

    with ExitStack() as stack:
        for connection in connections.all():
            stack.enter_context(connection.execute_wrapper(execute_until_saved))
        with pytest.raises(OperationalError):
            yield


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", [EndReason.USER_DEACTIVATED, EndReason.PASSWORD_CHANGED])
def test_tokens_of_a_user_end_before_the_row_is_saved_without_a_transaction(change, tokens, user):
    if change is EndReason.USER_DEACTIVATED:
        user.is_active = False
    else:
        user.set_password("battery staple")
    with connection_lost_after_saving(User):
        user.save()
    assert User.objects.get(pk=user.pk).password == user.password
    assert User.objects.get(pk=user.pk).is_active == user.is_active
    assert_ended(tokens, change)


@pytest.mark.django_db(transaction=True)
def test_tokens_of_a_former_client_id_end_before_the_row_is_saved_without_a_transaction(tokens):
    model = get_application_model()
    client = model.objects.get(pk=tokens.access_token.application_id)
    former, client.client_id = client.client_id, "renamed"
    with connection_lost_after_saving(model):
        client.save()
    assert model.objects.get(pk=client.pk).client_id == "renamed"
    assert entries() == [("client", former)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_atomic", [False, True], ids=["alone", "in a transaction"])
def test_former_client_id_is_reported_once(is_atomic, tokens, events):
    client = get_application_model().objects.get(pk=tokens.access_token.application_id)
    former, client.client_id = client.client_id, "renamed"
    with transaction.atomic() if is_atomic else nullcontext():
        client.save()
    assert [event.client_id for event in events if isinstance(event, TokensRevoked)] == [former]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_atomic", [False, True], ids=["autocommit", "atomic requests"])
@pytest.mark.parametrize("end", ["refresh token", "access token", "token of the client itself", "replayed code"])
def test_deny_list_is_committed_before_the_rows_of_another_database(end, is_atomic, web, service, user, monkeypatch):
    # The other way round, a failure in between would leave a token that the client cannot revoke again.
    denying, ending = router.db_for_write(DenyListEntry), router.db_for_write(get_access_token_model())
    if denying == ending:
        pytest.skip("the deny list is in the database of the tokens")
    code = web.authorize(user)["code"]
    tokens, own = granted(web, web.exchange(code)), granted(service, service.token("client_credentials"))
    for alias in (denying, ending):
        monkeypatch.setitem(connections.settings[alias], "ATOMIC_REQUESTS", is_atomic)
    committed, commit = [], BaseDatabaseWrapper._commit

    def record(connection):
        commit(connection)
        committed.append(connection.alias)

    monkeypatch.setattr(BaseDatabaseWrapper, "_commit", record)
    if end == "replayed code":
        assert web.exchange(code).status_code == 400
    elif end == "token of the client itself":
        revoke(service, own.response["access_token"])
    else:
        revoke(web, tokens.response[end.replace(" ", "_")])
    assert len(entries()) == 1
    assert committed.index(denying) < committed.index(ending)
