"""Clients that authenticate with a signed assertion (RFC 7523 section 2.2), which DOT takes after version 3.4."""

from __future__ import annotations

import json
import secrets
import time
from importlib.util import find_spec
from urllib.parse import urlencode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings as django_settings
from django.test import Client
from oauth2_provider.models import get_access_token_model, get_application_model

from tests.conftest import OAuthClient, decoded

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        find_spec("oauth2_provider.client") is None,
        reason="the installed django-oauth-toolkit takes no client assertions",
    ),
]

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEY = ec.generate_private_key(ec.SECP256R1())
METHODS = ["client_secret_post", "client_secret_basic", "private_key_jwt"]


class AssertingClient(OAuthClient):
    """A client without a secret, which signs an assertion for each request."""

    audience = django_settings.ISSUER
    key = KEY

    @property
    def credentials(self):
        client_id, now = self.application.client_id, int(time.time())
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": self.audience,
            "jti": secrets.token_urlsafe(),
            "exp": now + 60,
        }
        return {
            "client_assertion_type": JWT_BEARER,
            "client_assertion": jwt.encode(claims, self.key, algorithm="ES256"),
        }

    def introspect(self, token, **headers):
        return self.post("/o/introspect/", {"token": token}, headers=headers)


@pytest.fixture
def asserting(signing_keys, db):
    def make(grant):
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(KEY.public_key()))
        application = get_application_model()(
            name="with a key",
            client_type="confidential",
            authorization_grant_type=grant,
            redirect_uris="https://client.example.com/callback",
            token_endpoint_auth_method="private_key_jwt",
            client_jwks=json.dumps({"keys": [public]}),
        )
        application.full_clean()
        application.save()
        return AssertingClient(application)

    return make


@pytest.fixture
def service(asserting):
    return asserting("client-credentials")


def test_token_of_a_client_that_acts_for_itself(service):
    answer = service.token("client_credentials", resource=django_settings.REPORTS, scope="reports:read")
    assert answer.status_code == 200, answer.content
    header, claims = decoded(answer.json()["access_token"])
    assert header["typ"] == "at+jwt"
    assert (claims["aud"], claims["scope"]) == (django_settings.REPORTS, "reports:read")
    assert claims["client_id"] == claims["sub"] == service.application.client_id
    assert answer.json()["expires_in"] == claims["exp"] - claims["iat"]


def test_tokens_of_a_user(asserting, user):
    web = asserting("authorization-code")
    answer = web.code_flow(user, resource=django_settings.REPORTS, scope="reports:read")
    assert answer.status_code == 200, answer.content
    assert decoded(answer.json()["access_token"])[1]["aud"] == django_settings.REPORTS
    answer = web.token("refresh_token", refresh_token=answer.json()["refresh_token"])
    assert decoded(answer.json()["access_token"])[1]["aud"] == django_settings.REPORTS


def test_assertion_for_the_endpoint(service):
    service.audience = "http://testserver/o/token/"
    assert service.token("client_credentials").status_code == 200


@pytest.mark.parametrize("broken", ["audience", "key", "secret"])
def test_no_token(service, broken):
    if broken == "audience":
        service.audience = "https://other.example.com/o"
    elif broken == "key":
        service.key = ec.generate_private_key(ec.SECP256R1())
    extra = {"client_secret": "a secret"} if broken == "secret" else {}
    answer = service.token("client_credentials", **extra)
    assert answer.status_code == 401
    assert answer.json()["error"] == "invalid_client"
    assert not get_access_token_model().objects.exists()


def test_assertion_counts_once(service):
    form = urlencode({**service.credentials, "grant_type": "client_credentials"})
    send = [Client().post("/o/token/", form, content_type="application/x-www-form-urlencoded") for _ in range(2)]
    assert [answer.status_code for answer in send] == [200, 401]


class TestIntrospection:
    def test_of_its_own_token(self, service):
        token = service.token("client_credentials").json()["access_token"]
        answer = service.introspect(token)
        assert (answer.status_code, answer.json()["active"]) == (200, True)
        assert answer.json()["client_id"] == service.application.client_id

    def test_for_the_endpoint(self, service):
        token = service.token("client_credentials").json()["access_token"]
        service.audience = "http://testserver/o/introspect/"
        assert service.introspect(token).json()["active"] is True

    def test_signed_answer_is_for_the_caller(self, service):
        token = service.token("client_credentials").json()["access_token"]
        answer = service.introspect(token, accept="application/token-introspection+jwt")
        assert decoded(answer.content.decode())[1]["aud"] == service.application.client_id

    def test_with_a_wrong_key(self, service):
        token = service.token("client_credentials").json()["access_token"]
        service.key = ec.generate_private_key(ec.SECP256R1())
        assert service.introspect(token).status_code == 401


def test_client_revokes_and_introspects_with_an_assertion(service):
    token = service.token("client_credentials").json()["access_token"]
    assert service.post("/o/revoke_token/", {"token": token}).status_code == 200
    assert service.introspect(token).json() == {"active": False}


@pytest.mark.parametrize("openid", [False, True], ids=["without OpenID Connect", "with OpenID Connect"])
def test_metadata_announces_it_if_the_site_does(signing_keys, client, settings, openid):
    path = "/.well-known/oauth-authorization-server/o"
    assert "private_key_jwt" not in client.get(path).json()["token_endpoint_auth_methods_supported"]
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "OIDC_ENABLED": openid,
        "OAUTH2_TOKEN_ENDPOINT_AUTH_METHODS_SUPPORTED": METHODS,
        "OIDC_TOKEN_ENDPOINT_AUTH_METHODS_SUPPORTED": METHODS,
    }
    document = client.get(path).json()
    for endpoint in ("token", "revocation", "introspection"):
        assert document[f"{endpoint}_endpoint_auth_methods_supported"] == METHODS
        assert "ES256" in document[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
