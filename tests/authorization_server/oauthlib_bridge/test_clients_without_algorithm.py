"""OpenID Connect by clients without an algorithm for ID tokens, where DOT answers 500."""

from __future__ import annotations

import pytest

from .test_generator import OIDC_KEY

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("openid", "signing_keys")]


@pytest.fixture
def openid(settings):
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": OIDC_KEY,
    }


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
    client.application.algorithm = ""
    client.application.save()
    answer = client.exchange(code)
    assert answer.status_code == 200
    assert answer.json()["scope"] == "read"
    assert "id_token" not in answer.json()
