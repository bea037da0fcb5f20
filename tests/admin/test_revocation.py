"""Revocation in the admin: "Log out everywhere", "Revoke all tokens", by ``jti``, and the list of entries."""

from __future__ import annotations

import re
import shlex
from html import unescape

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import AbstractRefreshToken, get_application_model, get_refresh_token_model

from django_at_jwt.admin.dates import format_instant
from django_at_jwt.admin.revocation import pages as revocation_pages
from django_at_jwt.admin_mixins import LogOutEverywhereMixin
from django_at_jwt.models import Authorization, DenyListEntry
from django_at_jwt.models.authorization import EndReason
from tests.admin.pages import fill_in, may, press_revoke, text_of
from tests.authorization_server.revocation.grants import entries, granted
from tests.conftest import decoded

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]

LIST = "/admin/django_at_jwt/denylistentry/"
USERS, CLIENTS = "/admin/auth/user/", "/admin/oauth2_provider/application/"
NAMES = ("user", "client")


@pytest.fixture
def page_of(tokens, user):
    """The address of the page that revokes the tokens of a user or a client."""
    return {"user": f"{LIST}user/{user.pk}/", "client": f"{LIST}client/{tokens.client.application.pk}/"}


class TestUserAndClient:
    @pytest.mark.parametrize("kind", NAMES)
    def test_shows_the_counts_before_it_revokes(self, kind, page_of, tokens, admin_client):
        page = admin_client.get(page_of[kind])
        assert "Live authorizations 1 Live access tokens 1 Refresh tokens 1" in text_of(page)
        assert f"this {kind}" in text_of(page)
        assert ("The user stays logged in to this site" in text_of(page)) == (kind == "user")
        assert entries() == []
        assert tokens.is_live()
        answer = press_revoke(admin_client, page)
        assert answer.redirect_chain[0][0] in {
            f"{USERS}{tokens.access_token.user_id}/change/",
            f"{CLIENTS}{tokens.client.application.pk}/change/",
        }
        assert "1 authorization has ended." in text_of(answer)
        assert len(entries()) == 1
        assert not tokens.is_live()

    @pytest.mark.parametrize(
        ("kind", "said"),
        [("user", "Logged out everywhere: all tokens were revoked."), ("client", "All tokens were revoked.")],
    )
    def test_is_recorded_in_the_history(self, kind, said, page_of, tokens, user, admin_client):
        press_revoke(admin_client, admin_client.get(page_of[kind]))
        row = user if kind == "user" else tokens.client.application
        entry = LogEntry.objects.get()
        assert (entry.object_id, entry.change_message) == (str(row.pk), said)

    @pytest.mark.parametrize("kind", NAMES)
    def test_is_linked_from_the_row(self, kind, page_of, tokens, user, admin_client):
        rows = {"user": f"{USERS}{user.pk}/change/", "client": f"{CLIENTS}{tokens.client.application.pk}/change/"}
        assert f'href="{page_of[kind]}"' in admin_client.get(rows[kind]).content.decode()

    @pytest.mark.parametrize("kind", NAMES)
    def test_pages_need_the_permission_to_revoke(self, kind, page_of, tokens, user, client, staff):
        rows = {"user": f"{USERS}{user.pk}/change/", "client": f"{CLIENTS}{tokens.client.application.pk}/change/"}
        may(staff, "view_user", "view_application")
        assert client.get(page_of[kind]).status_code == 403
        assert client.post(page_of[kind], {"_revoke": "x"}).status_code == 403
        assert page_of[kind] not in client.get(rows[kind]).content.decode()
        may(staff, "revoke_tokens")
        assert page_of[kind] in client.get(rows[kind]).content.decode()
        assert client.get(page_of[kind]).status_code == 200
        staff.user_permissions.set(Permission.objects.filter(codename="revoke_tokens"))
        assert client.get(page_of[kind]).status_code == 404
        assert entries() == []

    @pytest.mark.parametrize("address", [f"{LIST}user/99999/", f"{LIST}client/99999/", f"{LIST}user/x/"])
    def test_row_that_does_not_exist(self, address, admin_client):
        assert admin_client.get(address).status_code == 404

    def test_action_on_clients(self, tokens, service, admin_client):
        clients = get_application_model().objects.order_by("pk")
        action = {"action": "revoke_client_tokens", "_selected_action": [each.pk for each in clients]}
        page = admin_client.post(CLIENTS, action)
        assert "Live authorizations 1" in text_of(page)
        assert "All tokens issued to these clients until now are revoked" in text_of(page)
        assert f"client-credentials client ({service.application.client_id})" in text_of(page)
        assert entries() == []
        answer = press_revoke(admin_client, page)
        assert answer.redirect_chain[0][0] == CLIENTS
        assert {value for _, value in entries()} == {each.client_id for each in clients}
        assert LogEntry.objects.count() == 2

    def test_action_on_users(self, tokens, user, admin_user, rf):
        class SiteUserAdmin(LogOutEverywhereMixin, UserAdmin):
            pass

        page_admin = SiteUserAdmin(get_user_model(), admin.site)
        request = rf.post(USERS, {"_selected_action": [user.pk], "action": "log_out_everywhere"})
        request.user = admin_user
        assert "log_out_everywhere" in page_admin.get_actions(request)
        page = page_admin.log_out_everywhere(request, get_user_model().objects.filter(pk=user.pk)).render()
        assert "Live authorizations 1" in text_of(page)
        assert 'name="action" value="log_out_everywhere"' in page.content.decode()
        request.user = get_user_model().objects.create_user("staff", is_staff=True)
        assert "log_out_everywhere" not in page_admin.get_actions(request)

    def test_own_revoke_of_many_is_left_to_the_command(self, page_of, tokens, user, admin_client, monkeypatch):
        monkeypatch.setattr(revocation_pages, "_MOST_ONE_BY_ONE", 0)

        def own_revoke(token):
            AbstractRefreshToken.revoke(token)

        monkeypatch.setattr(get_refresh_token_model(), "revoke", own_revoke)
        commands = {"user": f"--user={user.pk}", "client": f"--client={tokens.client.application.client_id}"}
        for kind, option in commands.items():
            page = admin_client.get(page_of[kind])
            assert f"Run: manage.py revoke_tokens {option}" in text_of(page)
            assert 'name="_revoke"' not in page.content.decode()
            admin_client.post(page_of[kind], {"_revoke": "Revoke"})
        assert entries() == []
        assert tokens.is_live()

    @pytest.mark.parametrize("client_id", ["-dashboard", "--a client's"])
    def test_command_for_a_client_id_that_looks_like_an_option(
        self, client_id, page_of, tokens, admin_client, monkeypatch
    ):
        get_application_model().objects.filter(pk=tokens.client.application.pk).update(client_id=client_id)
        monkeypatch.setattr(revocation_pages, "_is_left_to_commands", lambda _counts: True)
        page = unescape(admin_client.get(page_of["client"]).content.decode())
        command = re.search(r"manage\.py (revoke_tokens [^<]+)<", page)[1]
        call_command(*shlex.split(command), "--dry-run")
        call_command(*shlex.split(command))
        assert not tokens.is_live()

    def test_own_revoke_of_few_is_called(self, page_of, tokens, admin_client, monkeypatch):
        called = []

        def own_revoke(token):
            called.append(token.pk)
            AbstractRefreshToken.revoke(token)

        monkeypatch.setattr(get_refresh_token_model(), "revoke", own_revoke)
        press_revoke(admin_client, admin_client.get(page_of["user"]))
        assert called == [tokens.refresh_token.pk]


class TestTokenId:
    def test_shows_the_token_before_it_revokes(self, tokens, admin_client):
        page = admin_client.post(f"{LIST}add/", {"token_id": f" {tokens.token_id} "})
        assert tokens.token_id in text_of(page)
        assert "Live access tokens 1 Refresh tokens 1" in text_of(page)
        assert entries() == []
        answer = press_revoke(admin_client, page)
        assert answer.redirect_chain == [(LIST, 302)]
        assert "The token was revoked." in text_of(answer)
        assert entries() == [("token", tokens.token_id), ("authorization", tokens.authorization.identifier)]
        assert not tokens.is_live()
        entry = LogEntry.objects.get()
        assert (entry.object_id, entry.change_message) == (
            str(DenyListEntry.objects.get(kind="token").pk),
            "Revoked by its jti.",
        )

    def test_shows_whose_token_it_is(self, tokens, user, service, settings, client, staff):
        def shown(token_id):
            return text_of(client.get(f"{LIST}add/", {"token_id": token_id}))

        may(staff, "revoke_tokens", "view_authorization", "view_user", "view_application")
        assert f"{tokens.token_id} alice at authorization-code client API: {settings.API}" in shown(tokens.token_id)
        own = granted(service, service.token("client_credentials", scope="reports:read", resource=settings.REPORTS))
        assert f"{own.token_id} client-credentials client (acts for itself) API: Reports" in shown(own.token_id)

        settings.AT_JWT = {**settings.AT_JWT, "STORE_ACCESS_TOKENS": False}
        answers = tokens.client.code_flow(user), service.token("client_credentials")
        users, clients = (decoded(each.json()["access_token"])[1]["jti"] for each in answers)
        assert f"{users} alice at authorization-code client" in shown(users)
        # Nothing is stored about it.
        assert f"{clients} Live access tokens 1" in shown(clients)

    @pytest.mark.parametrize("missing", ["view_authorization", "view_user"])
    def test_hides_whose_token_it_is_without_the_permission(self, missing, tokens, user, settings, client, staff):
        may(staff, *{"revoke_tokens", "view_authorization", "view_user", "view_application"} - {missing})
        settings.AT_JWT = {**settings.AT_JWT, "STORE_ACCESS_TOKENS": False}
        answer = tokens.client.code_flow(user)
        for token_id in (tokens.token_id, decoded(answer.json()["access_token"])[1]["jti"]):
            page = text_of(client.get(f"{LIST}add/", {"token_id": token_id}))
            assert f"{token_id} Live access tokens" in page
            assert "alice" not in page
            assert "authorization-code client" not in page

    def test_takes_the_jti_out_of_a_token(self, tokens, admin_client):
        token = tokens.response["access_token"]
        page = admin_client.post(f"{LIST}add/", {"token_id": f"Bearer {token}\n"})
        assert "Live access tokens 1 Refresh tokens 1" in text_of(page)
        assert token not in page.content.decode()
        press_revoke(admin_client, page)
        assert not tokens.is_live()
        page = admin_client.post(f"{LIST}add/", {"token_id": token})
        assert "This token has expired or was revoked before." in text_of(page)
        assert token not in page.content.decode()

    @pytest.mark.parametrize("pasted", ["opaque-secret", "eyJhbGciOiJFUzI1NiJ9.eyJqdGki"])
    def test_does_not_show_an_opaque_or_incomplete_token(self, pasted, admin_client):
        page = admin_client.post(f"{LIST}add/", {"token_id": pasted})
        assert "No token with this jti is stored." in text_of(page)
        assert pasted not in page.content.decode()

    def test_shows_a_mistyped_jti_again(self, admin_client):
        unknown = f"{'0' * 32}.{'1' * 32}.1"
        page = admin_client.post(f"{LIST}add/", {"token_id": unknown})
        assert f'value="{unknown}"' in page.content.decode()

    def test_without_the_permission_to_view_the_list(self, tokens, client, staff):
        may(staff, "revoke_tokens")
        page = client.get(f"{LIST}add/")
        assert f'href="{LIST}"' not in page.content.decode()
        answer = press_revoke(client, client.post(f"{LIST}add/", {"token_id": tokens.token_id}))
        assert answer.redirect_chain == [("/admin/", 302)]
        assert "The token was revoked." in text_of(answer)

    def test_user_has_no_live_authorization_if_it_was_the_only_token(self, tokens, user, admin_client):
        press_revoke(admin_client, admin_client.post(f"{LIST}add/", {"token_id": tokens.token_id}))
        page = admin_client.get(f"{USERS}{user.pk}/change/")
        assert "No client has access on behalf of this user." in text_of(page)

    def test_help_is_where_the_forms_of_this_version_of_django_have_it(self, admin_client):
        pages = {"token_id": f"{LIST}add/", "name": "/admin/django_at_jwt/resourceserver/add/"}
        order = set()
        for name, address in pages.items():
            text = admin_client.get(address).content.decode()
            order.add(text.index(f'id="id_{name}_helptext"') < text.index(f'name="{name}"'))
        assert len(order) == 1

    def test_second_revocation_is_refused(self, tokens, admin_client):
        page = admin_client.post(f"{LIST}add/", {"token_id": tokens.token_id})
        press_revoke(admin_client, page)
        assert "This token has expired or was revoked before." in text_of(press_revoke(admin_client, page))
        assert (len(entries()), LogEntry.objects.count()) == (2, 1)

    @pytest.mark.parametrize("token_id", ["0" * 32, "é", "x" * 5000, "'\"<script>"])
    def test_that_never_existed(self, token_id, admin_client):
        page = admin_client.post(f"{LIST}add/", {"token_id": token_id})
        assert "No token with this jti is stored." in text_of(page)
        text = page.content.decode()
        assert "<title>Error: " in text
        assert '<p class="errornote">Please correct the error below.</p>' in text
        assert '<ul class="errorlist" id="id_token_id_error"' in text
        assert 'aria-describedby="id_token_id_helptext id_token_id_error"' in text
        assert 'id="id_token_id_helptext"' in text
        assert "<script>" not in page.content.decode().partition('class="at-jwt-revocation"')[2]
        assert not LogEntry.objects.exists()

    def test_is_reached_from_the_index(self, admin_client):
        assert f'href="{LIST}add/"' in admin_client.get("/admin/").content.decode()
        assert f'href="{LIST}add/"' in admin_client.get(LIST).content.decode()

    def test_page_needs_the_permission_to_revoke(self, tokens, client, staff):
        may(staff, "view_denylistentry")
        assert client.get(LIST).status_code == 200
        assert f"{LIST}add/" not in client.get(LIST).content.decode()
        assert client.get(f"{LIST}add/").status_code == 403
        assert client.post(f"{LIST}add/", {"token_id": tokens.token_id, "_revoke": "x"}).status_code == 403
        assert entries() == []


class TestList:
    @pytest.fixture
    def entry(self, user, tokens):
        user.is_active = False
        user.save()
        return DenyListEntry.objects.get()

    def test_empty_list_says_what_it_is_for(self, entry, admin_client):
        said = "The deny list is empty: no unexpired access token is revoked."
        assert said not in text_of(admin_client.get(LIST))
        entry.delete()
        assert said in text_of(admin_client.get(LIST))

    def test_shows_entries(self, entry, admin_client):
        page = text_of(admin_client.get(LIST))
        assert entry.value in page
        assert "the user was deactivated" in page
        assert format_instant(entry.expires_at) in page

    def test_search_and_filters(self, entry, tokens, admin_client):
        assert entry.value in text_of(admin_client.get(LIST, {"q": entry.value}))
        assert "0 deny list entries" in text_of(admin_client.get(LIST, {"q": tokens.token_id}))
        assert entry.value in text_of(admin_client.get(LIST, {"kind__exact": "authorization"}))
        assert entry.value not in text_of(admin_client.get(LIST, {"kind__exact": "client"}))
        assert entry.value in text_of(admin_client.get(LIST, {"reason": EndReason.USER_DEACTIVATED}))

    def test_nothing_can_be_changed(self, entry, admin_client):
        assert admin_client.get(f"{LIST}{entry.pk}/change/").status_code == 200
        assert admin_client.post(f"{LIST}{entry.pk}/change/", {"value": "x"}).status_code == 403
        assert admin_client.post(f"{LIST}{entry.pk}/delete/", {"post": "yes"}).status_code == 403
        admin_client.post(LIST, {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"})
        entry.refresh_from_db()

    def test_list_needs_a_permission(self, entry, client, staff):
        assert client.get(LIST).status_code == 403


class TestNewSecret:
    """A new secret revokes nothing, unless that is ticked."""

    @pytest.fixture
    def own_page(self, tokens, user):
        get_application_model().objects.filter(pk=tokens.client.application.pk).update(user=user)
        browser = Client()
        browser.force_login(user)
        return browser, f"/o/applications/{tokens.client.application.pk}/update/"

    @pytest.fixture
    def admin_page(self, tokens, admin_client):
        return admin_client, f"{CLIENTS}{tokens.client.application.pk}/change/"

    @pytest.mark.parametrize("ticked", [False, True])
    @pytest.mark.parametrize("name", ["own_page", "admin_page"])
    def test_on_the_page_of_the_client(self, name, ticked, tokens, request):
        browser, address = request.getfixturevalue(name)
        assert "Revoke all tokens of this client" in text_of(browser.get(address))
        before = get_application_model().objects.get(pk=tokens.client.application.pk).client_secret
        tick = {"revoke_tokens": "on"} if ticked else {}
        sent = fill_in(browser, address, client_secret="another secret", **tick)
        answer = browser.post(address, sent)
        assert answer.status_code == 302, text_of(answer)
        client = get_application_model().objects.get(pk=tokens.client.application.pk)
        assert client.client_secret != before
        assert entries() == ([("client", client.client_id)] if ticked else [])
        assert tokens.is_live() is not ticked
        assert Authorization.objects.get(pk=tokens.authorization.pk).ended_at is None or ticked

    def test_history_and_permission(self, tokens, admin_page, client, staff):
        browser, address = admin_page
        answer = browser.post(address, fill_in(browser, address, revoke_tokens="on"), follow=True)
        assert "The tokens were revoked. 1 authorization has ended." in text_of(answer)
        assert "All tokens were revoked." in {entry.change_message for entry in LogEntry.objects.all()}
        DenyListEntry.objects.all().delete()
        may(staff, "view_application", "change_application")
        client.force_login(staff)
        assert "Revoke all tokens" not in text_of(client.get(address))
        assert client.post(address, {**fill_in(client, address), "revoke_tokens": "on"}).status_code == 302
        assert entries() == []

    def test_is_not_on_the_page_of_a_new_client(self, admin_client):
        assert "Revoke all tokens" not in text_of(admin_client.get(f"{CLIENTS}add/"))


def test_every_date_has_one_format(admin_client, settings, tokens):
    settings.TIME_ZONE = "Pacific/Auckland"
    DenyListEntry.objects.create(
        kind="client", value="x", issued_until=timezone.now(), expires_at=timezone.now(), reason="x"
    )
    for address in (LIST, f"{LIST}{DenyListEntry.objects.get().pk}/change/"):
        assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d NZ[SD]T", text_of(admin_client.get(address)))
