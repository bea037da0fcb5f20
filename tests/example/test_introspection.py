"""An API in another project that asks the running example whether tokens were revoked, over HTTP."""

from __future__ import annotations

import pytest
import requests
from django.core.cache import caches
from django.http import HttpResponse
from django.test import Client
from django.urls import path

from django_at_jwt.views import access_token_required
from tests.patience import PATIENCE_SECONDS


@access_token_required(scopes=["api:read"])
def _view(_request):
    return HttpResponse("in")


urlpatterns = [path("", _view)]


@pytest.fixture
def api(site, settings):
    """Configure this project as the API. It asks at each request, so no test waits for an answer to age."""
    service = site.description["clients"]["service"]
    settings.DEBUG = True
    settings.ROOT_URLCONF = __name__
    settings.OAUTH2_PROVIDER = {}
    settings.AT_JWT = {
        "ISSUERS": {
            site.issuer: {
                "audience": site.notes["identifier"],
                "revocation": "introspect",
                "client_id": service["client_id"],
                "client_secret": service["client_secret"],
                "introspection_max_age": 0,
            }
        },
        "ISSUER_TIMEOUT": PATIENCE_SECONDS,
    }
    caches["default"].clear()
    yield
    caches["default"].clear()


def status(tokens):
    return Client().get("/", headers={"Authorization": f"Bearer {tokens['access_token']}"}).status_code


def revoke(site, token):
    web = site.description["clients"]["web"]
    requests.post(
        site.description["revocation_endpoint"],
        data={"token": token},
        auth=(web["client_id"], web["client_secret"]),
        timeout=PATIENCE_SECONDS,
    ).raise_for_status()


def _token_revoked(site, tokens):
    revoke(site, tokens["access_token"])


def _refresh_token_revoked(site, tokens):
    revoke(site, tokens["refresh_token"])


def _refreshed(site, tokens):
    site.client("web").token("refresh_token", refresh_token=tokens["refresh_token"])


@pytest.mark.compliance("7009-2")
@pytest.mark.usefixtures("api")
@pytest.mark.parametrize("event", [_token_revoked, _refresh_token_revoked, _refreshed])
def test_revoked_token_is_refused(site, event):
    tokens, others = site.code_flow(scope="api:read"), site.code_flow(scope="api:read")
    assert (status(tokens), status(others)) == (200, 200)
    event(site, tokens)
    assert (status(tokens), status(others)) == (401, 200)
