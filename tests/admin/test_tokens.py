"""DOT's tokens in the admin: they are found by ``jti``, their page shows it, and revoking needs a permission."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone
from oauth2_provider.models import get_access_token_model

from django_at_jwt.models import Authorization
from tests.admin.pages import fields_of, may, press_revoke, text_of
from tests.authorization_server.revocation.grants import entries, granted
from tests.links import forget_links

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("keys_made_quickly", "signing_keys")]

LISTS = {name: f"/admin/oauth2_provider/{name}/" for name in ("accesstoken", "refreshtoken")}
REVOKE = "/admin/django_at_jwt/denylistentry/add/"


@pytest.fixture
def other(web, user, signing_keys, tokens):
    return granted(web, web.code_flow(user))


def found(client, term):
    page = client.get(LISTS["accesstoken"], {"q": term})
    assert page.status_code == 200
    return [row.pk for row in page.context["cl"].result_list]


def page_of(tokens):
    return reverse("admin:oauth2_provider_accesstoken_change", args=[tokens.access_token.pk])


class TestSearch:
    def test_by_jti(self, tokens, other, admin_client):
        assert found(admin_client, f" {tokens.token_id} ") == [tokens.access_token.pk]

    def test_by_authorization(self, tokens, other, admin_client):
        identifier = tokens.authorization.identifier
        assert found(admin_client, identifier) == [tokens.access_token.pk]
        newer = granted(tokens.client, tokens.refresh())
        assert newer.access_token.pk in found(admin_client, identifier)
        assert other.access_token.pk not in found(admin_client, identifier)

    def test_by_client_as_before(self, tokens, service, admin_client):
        granted(service, service.token("client_credentials"))
        assert found(admin_client, tokens.client.application.client_id) == [tokens.access_token.pk]

    @pytest.mark.parametrize("term", ["0" * 32, f"{'0' * 32}.{'1' * 32}.1", "☃", "x" * 5000, "%"])
    def test_unknown_term_finds_nothing(self, term, tokens, admin_client):
        assert found(admin_client, term) == []

    def test_machine_token(self, service, tokens, admin_client):
        own = granted(service, service.token("client_credentials"))
        assert found(admin_client, own.token_id) == [own.access_token.pk]

    def test_is_explained(self, admin_client):
        assert "A jti, the identifier of an authorization" in text_of(admin_client.get(LISTS["accesstoken"]))


class TestPage:
    def test_shows_the_jti_and_no_token(self, tokens, admin_client):
        page = admin_client.get(page_of(tokens))
        assert tokens.token_id in text_of(page)
        assert tokens.response["access_token"] not in page.content.decode()
        assert tokens.response["access_token"].rpartition(".")[2] not in page.content.decode()

    def test_token_without_a_link(self, tokens, admin_client):
        forget_links()
        page = admin_client.get(page_of(tokens))
        assert "Token ID (jti): -" in text_of(page)
        assert f"{REVOKE}?" not in page.content.decode()

    def test_leads_to_the_revocation(self, tokens, admin_client):
        address = f"{REVOKE}?token_id={tokens.token_id}"
        assert f'href="{address}"' in admin_client.get(page_of(tokens)).content.decode()
        page = admin_client.get(address)
        assert fields_of(page)["token_id"] == [tokens.token_id]
        assert "The token and the refresh token issued with it are revoked." in text_of(page)
        assert entries() == []
        press_revoke(admin_client, page)
        assert entries() == [("token", tokens.token_id), ("authorization", tokens.authorization.identifier)]
        assert f"{REVOKE}?" not in admin_client.get(page_of(tokens)).content.decode()

    def test_link_needs_the_permission(self, tokens, client, staff):
        may(staff, "view_accesstoken")
        assert f"{REVOKE}?" not in client.get(page_of(tokens)).content.decode()
        may(staff, "revoke_tokens")
        assert f"{REVOKE}?" in client.get(page_of(tokens)).content.decode()


class TestAction:
    @pytest.fixture(params=LISTS)
    def press(self, request, tokens):
        row = tokens.access_token if request.param == "accesstoken" else tokens.refresh_token
        sent = {"action": "revoke_tokens", "_selected_action": [row.pk]}

        def press(client):
            return client.post(LISTS[request.param], sent, follow=True)

        press.name = request.param
        return press

    def test_ends_the_authorization(self, press, tokens, other, admin_client):
        assert "Revoked 1" in text_of(press(admin_client))
        assert entries() == [("authorization", tokens.authorization.identifier)]
        assert other.is_live()

    @pytest.mark.parametrize("permission", ["revoke_tokens", "change_accesstoken", "change_refreshtoken"])
    def test_viewing_is_not_enough(self, permission, press, tokens, client, staff):
        may(staff, f"view_{press.name}")
        press(client)
        assert tokens.is_live()
        may(staff, permission)
        press(client)
        suffices = permission in {"revoke_tokens", f"change_{press.name}"}
        assert tokens.is_live() is not suffices

    def test_token_without_an_authorization(self, service, admin_client):
        own = granted(service, service.token("client_credentials"))
        sent = {"action": "revoke_tokens", "_selected_action": [own.access_token.pk]}
        assert "Revoked 1" in text_of(admin_client.post(LISTS["accesstoken"], sent, follow=True))
        assert entries() == [("token", own.token_id)]

    def test_refresh_token_that_was_replaced(self, tokens, admin_client):
        newer = granted(tokens.client, tokens.refresh())
        sent = {"action": "revoke_tokens", "_selected_action": [tokens.refresh_token.pk]}
        admin_client.post(LISTS["refreshtoken"], sent)
        assert newer.is_live()
        assert Authorization.objects.get().ended_at is None
        assert get_access_token_model().objects.filter(expires__gt=timezone.now()).exists()
