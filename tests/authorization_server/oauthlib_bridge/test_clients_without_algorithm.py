"""OpenID Connect by clients without an algorithm for ID tokens, where DOT answers 500."""

from __future__ import annotations

import pytest
from oauth2_provider.models import (
    get_access_token_model,
    get_grant_model,
    get_id_token_model,
    get_refresh_token_model,
)

from django_at_jwt.models import Authorization
from tests.openid_connect import OIDC_KEY, OPENID_CONNECT

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("openid", "signing_keys")]


@pytest.fixture
def openid(settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPENID_CONNECT}


@pytest.mark.parametrize(
    ("grant", "response_type"),
    [
        ("implicit", "id_token"),
        ("implicit", "id_token token"),
        ("openid-hybrid", "code id_token"),
        ("openid-hybrid", "code id_token token"),
    ],
)
def test_id_token_as_the_response_is_refused(grant, response_type, make_client, user):
    answer = make_client(grant, algorithm="").authorize(user, response_type=response_type, scope="openid read")
    assert answer["error"] == "unauthorized_client"


def test_refresh_after_the_algorithm_was_removed(make_client, user):
    client = make_client(algorithm="RS256")
    first = client.code_flow(user, scope="openid read").json()
    client.application.algorithm = ""
    client.application.save()
    answer = client.token("refresh_token", refresh_token=first["refresh_token"])
    assert answer.status_code == 200
    assert answer.json()["scope"] == first["scope"]
    assert ("id_token" in first, "id_token" in answer.json()) == (True, False)


def test_exchange_after_the_algorithm_was_removed(make_client, user):
    client = make_client(algorithm="RS256")
    code = client.authorize(user, scope="openid read")["code"]
    change(client, algorithm="")
    answer = client.exchange(code)
    assert answer.status_code == 200
    assert answer.json()["scope"] == "read"
    assert "id_token" not in answer.json()


@pytest.mark.parametrize("rsa_key", ["", OIDC_KEY])
def test_code_whose_id_token_cannot_be_signed(rsa_key, make_client, user, settings, events):
    client = make_client(algorithm="RS256")
    code = client.authorize(user, scope="openid read")["code"]
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_RSA_PRIVATE_KEY": rsa_key}
    # HS256 needs the secret in clear text, and it is stored as a hash.
    change(client, algorithm="HS256" if rsa_key else "RS256")
    answer = client.exchange(code)
    assert (answer.status_code, answer["Content-Type"], "Retry-After" in answer) == (503, "application/json", True)
    assert answer.json() == {
        "error": "server_error",
        "error_description": "The authorization server cannot sign ID tokens for this client.",
    }
    [refused] = [event for event in events if type(event).__name__ == "AccessTokenRefused"]
    assert ("client secret is hashed" if rsa_key else "OIDC_RSA_PRIVATE_KEY") in refused.reason
    assert_no_token()


def test_refresh_whose_id_token_cannot_be_signed_leaves_the_tokens(make_client, user):
    client = make_client(algorithm="RS256")
    first = client.code_flow(user, scope="openid read").json()
    change(client, algorithm="HS256")
    answer = client.token("refresh_token", refresh_token=first["refresh_token"])
    assert (answer.status_code, answer.json()["error"]) == (503, "server_error")
    change(client, algorithm="RS256")
    assert client.token("refresh_token", refresh_token=first["refresh_token"]).status_code == 200


def change(client, **fields):
    type(client.application).objects.filter(pk=client.application.pk).update(**fields)


def assert_no_token():
    models = (get_access_token_model(), get_refresh_token_model(), get_id_token_model())
    assert [model.objects.count() for model in models] == [0, 0, 0]
    # The code can still be used.
    assert get_grant_model().objects.count() == 1
    assert Authorization.objects.get().ended_at is None
