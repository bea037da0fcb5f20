"""Client ids in another letter case, which MariaDB's collation finds, are unknown everywhere.

On a database that distinguishes case, these tests pass without this app's comparison.
"""

from __future__ import annotations

import base64
from urllib.parse import urlencode

import pytest
from django.test import Client

from tests.conftest import DEVICE_CODE_GRANT, REDIRECT_URI, SECRET
from tests.openid_connect import OPENID_CONNECT

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("openid", "signing_keys")]

GRANTS = {
    "authorization_code": {"code": "unknown", "redirect_uri": REDIRECT_URI},
    "client_credentials": {},
    "password": {"username": "alice", "password": "correct horse"},
    "refresh_token": {"refresh_token": "unknown"},
    DEVICE_CODE_GRANT: {"device_code": "unknown"},
}
KINDS = {
    "authorization_code": "authorization-code",
    "client_credentials": "client-credentials",
    "password": "password",
    "refresh_token": "authorization-code",
    DEVICE_CODE_GRANT: DEVICE_CODE_GRANT,
}
# As MariaDB compares: without regard to case, accents and trailing spaces.
ALIKE = ["PROGRAM", "prögram", "program "]


@pytest.fixture
def openid(settings):
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        **OPENID_CONNECT,
        "OIDC_RP_INITIATED_LOGOUT_ENABLED": True,
    }


def sent(response):
    """What the sender gets, without what differs from request to request."""
    headers = {name: value for name, value in response.items() if name != "Expires"}
    return response.status_code, headers, response.content


def post(url, client_id, *, in_header=False, secret=SECRET, **data):
    headers = {}
    if in_header:
        pair = urlencode({client_id: secret}).replace("=", ":")
        headers["HTTP_AUTHORIZATION"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        data["client_id"] = client_id
        if secret:
            data["client_secret"] = secret
    return Client().post(url, urlencode(data), content_type="application/x-www-form-urlencoded", **headers)


@pytest.mark.parametrize("client_type", ["confidential", "public"])
@pytest.mark.parametrize("in_header", [False, True])
@pytest.mark.parametrize("grant", GRANTS)
def test_token_request(grant, in_header, client_type, make_client, user):
    make_client(KINDS[grant], client_id="program", client_type=client_type)
    secret = SECRET if client_type == "confidential" or in_header else None
    options = {"in_header": in_header, "secret": secret, "grant_type": grant, **GRANTS[grant]}
    unknown = post("/o/token/", "unknown", **options)
    assert (unknown.status_code, unknown.json()["error"]) == (401, "invalid_client")
    for alike in ALIKE:
        assert sent(post("/o/token/", alike, **options)) == sent(unknown)


@pytest.mark.parametrize("in_header", [False, True])
@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("/o/introspect/", "invalid_client"),
        ("/o/revoke_token/", "invalid_client"),
        ("/o/device-authorization/", "invalid_request"),
    ],
)
def test_other_endpoints(url, error, in_header, make_client):
    make_client(DEVICE_CODE_GRANT, client_id="program")
    unknown = post(url, "unknown", in_header=in_header, token="unknown")
    assert unknown.json()["error"] == error
    for alike in ALIKE:
        assert sent(post(url, alike, in_header=in_header, token="unknown")) == sent(unknown)


def test_device_authorization_of_a_public_client(make_client):
    make_client(DEVICE_CODE_GRANT, client_id="program", client_type="public")
    unknown = post("/o/device-authorization/", "unknown", secret=None)
    assert unknown.json()["error"] == "invalid_request"
    for alike in ALIKE:
        assert sent(post("/o/device-authorization/", alike, secret=None)) == sent(unknown)


@pytest.mark.parametrize("prompt", ["consent", "none"])
def test_authorization_page(prompt, make_client, client, user):
    make_client(client_id="program")
    client.force_login(user)
    query = {"response_type": "code", "redirect_uri": REDIRECT_URI, "prompt": prompt, "code_challenge": "a" * 43}
    unknown = client.get("/o/authorize/", {**query, "client_id": "unknown"})
    assert (unknown.status_code, "invalid_request" in unknown.content.decode()) == (400, True)
    for alike in ALIKE:
        assert sent(client.get("/o/authorize/", {**query, "client_id": alike})) == sent(unknown)


def test_consent_form(make_client, client, user):
    make_client(client_id="program")
    client.force_login(user)
    form = {"response_type": "code", "redirect_uri": REDIRECT_URI, "scope": "read", "allow": "on"}
    unknown = client.post("/o/authorize/", {**form, "client_id": "unknown"})
    assert (unknown.status_code, "invalid_request" in unknown.content.decode()) == (400, True)
    # The form removes spaces at the end.
    for alike in ALIKE[:2]:
        assert sent(client.post("/o/authorize/", {**form, "client_id": alike})) == sent(unknown)


def test_logout(make_client, client, user):
    make_client(client_id="program", post_logout_redirect_uris="https://client.example.com/bye")
    client.force_login(user)
    query = {"post_logout_redirect_uri": "https://client.example.com/bye"}
    unknown = client.get("/o/logout/", {**query, "client_id": "unknown"})
    assert (unknown.status_code, "The client is unknown" in unknown.content.decode()) == (400, True)
    for alike in ALIKE:
        assert sent(client.get("/o/logout/", {**query, "client_id": alike})) == sent(unknown)
