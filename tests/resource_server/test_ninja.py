"""django-ninja over HTTP: the same statuses, challenges and JSON as from Django REST framework."""

from __future__ import annotations

import time

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.test import AsyncClient

from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.core.errors import KeysUnavailable

from .signed_tokens import bearer
from .test_plain_views import FORM, told

pytest.importorskip("ninja", reason="django-ninja is not installed")

from ninja import NinjaAPI

from django_at_jwt.ninja import AccessTokenBearer

from .test_verifier import without_django

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls("tests.resource_server.ninja_urls"),
    pytest.mark.usefixtures("keys_made_quickly", "signing_keys"),
]
OPERATIONS = ["/ninja/sync", "/ninja/async"]
REFUSED = {
    "nothing": lambda: ("get", {}, {}),
    "another scheme": lambda: ("get", {"Authorization": "Basic YTpi"}, {}),
    "scope is missing": lambda: ("get", bearer("other"), {}),
    "scope is missing for the method": lambda: ("post", bearer("read"), FORM),
    "bad token": lambda: ("get", {"Authorization": "Bearer a.b.c"}, {}),
    "two tokens": lambda: ("get", {"Authorization": "Bearer a b"}, {}),
    "token in the query too": lambda: ("get", bearer("read"), {"query_params": {"access_token": "x"}}),
}


@pytest.mark.parametrize("address", OPERATIONS)
@pytest.mark.parametrize("request_of", REFUSED.values(), ids=REFUSED)
def test_refusals_are_those_of_the_framework(address, request_of, client):
    method, headers, more = request_of()
    as_json = {"headers": {"Accept": "application/json", **headers}, **more}
    answer = getattr(client, method)(address, **as_json)
    assert told(answer) == told(getattr(client, method)("/framework/", **as_json))
    assert answer.status_code >= 400
    assert "resource_metadata=" in answer["WWW-Authenticate"]


@pytest.mark.parametrize("address", OPERATIONS)
def test_operation_gets_user_and_token(address, client, user):
    answer = client.get(address, headers=bearer("read", sub=str(user.pk)))
    assert answer.json() == {"user": "alice", "client": "a client", "same": True}
    assert client.post(address, headers=bearer("read write"), **FORM).json()["user"] == "client:a client"


def test_permission_decides_in_addition_to_scopes(client, user):
    assert client.get("/ninja/machine", headers=bearer("read")).status_code == 200
    assert client.get("/ninja/machine", headers=bearer("read", sub=str(user.pk))).status_code == 403


def test_keys_that_cannot_be_read(client, monkeypatch):
    def unavailable():
        raise KeysUnavailable("no database")

    credentials = bearer("read")
    monkeypatch.setattr(key_store, "at_hand", lambda: None)
    monkeypatch.setattr(key_store, "current", unavailable)
    for address in OPERATIONS:
        answer = client.get(address, headers=credentials)
        assert (answer.status_code, answer["Retry-After"]) == (503, "10")


class TestOtherAuthenticationBesideIt:
    def test_is_tried_without_a_token_only(self, client):
        key = {"X-Key": "a key"}
        assert client.get("/ninja/either", headers=key).json() == {"key": True}
        assert client.get("/ninja/either", headers=bearer("read")).json() == {"key": False}
        assert client.get("/ninja/either", headers=bearer("other") | key).status_code == 403
        refused = client.get("/ninja/either")
        assert (refused.status_code, 'scope="read"' in refused["WWW-Authenticate"]) == (401, True)

    def test_errors_of_the_operation_keep_their_text(self, client):
        answer = client.get("/ninja/either?refuse", headers={"X-Key": "a key"})
        assert (answer.status_code, answer.json()) == (401, {"detail": "Not like this"})


async def _get(address, **headers):
    return await AsyncClient().get(address, headers=headers)


def test_asynchronous_operation_uses_no_thread(monkeypatch):
    credentials = bearer("read")
    async_to_sync(_get)("/ninja/async", **credentials)
    monkeypatch.setattr("django_at_jwt.views.sync_to_async", None)
    answer = async_to_sync(_get)("/ninja/async", **credentials)
    assert answer.json() == {"user": "client:a client", "client": "a client", "same": True}


def test_openapi_document_has_the_schemes(client):
    document = client.get("/ninja/openapi.json").json()
    bearer_scheme = {"type": "http", "scheme": "bearer", "bearerFormat": "at+jwt"}
    schemes = document["components"]["securitySchemes"]
    assert schemes["AccessTokenBearer"] == bearer_scheme
    assert document["paths"]["/ninja/sync"]["get"]["security"] == [{"AccessTokenBearer": []}]
    assert document["paths"]["/ninja/machine"]["get"]["security"] == [{"AccessTokenBearer": []}]
    for address, name, login in (
        ("strong", "AccessTokenBearer_with_urn_3Aexample_3Amfa_20max_5Fage_3D300", "urn:example:mfa max_age=300"),
        ("recent", "AsyncAccessTokenBearer_with_max_5Fage_3D60", "max_age=60"),
    ):
        assert document["paths"][f"/ninja/{address}"]["get"]["security"] == [{name: []}]
        description = f"RFC 9068 access tokens, of a login with: {login} (RFC 9470)"
        assert schemes[name] == {**bearer_scheme, "description": description}


def test_openapi_shows_no_scopes():
    """As the page on OpenAPI documents says. If this fails, django-ninja can be told the scopes."""
    api = NinjaAPI(urls_namespace="scopes")

    @api.get("/", auth=AccessTokenBearer(["read"]))
    def operation(request):
        """Never called."""

    described = api.get_openapi_schema(path_prefix="")["paths"]["/"]["get"]
    assert described["security"] == [{"AccessTokenBearer": []}]


def test_login_that_is_required(client, user):
    now = int(time.time())
    earlier, strong = {"auth_time": now - 120}, {"auth_time": now, "acr": "urn:example:mfa"}
    for address, login, status in (
        ("strong", earlier, 401),
        ("strong", strong, 200),
        ("recent", earlier, 401),
        ("recent", strong, 200),
    ):
        answer = client.get(f"/ninja/{address}", headers=bearer("read", sub=str(user.pk), **login))
        assert (answer.status_code, "max_age=" in answer.get("WWW-Authenticate", "")) == (status, status == 401)
    assert client.get("/ninja/strong", headers=bearer("read")).status_code == 200


@pytest.mark.parametrize("audience", ["", [], [""], 1])
def test_invalid_audience_is_refused_where_it_is_declared(audience):
    with pytest.raises(ImproperlyConfigured, match="audience must be a non-empty string"):
        AccessTokenBearer([], audience=audience)


def test_import_before_django_is_set_up_says_what_is_missing():
    done = without_django("import django_at_jwt.ninja")
    *_, last = done.stderr.splitlines()
    assert last.startswith("django.core.exceptions.ImproperlyConfigured: Set DJANGO_SETTINGS_MODULE")
