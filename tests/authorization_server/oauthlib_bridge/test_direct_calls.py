"""Tokens verified without the address of a request, as in a WebSocket consumer or a GraphQL resolver."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings as django_settings
from django.utils import timezone
from oauth2_provider.models import get_access_token_model

from django_at_jwt.models import ResourceServer
from tests.conftest import decoded
from tests.openid_connect import OPENID_CONNECT

from .test_bearer import store_opaque_token

pytestmark = pytest.mark.django_db

API, REPORTS = django_settings.API, django_settings.REPORTS
FOR_THE_API = ["/validator/", "/validator/path/", "/server/"]
FOR_REPORTS = ["/reports/validator/", "/reports/server/", "/reports/socket/", "/reports/instance/"]


@pytest.fixture(autouse=True)
def _site(settings):
    settings.ROOT_URLCONF = "tests.site.direct_calls"


@pytest.fixture(params=["at+jwt", "opaque"])
def token_format(request, settings):
    servers = {
        API: {"name": "The API", "format": request.param, "scopes": {"read": "Read"}},
        REPORTS: {"name": "Reports", "format": request.param, "scopes": {"read": "Read"}},
    }
    settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": servers}
    return request.param


@pytest.fixture
def tokens(token_format, signing_keys, service):
    return {
        audience: service.token("client_credentials", scope="read", resource=audience).json()["access_token"]
        for audience in (API, REPORTS)
    }


def get(client, address, token):
    return client.get(address, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("address", FOR_THE_API)
def test_token_is_for_the_projects_own_audience(address, tokens, client):
    assert get(client, address, tokens[API]).status_code == 200
    refused = get(client, address, tokens[REPORTS])
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")


@pytest.mark.parametrize("address", FOR_REPORTS)
def test_token_is_for_the_audience_that_the_caller_names(address, tokens, client):
    assert get(client, address, tokens[REPORTS]).status_code == 200
    refused = get(client, address, tokens[API])
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")


@pytest.mark.parametrize("address", [*FOR_THE_API, *FOR_REPORTS])
def test_parameters_never_name_the_audience(address, tokens, client):
    own, other = (REPORTS, API) if address in FOR_REPORTS else (API, REPORTS)
    parameters = f"?audience={other}&resource={other}&aud={other}&uri={other}"
    assert get(client, address + parameters, tokens[own]).status_code == 200
    assert get(client, address + parameters, tokens[other]).status_code == 401


def test_address_counts_where_there_is_one(tokens, client):
    # The address is not an API's: the scheme differs.
    for token in tokens.values():
        assert get(client, "/validator/socket/", token).status_code == 401


def test_audience_setting_goes_before_the_default_resource(tokens, client, settings):
    settings.AT_JWT = {**settings.AT_JWT, "AUDIENCE": REPORTS}
    assert get(client, "/validator/", tokens[REPORTS]).status_code == 200
    assert get(client, "/validator/", tokens[API]).status_code == 401


def test_default_resource_stored_in_the_database_counts(signing_keys, service, client, settings):
    ResourceServer.objects.create(
        identifier="https://rows.example.com/", name="In a row", is_default=True, open_to_all_clients=True
    )
    settings.AT_JWT = {name: value for name, value in settings.AT_JWT.items() if name != "DEFAULT_RESOURCE"}
    token = service.token("client_credentials", scope="read").json()["access_token"]
    assert decoded(token)[1]["aud"] == "https://rows.example.com/"
    assert get(client, "/validator/", token).status_code == 200


def test_without_any_default_no_token_is_accepted(tokens, client, settings):
    settings.AT_JWT = {name: value for name, value in settings.AT_JWT.items() if name != "DEFAULT_RESOURCE"}
    for token in tokens.values():
        assert get(client, "/validator/", token).status_code == 401


@pytest.mark.parametrize("address", [FOR_THE_API[0], FOR_REPORTS[0]])
@pytest.mark.parametrize("wrong", ["scope", "revoked", "expired", "malformed"])
def test_other_rules_hold(wrong, address, signing_keys, service, client):
    audience = API if address in FOR_THE_API else REPORTS
    scope = "reports:read" if audience == REPORTS else "write"
    token = service.token("client_credentials", scope=scope, resource=audience).json()["access_token"]
    rows = get_access_token_model().objects
    if wrong != "scope":
        rows.update(scope="read")
        assert get(client, address, token).status_code == 200
    if wrong == "revoked":
        rows.all().delete()
    elif wrong == "expired":
        rows.update(expires=timezone.now() - timedelta(seconds=1))
    elif wrong == "malformed":
        token = f"{token}="
    assert get(client, address, token).status_code == 401


def test_openid_connect_does_not_change_it(tokens, client, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPENID_CONNECT}
    assert get(client, "/server/", tokens[API]).status_code == 200
    assert get(client, "/reports/server/", tokens[API]).status_code == 401


def test_opaque_token_without_a_resource_is_left_to_dot(web, user, client):
    store_opaque_token(web, user)
    assert get(client, "/validator/", "opaque").json() == {"user": "alice", "scopes": ["read"]}
