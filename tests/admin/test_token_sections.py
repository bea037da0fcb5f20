"""What the pages of a user and of a client show about tokens: APIs, live authorizations, and links that revoke them."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.urls import path, reverse
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from django_at_jwt.admin.dates import format_instant
from django_at_jwt.admin_mixins import LogOutEverywhereMixin
from django_at_jwt.authorization_server import activity
from django_at_jwt.models import Authorization, ClientOptions, ResourceServer
from django_at_jwt.models.authorization import reference_to
from django_at_jwt.models.instants import as_datetime
from tests.admin.pages import may, press_revoke, text_of
from tests.authorization_server.revocation.grants import entries, granted
from tests.conftest import captured_statements
from tests.people.models import Profile
from tests.settings import API, REPORTS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]

NO_ACCESS = "No client has access on behalf of this user."
BILLING = "https://billing.example.com/"


@pytest.fixture
def user_page(user):
    return reverse("admin:auth_user_change", args=[user.pk])


@pytest.fixture
def client_page(web):
    return reverse("admin:oauth2_provider_application_change", args=[web.application.pk])


@pytest.fixture
def revoke_page(tokens):
    return f"/admin/django_at_jwt/denylistentry/authorization/{tokens.authorization.identifier}/"


def shown(client, address, name="at-jwt-authorizations"):
    """Return the text of a section of a page, or ``None``."""
    page = client.get(address)
    assert page.status_code == 200
    found = re.search(rf'aria-labelledby="{name}">(.*?)</fieldset>', page.content.decode(), re.DOTALL)
    page.content = b"" if found is None else found[1].encode()
    return None if found is None else text_of(page)


def many_authorizations(user, client, number, **values):
    (user_model, user_key), (client_model, client_key) = reference_to(user), reference_to(client)
    later = timezone.now() + timedelta(hours=1)
    Authorization.objects.bulk_create(
        Authorization(
            **{
                "user_model": user_model,
                "user_key": user_key,
                "client_model": client_model,
                "client_key": client_key,
                "expires_at": later,
                "tokens_expire_at": later,
                **values,
            }
        )
        for _ in range(number)
    )


class TestUserPage:
    def test_shows_client_api_login_and_last_token(self, tokens, user_page, client_page, admin_client):
        row = tokens.authorization
        row.authentication = {"authenticated_at": 1_800_000_000, "methods": ["pwd", "otp"], "context": None}
        row.save()
        text = shown(admin_client, user_page)
        login, last = format_instant(as_datetime(1_800_000_000)), format_instant(row.last_token_at)
        assert f"authorization-code client {API} {login} (pwd, otp) {last} Revoke…" in text
        assert f'href="{client_page}"' in admin_client.get(user_page).content.decode()

    def test_shows_the_names_of_apis(self, web, user, user_page, admin_client):
        granted(web, web.code_flow(user, scope="reports:read"))
        assert "authorization-code client Reports" in shown(admin_client, user_page)

    def test_shows_no_token(self, tokens, user_page, admin_client):
        page = admin_client.get(user_page).content.decode()
        assert tokens.response["access_token"][-20:] not in page
        assert tokens.response["refresh_token"] not in page

    def test_without_authorizations(self, user_page, admin_client):
        assert NO_ACCESS in shown(admin_client, user_page)

    def test_authorization_that_has_ended_is_not_live(self, tokens, user_page, admin_client):
        Authorization.objects.update(ended_at=timezone.now())
        assert NO_ACCESS in shown(admin_client, user_page)

    def test_authorization_lives_by_its_refresh_token(self, tokens, user_page, admin_client):
        before = timezone.now() - timedelta(days=1)
        Authorization.objects.update(tokens_expire_at=before, expires_at=before)
        get_access_token_model().objects.update(expires=before)
        assert "authorization-code client" in shown(admin_client, user_page)
        get_refresh_token_model().objects.update(revoked=timezone.now())
        assert NO_ACCESS in shown(admin_client, user_page)

    def test_authorization_of_another_user_is_not_shown(self, tokens, admin_client, django_user_model):
        bob = django_user_model.objects.create_user("bob")
        assert NO_ACCESS in shown(admin_client, reverse("admin:auth_user_change", args=[bob.pk]))

    def test_deleted_client_has_no_link(self, tokens, user_page, admin_client):
        Authorization.objects.update(client_key="999999")
        assert "(deleted client)" in shown(admin_client, user_page)

    def test_is_not_on_the_page_of_a_new_user(self, admin_client):
        assert shown(admin_client, reverse("admin:auth_user_add")) is None

    def test_shows_the_latest_hundred(self, web, user, user_page, admin_client, monkeypatch):
        many_authorizations(user, web.application, 103)
        text = shown(admin_client, user_page)
        assert "The latest 100 of 103 are shown." in text
        assert text.count("Revoke…") == 100
        monkeypatch.setattr(activity, "MOST_EXAMINED", 102)
        assert "The latest 100 of 102+ are shown." in shown(admin_client, user_page)

    def test_statements_do_not_grow_with_authorizations(self, web, user, user_page, admin_client):
        numbers = []
        admin_client.get(user_page)
        for added in (1, 20):
            many_authorizations(user, web.application, added)
            with captured_statements() as statements:
                admin_client.get(user_page)
            numbers.append(len(statements))
        assert numbers[0] == numbers[1]

    def test_sections_and_links_need_permissions(self, tokens, user_page, revoke_page, client_page, client, staff):
        may(staff, "view_user")
        assert shown(client, user_page) is None
        may(staff, "view_authorization")
        assert "authorization-code client" in shown(client, user_page)
        page = client.get(user_page).content.decode()
        assert revoke_page not in page
        assert client_page not in page
        may(staff, "view_application", "revoke_tokens")
        page = client.get(user_page).content.decode()
        assert revoke_page in page
        assert client_page in page

    def test_site_without_this_apps_pages(self, tokens, user, client, admin_user, settings):
        other = admin.AdminSite("other")

        class SiteUserAdmin(LogOutEverywhereMixin, UserAdmin):
            pass

        other.register(get_user_model(), SiteUserAdmin)
        settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": [path("other/", other.urls)]})
        client.force_login(admin_user)
        text = shown(client, f"/other/auth/user/{user.pk}/change/")
        assert "authorization-code client" in text
        assert "Revoke…" not in text

    def test_user_model_of_the_site_needs_no_template(self, user, client, admin_user, settings):
        class SiteUserAdmin(LogOutEverywhereMixin, admin.ModelAdmin):
            fields = ("badge",)

        profile = Profile.objects.create(user=user)
        client.force_login(admin_user)
        admin.site.register(Profile, SiteUserAdmin)
        try:
            settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": [path("admin/", admin.site.urls)]})
            page = client.get(f"/admin/people/profile/{profile.pk}/change/").content.decode()
        finally:
            admin.site.unregister(Profile)
        assert "Log out everywhere…" in page
        assert "Preview access token" in page

    def test_project_without_the_toolkit(self, tokens, user_page, client_page, admin_client, monkeypatch):
        monkeypatch.setattr("django_at_jwt.templatetags.at_jwt_admin.has_issuer_tables", lambda: False)
        assert shown(admin_client, user_page) is None
        assert shown(admin_client, client_page, "at-jwt-apis") is None


class TestRevokeAuthorization:
    def test_shows_the_counts_before_it_revokes(self, tokens, user, user_page, revoke_page, admin_client):
        page = admin_client.get(revoke_page)
        text = text_of(page)
        assert f"alice at authorization-code client {tokens.authorization.identifier}" in text
        assert "Live authorizations 1 Live access tokens 1 Refresh tokens 1" in text
        assert tokens.is_live()
        answer = press_revoke(admin_client, page)
        assert answer.redirect_chain == [(user_page, 302)]
        assert "The authorization has ended." in text_of(answer)
        assert entries() == [("authorization", tokens.authorization.identifier)]
        assert not tokens.is_live()
        entry = LogEntry.objects.get()
        assert (entry.object_id, entry.change_message) == (str(user.pk), "An authorization was revoked.")

    def test_second_revocation_changes_nothing(self, tokens, revoke_page, admin_client):
        for _ in range(2):
            assert admin_client.post(revoke_page, {"_revoke": "Revoke"}).status_code == 302
        assert len(entries()) == LogEntry.objects.count() == 1

    def test_leaves_other_authorizations(self, tokens, web, user, revoke_page, admin_client):
        other = granted(web, web.code_flow(user))
        admin_client.post(revoke_page, {"_revoke": "Revoke"})
        assert other.is_live()

    @pytest.mark.parametrize("identifier", ["0" * 32, "x", "%00"])
    def test_that_does_not_exist(self, identifier, admin_client):
        address = f"/admin/django_at_jwt/denylistentry/authorization/{identifier}/"
        assert admin_client.get(address).status_code == 404

    def test_of_a_user_of_another_model(self, tokens, revoke_page, admin_client):
        Authorization.objects.update(user_model="people.Person")
        assert admin_client.get(revoke_page).status_code == 404

    @pytest.mark.parametrize(
        ("names", "status"),
        [
            (["view_user", "view_authorization"], 403),
            (["view_user", "revoke_tokens"], 403),
            (["view_authorization", "revoke_tokens"], 404),
            (["view_user", "view_authorization", "revoke_tokens"], 200),
        ],
    )
    def test_page_needs_permissions(self, names, status, tokens, revoke_page, client, staff):
        may(staff, *names)
        assert client.get(revoke_page).status_code == status
        if status != 200:
            assert client.post(revoke_page, {"_revoke": "x"}).status_code == status
            assert tokens.is_live()


class TestClientPage:
    def test_shows_apis_of_settings_and_rows(self, web, client_page, admin_client):
        row = ResourceServer.objects.create(
            identifier=BILLING,
            name="Billing",
            scopes=["write"],
            clients=[web.application.client_id],
            lifetime=300,
            token_format="opaque",
            isolated=True,
        )
        text = shown(admin_client, client_page, "at-jwt-apis")
        assert (
            f"Billing {BILLING} lists this client isolated: must be requested by name write opaque 5 minutes "
            f"Reports {REPORTS} open to all clients, by the settings reports:read at+jwt ES256 1 hour "
            f"{API} open to all clients, by the settings default if none is requested read at+jwt ES256 1 hour"
        ) in text
        address = reverse("admin:django_at_jwt_resourceserver_change", args=[row.pk])
        assert f'href="{address}"' in admin_client.get(client_page).content.decode()

    def test_hides_apis_that_it_may_not_use(self, web, client_page, admin_client):
        ResourceServer.objects.create(identifier=BILLING, name="Billing", clients=["another client"])
        ResourceServer.objects.create(identifier=f"{BILLING}off/", name="Off", open_to_all_clients=True, enabled=False)
        text = shown(admin_client, client_page, "at-jwt-apis")
        assert "Reports" in text
        assert "Billing" not in text
        assert "Off" not in text

    def test_shows_the_format_that_the_client_gets(self, web, client_page, admin_client):
        """An isolated API keeps its format."""
        ResourceServer.objects.create(identifier=BILLING, scopes=["write"], open_to_all_clients=True, isolated=True)
        model, key = reference_to(web.application)
        ClientOptions.objects.create(client_model=model, client_key=key, token_format="opaque")
        text = shown(admin_client, client_page, "at-jwt-apis")
        assert "reports:read opaque 1 hour" in text
        assert "isolated: must be requested by name write at+jwt ES256 1 hour" in text

    def test_without_an_api(self, client_page, admin_client, settings):
        settings.AT_JWT = {"SIGNING_ALGORITHMS": ["ES256"], "DEFAULT_RESOURCE": API}
        settings.AT_JWT["RESOURCE_SERVERS"] = {API: {"clients": []}}
        assert "No API is open to this client" in shown(admin_client, client_page, "at-jwt-apis")

    def test_shows_tokens(self, tokens, client_page, admin_client):
        created = get_access_token_model().objects.get().created
        text = shown(admin_client, client_page, "at-jwt-tokens")
        assert f"Last token {format_instant(created)} Live access tokens 1 Live authorizations 1" in text
        Authorization.objects.update(ended_at=timezone.now())
        get_access_token_model().objects.update(expires=timezone.now())
        text = shown(admin_client, client_page, "at-jwt-tokens")
        assert f"Last token {format_instant(created)} Live access tokens 0 Live authorizations 0" in text

    def test_last_token_is_known_after_its_row_was_deleted(self, tokens, client_page, admin_client):
        get_refresh_token_model().objects.update(access_token=None)
        get_access_token_model().objects.all()._raw_delete("default")
        last = format_instant(tokens.authorization.last_token_at)
        assert f"Last token {last}" in shown(admin_client, client_page, "at-jwt-tokens")

    def test_shows_tokens_of_a_client_that_acts_for_itself(self, service, admin_client):
        address = reverse("admin:oauth2_provider_application_change", args=[service.application.pk])
        text = "Last token (none stored) Live access tokens 0 Live authorizations 0"
        assert text in shown(admin_client, address, "at-jwt-tokens")
        granted(service, service.token("client_credentials", scope="read"))
        text = shown(admin_client, address, "at-jwt-tokens")
        assert "(none stored)" not in text
        assert "Live access tokens 1 Live authorizations 0" in text

    def test_counts_at_most_the_latest_rows(self, tokens, web, user, client_page, admin_client, monkeypatch):
        monkeypatch.setattr(activity, "MOST_EXAMINED", 2)
        many_authorizations(user, web.application, 2)
        text = shown(admin_client, client_page, "at-jwt-tokens")
        assert "or later Live access tokens 1 Live authorizations 2+ “+” means “at least”. Only" in text
        for _ in range(2):
            granted(web, web.code_flow(user))
        text = shown(admin_client, client_page, "at-jwt-tokens")
        assert "Live access tokens 2+ Live authorizations 2+" in text

    def test_thousands_are_grouped(self, web, user, client_page, admin_client):
        many_authorizations(user, web.application, 1001)
        assert "Live authorizations 1,000+" in shown(admin_client, client_page, "at-jwt-tokens")

    def test_statements_do_not_grow_with_tokens(self, web, user, client_page, admin_client):
        numbers = []
        admin_client.get(client_page)
        for added in (1, 20):
            many_authorizations(user, web.application, added)
            granted(web, web.code_flow(user))
            with captured_statements() as statements:
                admin_client.get(client_page)
            numbers.append(len(statements))
        assert numbers[0] == numbers[1]

    def test_sections_need_permissions(self, tokens, client_page, client, staff):
        may(staff, "view_application")
        for name in ("at-jwt-apis", "at-jwt-tokens"):
            assert shown(client, client_page, name) is None
        may(staff, "view_resourceserver")
        assert shown(client, client_page, "at-jwt-apis") is not None
        assert shown(client, client_page, "at-jwt-tokens") is None
        may(staff, "view_authorization")
        assert shown(client, client_page, "at-jwt-tokens") is not None

    def test_links_to_preview_and_revoke(self, web, client_page, admin_client):
        page = admin_client.get(client_page).content.decode()
        assert f'href="/admin/django_at_jwt/tokenpreview/?client={web.application.pk}"' in page
        assert f'href="/admin/django_at_jwt/denylistentry/client/{web.application.pk}/"' in page

    def test_is_not_on_the_page_of_a_new_client(self, admin_client):
        assert shown(admin_client, reverse("admin:oauth2_provider_application_add"), "at-jwt-apis") is None
