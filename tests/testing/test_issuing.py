"""The tests of a site that issues tokens: no row of a key is needed, and tokens are for the test server."""

from __future__ import annotations

import unittest

import jwt
import pytest
from django.conf import settings as django_settings
from django.test import Client, TestCase

from django_at_jwt import verify
from django_at_jwt.models import SigningKey
from django_at_jwt.testing import InMemoryIssuer, IssuingProjectMixin
from tests.conftest import create_client, decoded

TEST_SERVER = "http://testserver/"


def get(path: str, token: str):
    return Client().get(path, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def issuing(settings):
    """An issuer for the test server in a site whose settings name no such address."""
    with InMemoryIssuer(audience=TEST_SERVER, algorithm="ES256").issuing() as issuer:
        yield issuer


@pytest.mark.parametrize("path", ["/whoami/", "/toolkit-view/", "/toolkit-drf/"])
def test_issued_token_is_accepted_everywhere(path, issuing, web, user):
    token = web.code_flow(user).json()["access_token"]
    assert get(path, token).status_code == 200
    assert not SigningKey.objects.exists()


def test_claims_and_published_key(issuing, service, client):
    token = service.token("client_credentials", scope="read").json()["access_token"]
    [key] = jwt.PyJWKSet(client.get("/o/.well-known/jwks.json").json()["keys"]).keys
    claims = jwt.decode(token, key, algorithms=["ES256"], audience=TEST_SERVER, issuer=django_settings.ISSUER)
    assert claims["client_id"] == service.application.client_id


def test_refreshed_and_revoked_tokens(issuing, web, user):
    tokens = web.code_flow(user).json()
    again = web.token("refresh_token", refresh_token=tokens["refresh_token"]).json()
    assert get("/toolkit-view/", again["access_token"]).status_code == 200
    assert web.post("/o/revoke_token/", {"token": again["access_token"]}).status_code == 200
    assert get("/toolkit-view/", again["access_token"]).status_code != 200


def test_options_of_the_default_resource_apply(settings, service):
    settings.AT_JWT = {
        **settings.AT_JWT,
        "RESOURCE_SERVERS": {settings.API: {"scopes": {"read": "Read"}, "lifetime": 60}},
    }
    with InMemoryIssuer(audience=TEST_SERVER, algorithm="ES256").issuing():
        answer = service.token("client_credentials", scope="read").json()
        assert answer["expires_in"] == 60
        assert get("/toolkit-view/", answer["access_token"]).status_code == 200


def test_site_without_an_issuer_and_a_default_resource(settings, service):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": ""}
    settings.AT_JWT = {}
    with InMemoryIssuer(audience=TEST_SERVER, algorithm="ES256").issuing():
        answer = service.token("client_credentials", scope="read")
        assert get("/whoami/", answer.json()["access_token"]).status_code == 200


def test_mixin_brings_the_issuer_before_the_test_data(db):
    class OrdersTest(IssuingProjectMixin, TestCase):
        @classmethod
        def setUpTestData(cls):
            answer = create_client("client-credentials").token("client_credentials", scope="read")
            cls.token = answer.json()["access_token"]

        def test_it(self):
            assert get("/toolkit-view/", self.token).status_code == 200

    before = django_settings.AT_JWT
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(OrdersTest).run(result)
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])
    assert django_settings.AT_JWT is before


def test_resource_servers_may_be_a_list(settings, service):
    settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": [settings.API, settings.REPORTS]}
    with InMemoryIssuer(audience=TEST_SERVER, algorithm="ES256").issuing():
        for resource in (TEST_SERVER, settings.REPORTS):
            token = service.token("client_credentials", resource=resource).json()["access_token"]
            assert decoded(token)[1]["aud"] == resource


def test_all_addresses_of_the_project_stay_accepted(settings):
    settings.AT_JWT = {**settings.AT_JWT, "AUDIENCE": [settings.API, settings.REPORTS]}
    with InMemoryIssuer(algorithm="ES256").installed() as issuer:
        for audience in (settings.API, settings.REPORTS):
            claims = {"sub": "a client", "client_id": "a client", "aud": audience}
            assert verify(issuer.token(**claims)).auth["aud"] == audience
