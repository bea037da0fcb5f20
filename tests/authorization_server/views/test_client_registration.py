"""Who may register clients, and with which redirect URIs."""

from __future__ import annotations

import io
import json

import pytest
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from oauth2_provider.models import get_application_model

from tests.site.registration import OPEN_REGISTRATION

pytestmark = pytest.mark.django_db

FORM = {
    "name": "Mine",
    "client_id": "mine",
    "client_secret": "secret",
    "client_type": "confidential",
    "authorization_grant_type": "authorization-code",
    "redirect_uris": "https://client.example.com/callback",
    "algorithm": "",
}
WITH_USER = [
    "https://user@client.example.com/",
    "https://user:hidden-word@client.example.com/",
    "https://@client.example.com/",
    "https://good.example.com:443@client.example.com/callback",
    "https://good.example.com\\@client.example.com/callback",
    "https://fine.example.com/ https://user@client.example.com/",
]


@pytest.fixture
def browser(user):
    browser = Client()
    browser.force_login(user)
    return browser


def applications():
    return get_application_model().objects


@pytest.fixture
def registers_itself(settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPEN_REGISTRATION}
    return settings


class TestSelfRegistration:
    address = "/o/applications/register/"

    def test_needs_the_permission(self, browser, user):
        assert reverse("oauth2_provider:register") == self.address
        for answer in (browser.get(self.address), browser.post(self.address, FORM)):
            assert answer.status_code == 403
        assert not applications().exists()
        user.user_permissions.add(Permission.objects.get(codename="add_application"))
        assert browser.get(self.address).status_code == 200
        assert browser.post(self.address, FORM).status_code == 302
        assert applications().get().user == user

    def test_can_be_opened(self, browser, settings):
        settings.AT_JWT = {**settings.AT_JWT, "SELF_REGISTRATION": True}
        assert browser.post(self.address, FORM).status_code == 302

    @pytest.mark.parametrize("is_open", [True, False])
    def test_anonymous_users_are_sent_to_log_in(self, is_open, settings):
        settings.AT_JWT = {**settings.AT_JWT, "SELF_REGISTRATION": is_open}
        assert Client().get(self.address)["Location"].startswith(settings.LOGIN_URL)

    def test_own_clients_stay_visible(self, browser, user, make_client):
        make_client(user=user, name="Already mine")
        assert "Already mine" in browser.get("/o/applications/").content.decode()


@pytest.mark.compliance("9700-5")
class TestUserInformation:
    @pytest.mark.parametrize("field", ["redirect_uris", "post_logout_redirect_uris"])
    @pytest.mark.parametrize("uris", WITH_USER)
    def test_forms(self, uris, field, browser, settings):
        settings.AT_JWT = {**settings.AT_JWT, "SELF_REGISTRATION": True}
        page = browser.post("/o/applications/register/", {**FORM, field: uris})
        assert page.status_code == 200
        assert 'has a user name or password before its host ("user@")' in page.context["form"].errors[field][0]
        assert not applications().exists()

    def test_changing_a_client(self, browser, user, make_client):
        mine = make_client(user=user).application
        sent = {**FORM, "client_id": mine.client_id, "redirect_uris": WITH_USER[0]}
        page = browser.post(f"/o/applications/{mine.pk}/update/", sent)
        assert "redirect_uris" in page.context["form"].errors

    def test_admin(self, admin_client):
        options = get_application_model()._meta
        address = reverse(f"admin:{options.app_label}_{options.model_name}_add")
        page = admin_client.post(address, {**FORM, "redirect_uris": WITH_USER[1]})
        [problem, *_] = page.context["adminform"].form.errors["redirect_uris"]
        assert "user name or password" in problem
        assert "hidden-word" not in problem

    def test_command(self):
        output = io.StringIO()
        call_command(
            "createapplication",
            "public",
            "authorization-code",
            redirect_uris=WITH_USER[0],
            stdout=output,
            stderr=output,
        )
        assert "user name or password before its host" in output.getvalue()
        assert not applications().exists()

    @pytest.mark.parametrize("uris", WITH_USER)
    def test_dynamic_registration(self, uris, registers_itself):
        registered = (
            Client()
            .post("/o/register/", {"redirect_uris": [FORM["redirect_uris"]]}, content_type="application/json")
            .json()
        )
        changing = {
            "content_type": "application/json",
            "HTTP_AUTHORIZATION": f"Bearer {registered['registration_access_token']}",
        }
        body = json.dumps({"redirect_uris": uris.split()})
        for answer in (
            Client().post("/o/register/", body, content_type="application/json"),
            Client().put(f"/o/register/{registered['client_id']}/", body, **changing),
        ):
            assert answer.status_code == 400
            assert answer.json()["error"] == "invalid_redirect_uri"
            assert "hidden-word" not in answer.content.decode()
        assert applications().get().redirect_uris == FORM["redirect_uris"]

    @pytest.mark.parametrize(
        "uri", ["https://client.example.com/@me", "https://client.example.com/?for=a@b", "http://127.0.0.1:8000/"]
    )
    def test_at_signs_elsewhere(self, uri, browser, settings):
        settings.AT_JWT = {**settings.AT_JWT, "SELF_REGISTRATION": True}
        assert browser.post("/o/applications/register/", {**FORM, "redirect_uris": uri}).status_code == 302
