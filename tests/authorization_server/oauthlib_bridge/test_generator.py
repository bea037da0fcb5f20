"""Every grant of django-oauth-toolkit issues RFC 9068 access tokens, through the endpoints."""

from __future__ import annotations

from datetime import UTC, datetime

import joserfc.jwt
import jwt
import pytest
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from django.conf import settings
from django.test import Client
from joserfc.jwk import KeySet
from oauth2_provider.models import get_access_token_model, get_device_grant_model, get_refresh_token_model

from tests.conftest import DEVICE_CODE_GRANT, decoded
from tests.openid_connect import OPENID_CONNECT

pytestmark = pytest.mark.django_db


@pytest.fixture
def openid(settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPENID_CONNECT}


def authorization_code(make_client, user):
    return make_client().code_flow(user).json()


def public_client_with_pkce(make_client, user):
    return make_client(client_type="public").code_flow(user, exchange={"client_secret": ""}).json()


def openid_code(make_client, user):
    return make_client(algorithm="RS256").code_flow(user, scope="openid read").json()


def refresh(make_client, user):
    web = make_client()
    first = web.code_flow(user).json()
    return web.token("refresh_token", refresh_token=first["refresh_token"]).json()


def client_credentials(make_client, user):
    return make_client("client-credentials").token("client_credentials").json()


def password(make_client, user):
    return make_client("password").token("password", username="alice", password="correct horse").json()


def device(make_client, user, **asked):
    client = make_client("urn:ietf:params:oauth:grant-type:device_code", client_type="public")
    started = client.post("/o/device-authorization/", {"scope": "read", "client_secret": "", **asked}).json()
    grant = get_device_grant_model().objects.get(device_code=started["device_code"])
    browser = Client()
    browser.force_login(user)
    browser.post("/o/device/", {"user_code": grant.user_code})
    browser.post(f"/o/device-confirm/{grant.client_id}/{grant.user_code}", {"action": "accept"})
    answer = client.token(DEVICE_CODE_GRANT, device_code=started["device_code"], client_secret="")
    assert answer.status_code == 200, answer.content
    return answer.json()


def implicit(make_client, user):
    return make_client("implicit").authorize(user, response_type="token")


def openid_implicit(make_client, user):
    return make_client("implicit", algorithm="RS256").authorize(
        user, response_type="id_token token", scope="openid read"
    )


def hybrid_front_channel(make_client, user):
    client = make_client("openid-hybrid", algorithm="RS256")
    return client.authorize(user, response_type="code id_token token", scope="openid read")


def hybrid_back_channel(make_client, user):
    client = make_client("openid-hybrid", algorithm="RS256")
    return client.code_flow(user, response_type="code id_token", scope="openid read").json()


GRANTS = [
    authorization_code,
    public_client_with_pkce,
    openid_code,
    refresh,
    client_credentials,
    password,
    device,
    implicit,
    openid_implicit,
    hybrid_front_channel,
    hybrid_back_channel,
]
NEEDS_OPENID = {openid_code, openid_implicit, hybrid_front_channel, hybrid_back_channel}


@pytest.fixture(params=GRANTS, ids=lambda grant: grant.__name__)
def answer(request, signing_keys, make_client, user):
    if request.param in NEEDS_OPENID:
        request.getfixturevalue("openid")
    response = request.param(make_client, user)
    assert "access_token" in response, response
    return {**response, "machine": request.param is client_credentials}


@pytest.mark.compliance("9068-1", "9068-3", "9068-4", "9068-5", "9068-11", "9068-16", "9068-19")
def test_token_has_the_profile(answer, user):
    header, claims = decoded(answer["access_token"])
    assert header["typ"] == "at+jwt"
    assert header["alg"] == "RS256"
    resource_owner = set() if answer["machine"] else {"auth_time", "amr"}
    assert set(claims) == {"iss", "exp", "aud", "sub", "client_id", "iat", "jti", "scope", *resource_owner}
    assert claims["iss"] == settings.ISSUER
    assert claims["aud"] == settings.API
    assert claims["sub"] == (claims["client_id"] if answer["machine"] else str(user.pk))
    assert claims["scope"].split()
    assert set(claims["scope"].split()) == set(answer["scope"].split())


@pytest.mark.compliance("6750-4")
def test_expiry_is_what_the_client_was_told_and_what_the_row_says(answer):
    _, claims = decoded(answer["access_token"])
    assert claims["exp"] - claims["iat"] == int(answer["expires_in"]) <= 3600
    row = get_access_token_model().objects.get()
    assert row.expires == datetime.fromtimestamp(claims["exp"], tz=UTC)
    assert row.resource == [claims["aud"]]
    assert row.scope == claims["scope"]
    assert row.token == ""


@pytest.mark.compliance("9068-2", "9068-20", "9068-25", "7638-1")
def test_other_libraries_verify_it_over_http(answer, client):
    token = answer["access_token"]
    metadata = client.get("/.well-known/oauth-authorization-server/o").json()
    jwks = client.get(metadata["jwks_uri"].removeprefix("https://as.example.com")).json()

    header, _ = decoded(token)
    key = next(jwt.PyJWK(key) for key in jwks["keys"] if key["kid"] == header["kid"])
    claims = jwt.decode(token, key, algorithms=["RS256"], audience=settings.API, issuer=metadata["issuer"])

    decoded_by_joserfc = joserfc.jwt.decode(token, KeySet.import_key_set(jwks), algorithms=["RS256"])
    assert decoded_by_joserfc.header["typ"] == "at+jwt"
    assert decoded_by_joserfc.claims == claims

    class Validator(JWTBearerTokenValidator):
        def get_jwks(self):
            return KeySet.import_key_set(jwks)

    validator = Validator(issuer=metadata["issuer"], resource_server=settings.API)
    verified = validator.authenticate_token(token)
    validator.validate_token(verified, scopes=None, request=None)
    assert dict(verified) == claims


@pytest.mark.compliance("9068-29")
def test_id_token_is_not_an_access_token(openid, signing_keys, make_client, user, client):
    answer = openid_code(make_client, user)
    assert decoded(answer["id_token"])[0]["typ"] == "JWT"
    for address in ("/whoami/", "/o/userinfo/", "/toolkit-drf/", "/toolkit-challenge/"):
        refused = client.get(address, headers={"Authorization": f"Bearer {answer['id_token']}"})
        assert refused.status_code == 401, address


def test_refresh_tokens_are_opaque_and_refused_as_access_tokens(signing_keys, make_client, user, client):
    answer = authorization_code(make_client, user)
    assert "." not in answer["refresh_token"]
    for address in ("/whoami/", "/toolkit-drf/", "/toolkit-challenge/"):
        refused = client.get(address, headers={"Authorization": f"Bearer {answer['refresh_token']}"})
        assert refused.status_code == 401, address


def test_tokens_have_unique_ids(signing_keys, service):
    tokens = [decoded(service.token("client_credentials").json()["access_token"])[1]["jti"] for _ in range(5)]
    assert len(set(tokens)) == 5


def test_scope_is_left_out_where_there_is_none(signing_keys, service, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "DEFAULT_SCOPES": []}
    answer = service.token("client_credentials").json()
    assert "scope" not in decoded(answer["access_token"])[1]


@pytest.mark.parametrize("rotating", [True, False])
def test_refresh_rotating_and_not(rotating, signing_keys, web, user, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ROTATE_REFRESH_TOKEN": rotating}
    first = web.code_flow(user).json()
    second = web.token("refresh_token", refresh_token=first["refresh_token"], scope="read").json()
    assert (second["refresh_token"] != first["refresh_token"]) is rotating
    _, claims = decoded(second["access_token"])
    assert claims["scope"] == second["scope"] == "read"
    assert claims["sub"] == str(user.pk)
    row = get_access_token_model().objects.get()
    assert row.expires.timestamp() == claims["exp"]
    assert row.resource == [settings.API]


def test_inactive_users_get_no_token(signing_keys, web, user):
    first = web.code_flow(user).json()
    # An update sends no signal, so nothing is revoked.
    type(user).objects.update(is_active=False)
    refused = web.token("refresh_token", refresh_token=first["refresh_token"])
    assert refused.status_code == 400
    assert refused.json()["error"] == "invalid_grant"
    assert get_access_token_model().objects.count() == 1
    assert get_refresh_token_model().objects.filter(revoked=None).count() == 1


def test_all_algorithms_through_the_endpoint(make_client, settings, client):
    from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
    from django_at_jwt.core.jose.algorithms import ALGORITHMS

    service = make_client("client-credentials")
    at_once = {"PROPAGATION_TIME": 0, "KEY_RING_MAX_AGE": 0, "LEEWAY": 0}
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_JWKS_MAX_AGE_SECONDS": 0}
    for algorithm in ALGORITHMS:
        settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": [algorithm], **at_once}
        rotate_signing_keys()
        token = service.token("client_credentials").json()["access_token"]
        assert decoded(token)[0]["alg"] == algorithm
        assert client.get("/whoami/", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_site_without_time_zones(settings, make_client, user, client):
    from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys

    settings.USE_TZ = False
    settings.TIME_ZONE = "Pacific/Auckland"
    rotate_signing_keys()
    token = authorization_code(make_client, user)["access_token"]
    row = get_access_token_model().objects.get()
    assert row.expires.timestamp() == decoded(token)[1]["exp"]
    assert client.get("/whoami/", headers={"Authorization": f"Bearer {token}"}).status_code == 200
