"""Everything that revokes tokens locks the authorization before their rows, as token requests do.

Else two requests can wait for each other. If the database ends one of them, a page answers with a message.
"""

from __future__ import annotations

import threading
import time

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.db import OperationalError, connection, connections, router, transaction
from django.urls import path
from oauth2_provider.models import get_access_token_model, get_application_model, get_refresh_token_model

from django_at_jwt.admin import client as client_admin
from django_at_jwt.admin import token as token_admin
from django_at_jwt.admin.revocation import admin as deny_list_admin
from django_at_jwt.admin.revocation import pages as revocation_pages
from django_at_jwt.admin_mixins import LogOutEverywhereMixin
from django_at_jwt.authorization_server.revocation import receivers
from django_at_jwt.authorization_server.revocation.authorizations import authorizations_of_access_tokens
from django_at_jwt.authorization_server.views import account
from django_at_jwt.models import Authorization
from django_at_jwt.models.authorization import EndReason
from tests.admin.pages import fill_in, text_of
from tests.conftest import captured_statements
from tests.patience import PATIENCE_SECONDS

from .grants import entries, granted

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]

DENY_LIST = "/admin/django_at_jwt/denylistentry/"
CLIENTS = "/admin/oauth2_provider/application/"
USERS = "/admin/auth/user/"
BUSY = "The database could not complete this"


@pytest.fixture
def tokens(web, user, signing_keys):
    return granted(web, web.code_flow(user))


@pytest.fixture
def logout_deletes_tokens(settings):
    oidc = {"OIDC_ENABLED": True, "OIDC_RP_INITIATED_LOGOUT_ENABLED": True}
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **oidc}


def by_admin_action(name):
    def revoke(tokens, admin_client, _client):
        row = tokens.access_token if name == "accesstoken" else tokens.refresh_token
        sent = {"action": "revoke_tokens", "_selected_action": [row.pk]}
        return admin_client.post(f"/admin/{row._meta.app_label}/{name}/", sent)

    return revoke


def on_the_page_of_tokens(tokens, _admin_client, client):
    return client.post(f"/o/authorized_tokens/{tokens.access_token.pk}/delete/")


def by_logout(_tokens, _admin_client, client):
    return client.post("/o/logout/", {"allow": "on"})


def at_the_endpoint(name):
    def revoke(tokens, _admin_client, _client):
        return tokens.client.post("/o/revoke_token/", {"token": tokens.response[name]})

    return revoke


def is_about(statement, model):
    return connection.ops.quote_name(model._meta.db_table) in statement


def is_locking(statement, model):
    """Return whether a statement locks rows of a table; of a SELECT, SQLite does not show it."""
    writes = statement.startswith(("UPDATE", "DELETE"))
    return is_about(statement, model) and (writes or "FOR UPDATE" in statement)


@pytest.mark.usefixtures("logout_deletes_tokens")
@pytest.mark.parametrize(
    "revoke",
    [
        by_admin_action("accesstoken"),
        by_admin_action("refreshtoken"),
        on_the_page_of_tokens,
        by_logout,
        at_the_endpoint("access_token"),
        at_the_endpoint("refresh_token"),
    ],
)
def test_authorization_is_locked_before_its_tokens(revoke, tokens, user, client, admin_client):
    client.force_login(user)
    with captured_statements() as statements:
        assert revoke(tokens, admin_client, client).status_code in {200, 302}
    assert_authorization_is_locked_first(statements)


def test_authorization_of_a_token_without_a_refresh_token_is_locked_before_it(make_client, user):
    client = make_client("implicit")
    token = client.authorize(user, response_type="token")["access_token"]
    with captured_statements() as statements:
        assert client.post("/o/revoke_token/", {"token": token}).status_code == 200
    assert_authorization_is_locked_first(statements)


def assert_authorization_is_locked_first(statements):
    assert len(entries()) == 1
    models = get_access_token_model(), get_refresh_token_model()
    first = next(place for place, each in enumerate(statements) if any(is_locking(each, model) for model in models))
    before = [each for each in statements[:first] if is_about(each, Authorization)]
    if connection.features.has_select_for_update:
        before = [each for each in before if "FOR UPDATE" in each]
    assert before


@pytest.mark.parametrize("is_first", [True, False], ids=["the first", "a later one"])
def test_authorization_is_found_by_an_access_token_without_a_refresh_token(is_first, tokens):
    token = tokens if is_first else granted(tokens.client, tokens.refresh())
    get_refresh_token_model().objects.update(access_token=None)
    assert authorizations_of_access_tokens([token.access_token.pk]).get() == tokens.authorization


@pytest.mark.django_db(transaction=True)
def test_reused_refresh_token_waits_for_the_authorization_without_locks_on_its_tokens(tokens, settings):
    if not connection.features.has_select_for_update:
        pytest.skip("the database has no row locks")
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_REUSE_PROTECTION": True}
    new = granted(tokens.client, tokens.refresh())
    rows = get_refresh_token_model().objects.filter(pk=new.refresh_token.pk)
    answers = []

    def reuse():
        try:
            answers.append(tokens.refresh())
        finally:
            connections.close_all()

    thread = threading.Thread(target=reuse)
    with transaction.atomic(using=router.db_for_write(Authorization)):
        # As a refresh with the new token does, which then waits for the rows of the tokens.
        authorization = Authorization.objects.select_for_update().get(family=new.refresh_token.token_family)
        thread.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not rows.filter(revoked__isnull=False).exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert rows.filter(revoked__isnull=False).exists()
        assert entries() == [("token", tokens.token_id), ("authorization", authorization.identifier)]
    thread.join(PATIENCE_SECONDS)
    assert answers[0].json()["error"] == "invalid_grant"
    authorization.refresh_from_db()
    assert authorization.end_reason == EndReason.REFRESH_TOKEN_REUSED


class TestConflict:
    @pytest.fixture(autouse=True)
    def _conflicts(self, monkeypatch):
        def fail(*_args, **_options):
            raise OperationalError("deadlock detected")

        monkeypatch.setattr(token_admin, "lock_authorizations", fail)
        monkeypatch.setattr(client_admin, "lock_authorizations", fail)
        monkeypatch.setattr(account, "lock_authorizations", fail)
        monkeypatch.setattr(account, "end_authorizations", fail)
        for name in ("revoke_users", "revoke_client"):
            monkeypatch.setattr(revocation_pages, name, fail)
        for name in ("revoke_authorization", "revoke_token"):
            monkeypatch.setattr(deny_list_admin, name, fail)

    @pytest.mark.parametrize("name", ["accesstoken", "refreshtoken"])
    def test_admin_action(self, name, tokens, admin_client):
        answer = by_admin_action(name)(tokens, admin_client, None)
        assert answer.status_code == 302
        assert BUSY in text_of(admin_client.get(answer["Location"]))
        assert tokens.is_live()

    @pytest.mark.parametrize("kind", ["user", "client", "authorization", "add"])
    def test_page_that_revokes(self, kind, tokens, user, admin_client):
        address = {
            "user": f"{DENY_LIST}user/{user.pk}/",
            "client": f"{DENY_LIST}client/{tokens.client.application.pk}/",
            "authorization": f"{DENY_LIST}authorization/{tokens.authorization.identifier}/",
            "add": f"{DENY_LIST}add/",
        }[kind]
        answer = admin_client.post(address, {"_revoke": "Revoke", "token_id": tokens.token_id})
        assert (answer.status_code, answer["Location"]) == (302, address)
        assert BUSY in text_of(admin_client.get(address))
        assert tokens.is_live()

    def test_form_of_a_client(self, tokens, admin_client):
        address = f"{CLIENTS}{tokens.client.application.pk}/change/"
        sent = fill_in(admin_client, address, name="Another name", revoke_tokens="on")
        answer = admin_client.post(address, sent)
        assert (answer.status_code, answer["Location"]) == (302, address)
        assert BUSY in text_of(admin_client.get(address))
        assert get_application_model().objects.get().name != "Another name"

    @pytest.mark.parametrize(
        ("page", "sent"),
        [
            ("delete", {"post": "yes"}),
            ("change", {"is_active": []}),
            ("password", {"password1": "correct-horse", "password2": "correct-horse"}),
        ],
        ids=["delete", "deactivate", "password"],
    )
    def test_page_of_the_user_admin_with_the_mixin(self, page, sent, tokens, user, admin_client, settings, monkeypatch):
        class SiteUserAdmin(LogOutEverywhereMixin, UserAdmin):
            pass

        def fail(*_args, **_options):
            raise OperationalError("deadlock detected")

        monkeypatch.setattr(receivers, "revoke_users", fail)
        site = admin.AdminSite()
        site.register(get_user_model(), SiteUserAdmin)
        settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": [path("admin/", site.urls)]})
        address = f"{USERS}{user.pk}/{page}/"
        if page == "change":
            sent = fill_in(admin_client, address, **sent)
        former = get_user_model().objects.values().get(pk=user.pk)
        answer = admin_client.post(address, sent)
        assert (answer.status_code, answer["Location"]) == (302, address)
        assert BUSY in text_of(admin_client.get(address))
        assert get_user_model().objects.values().get(pk=user.pk) == former
        assert tokens.is_live()

    @pytest.mark.usefixtures("logout_deletes_tokens")
    @pytest.mark.parametrize("revoke", [on_the_page_of_tokens, by_logout])
    def test_page_of_a_user(self, revoke, tokens, user, client):
        client.force_login(user)
        answer = revoke(tokens, None, client)
        assert (answer.status_code, answer["Retry-After"]) == (503, "10")
        assert "Try again later." in answer.json()["error_description"]
        assert tokens.is_live()

    def test_other_errors_are_not_hidden(self, tokens, admin_client, monkeypatch):
        def fail(*_args, **_options):
            raise ZeroDivisionError

        monkeypatch.setattr(token_admin, "lock_authorizations", fail)
        with pytest.raises(ZeroDivisionError):
            by_admin_action("accesstoken")(tokens, admin_client, None)
