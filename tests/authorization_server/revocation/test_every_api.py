"""Each event that revokes tokens, seen at every kind of API of this project, with tokens of real requests."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from oauth2_provider.models import get_access_token_model, get_application_model, get_refresh_token_model

from django_at_jwt.models import Authorization, IntrospectionClient, ResourceServer
from tests.admin.pages import fields_of
from tests.conftest import decoded
from tests.links import link_of
from tests.openid_connect import OPENID_CONNECT

# Threat 31.
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls("tests.site.plain_views"),
    pytest.mark.usefixtures("keys_made_quickly", "signing_keys"),
    pytest.mark.compliance("7009-2"),
]

# Django REST framework, a plain view, a view of django-oauth-toolkit, and userinfo.
APIS = ("/framework/", "/function/", "/toolkit-view/", "/o/userinfo/")
DENY_LIST = "/admin/django_at_jwt/denylistentry/"


@dataclass
class Site:
    """A token, and those who can revoke it."""

    web: object
    user: object
    code: str
    response: dict
    admin: Client
    own: Client

    @property
    def access_token(self):
        return self.response["access_token"]

    @property
    def token_id(self):
        return decoded(self.access_token)[1]["jti"]

    @property
    def row(self):
        return get_access_token_model().objects.get(pk=link_of(self.token_id).access_token)

    def revoke(self, token):
        assert self.web.post("/o/revoke_token/", {"token": token}).status_code == 200

    def refresh(self):
        return self.web.token("refresh_token", refresh_token=self.response["refresh_token"])

    def press(self, address, **values):
        page = self.admin.post(address, values) if values else self.admin.get(address)
        assert page.status_code == 200, page.content
        return self.admin.post(address, {**fields_of(page), "_revoke": "Revoke"})

    def action(self, model):
        rows = {"accesstoken": self.row, "refreshtoken": get_refresh_token_model().objects.get(access_token=self.row)}
        row = rows[model]
        address = f"/admin/{row._meta.app_label}/{model}/"
        self.admin.post(address, {"action": "revoke_tokens", "_selected_action": [row.pk]})

    def change_user(self, **values):
        user = get_user_model().objects.get(pk=self.user.pk)
        for name, value in values.items():
            setattr(user, name, value)
        user.save()


def reuse(site):
    assert site.refresh().status_code == 200
    assert site.refresh().status_code == 400


def replay(site):
    assert site.web.exchange(site.code).status_code == 400


def supersede(site):
    assert site.refresh().status_code == 200


def log_out(site):
    assert site.own.post("/o/logout/", {"allow": "on"}).status_code == 302


def give_new_password(site):
    user = get_user_model().objects.get(pk=site.user.pk)
    user.set_password("battery staple")
    user.save()


EVENTS = {
    "revocation endpoint, access token": lambda site: site.revoke(site.access_token),
    "revocation endpoint, refresh token": lambda site: site.revoke(site.response["refresh_token"]),
    "admin action on access tokens": lambda site: site.action("accesstoken"),
    "admin action on refresh tokens": lambda site: site.action("refreshtoken"),
    "authorized tokens": lambda site: site.own.post(f"/o/authorized_tokens/{site.row.pk}/delete/"),
    "reused refresh token": reuse,
    "replayed code": replay,
    "refresh": supersede,
    "logout": log_out,
    "deactivated user": lambda site: site.change_user(is_active=False),
    "deleted user": lambda site: site.user.delete(),
    "new password": give_new_password,
    "deleted client": lambda site: site.web.application.delete(),
    "log out everywhere": lambda site: site.press(f"{DENY_LIST}user/{site.user.pk}/"),
    "revoke all tokens": lambda site: site.press(f"{DENY_LIST}client/{site.web.application.pk}/"),
    "revoke by jti": lambda site: site.press(f"{DENY_LIST}add/", token_id=site.token_id),
    "command": lambda site: call_command(
        "revoke_tokens", authorization=Authorization.objects.get().identifier, verbosity=0
    ),
}


@pytest.fixture
def site(web, user, service, admin_client, settings):
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        **OPENID_CONNECT,
        "OIDC_RP_INITIATED_LOGOUT_ENABLED": True,
        "REFRESH_TOKEN_REUSE_PROTECTION": True,
    }
    get_application_model().objects.filter(pk=web.application.pk).update(algorithm="RS256")
    IntrospectionClient.objects.create(client_id=service.application.client_id)
    code = web.authorize(user, scope="read openid")["code"]
    own = Client()
    own.force_login(user)
    response = web.exchange(code)
    assert response.status_code == 200, response.content
    return Site(web, user, code, response.json(), admin_client, own)


@pytest.fixture
def accepted(service):
    """Return where a token is accepted."""

    def accepted(token):
        headers = {"Authorization": f"Bearer {token}", "Host": "api.example.com"}
        answers = {address: Client().get(address, headers=headers, secure=True).status_code for address in APIS}
        assert set(answers.values()) <= {200, 401, 403}, answers
        introspected = service.post("/o/introspect/", {"token": token}, secure=True).json()["active"]
        return [*(address for address, status in answers.items() if status == 200), *(["introspection"] * introspected)]

    return accepted


@pytest.fixture(params=[True, False], ids=["with row", "without row"])
def stores(request, settings):
    settings.AT_JWT = {**settings.AT_JWT, "STORE_ACCESS_TOKENS": request.param}


@pytest.mark.parametrize("event", EVENTS)
def test_token_is_refused_everywhere(event, stores, site, accepted, django_capture_on_commit_callbacks):
    # Each API has verified the token before, so that its claims are cached.
    assert accepted(site.access_token) == [*APIS, "introspection"]
    with django_capture_on_commit_callbacks(execute=True):
        EVENTS[event](site)
    assert accepted(site.access_token) == []


def test_disabled_api_refuses_its_tokens(site, accepted, settings, django_capture_on_commit_callbacks):
    server = ResourceServer.objects.create(identifier=settings.API, name="The API")
    server.enabled = False
    with django_capture_on_commit_callbacks(execute=True):
        server.save()
    assert accepted(site.access_token) == []
