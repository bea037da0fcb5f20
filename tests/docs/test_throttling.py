"""The middleware on the page about throttling, at each endpoint."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from django_at_jwt.authorization_server import toolkit
from django_at_jwt.authorization_server.endpoint_urls import TOOLKIT_VIEWS

from .blocks import THROTTLING, blocks_of, table_rows

pytestmark = pytest.mark.django_db

MIDDLEWARE, SETTINGS = (block for block in blocks_of(THROTTLING) if block.language == "python")
NAMESPACE: dict[str, object] = {}
exec(MIDDLEWARE.text, NAMESPACE)
RATES = NAMESPACE["RATES"]
# Not all versions of django-oauth-toolkit have this endpoint.
MOUNTED = [name for name in RATES if toolkit.get_par_request_model or name != "pushed-authorization-request"]
# Those without a limit are documents, which caches serve, and pages for users who are logged in.
NOT_LIMITED = {
    "device-confirm",
    "device-grant-status",
    "register",
    "rp-initiated-logout",
    "jwks-info",
    "oauth-server-metadata",
    "oidc-connect-discovery-info",
}


@pytest.fixture
def throttling(settings, monkeypatch):
    module = ModuleType("mysite.throttling")
    exec(MIDDLEWARE.text, vars(module))
    # Few enough for a test, and an hour so that no window ends during it.
    module.RATES.update(dict.fromkeys(module.RATES, "3/hour"))
    monkeypatch.setitem(sys.modules, "mysite", ModuleType("mysite"))
    monkeypatch.setitem(sys.modules, "mysite.throttling", module)
    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "throttling"}
    }
    values = {"MIDDLEWARE": [*settings.MIDDLEWARE]}
    exec(SETTINGS.text, values)
    settings.MIDDLEWARE = values["MIDDLEWARE"]
    yield
    cache.clear()


def path_of(name):
    kwargs = {"client_id": "x"} if name == "dcr-register-management" else {}
    return reverse(f"oauth2_provider:{name}", kwargs=kwargs)


def send(name, address="192.0.2.1"):
    return Client(REMOTE_ADDR=address, raise_request_exception=False).post(path_of(name), {"client_id": "x"})


@pytest.mark.usefixtures("throttling", "signing_keys")
@pytest.mark.parametrize("name", MOUNTED)
def test_each_endpoint_is_limited_by_address(name):
    assert 429 not in [send(name).status_code for _ in range(3)]
    refused = send(name)
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 3600
    assert refused["Cache-Control"] == "no-store"
    assert refused.json()["error"] == "temporarily_unavailable"
    # Other addresses and endpoints are not affected.
    assert send(name, address="192.0.2.2").status_code != 429
    for other in MOUNTED:
        if other != name:
            assert send(other).status_code != 429


@pytest.mark.usefixtures("throttling")
def test_apis_and_documents_are_not_limited(service, signing_keys):
    token = service.token("client_credentials").json()["access_token"]
    for _ in range(5):
        send("token", address="127.0.0.1")
    for _ in range(5):
        answer = Client().get("/whoami/", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 200
        assert Client().get("/o/.well-known/jwks.json").status_code == 200


def test_table_and_rates_name_each_endpoint():
    named = [row[1].strip("`") for row in table_rows(THROTTLING, columns=3)]
    assert named == list(RATES)
    assert set(named) | NOT_LIMITED == set(TOOLKIT_VIEWS)
