"""Access tokens at the authorization server's own endpoints and DOT's views, with and without OpenID Connect."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone
from oauth2_provider.models import get_access_token_model
from oauth2_provider.settings import oauth2_settings
from oauthlib.common import Request

from django_at_jwt.authorization_server.revocation.deny_list import deny_list
from django_at_jwt.authorization_server.revocation.revoke import revoke_audience
from tests.conftest import decoded
from tests.openid_connect import OPENID_CONNECT

pytestmark = pytest.mark.django_db

ON_THE_API = {"headers": {"Host": "api.example.com"}, "secure": True}
ON_ANOTHER_API = {"headers": {"Host": "reports.example.com"}, "secure": True}


@pytest.fixture(params=[True, False], ids=["openid", "plain"], autouse=True)
def openid_or_not(request, settings):
    if request.param:
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPENID_CONNECT}
    return request.param


def get(client, address, token, *, headers, secure):
    return client.get(address, headers={**headers, "Authorization": f"Bearer {token}"}, secure=secure)


@pytest.fixture
def token(signing_keys, make_client, user):
    return make_client(algorithm="RS256").code_flow(user, scope="openid read").json()["access_token"]


@pytest.mark.parametrize("address", ["/toolkit-drf/", "/toolkit-view/", "/toolkit-challenge/"])
def test_accepted_where_the_audience_covers_the_address(address, token, client):
    assert get(client, address, token, **ON_THE_API).status_code == 200
    assert get(client, address, token, **ON_ANOTHER_API).status_code in {401, 403}


def test_log_says_what_to_compare_if_the_audience_does_not_cover_the_address(token, client, caplog):
    caplog.set_level("INFO", logger="django_at_jwt.token")
    get(client, "/toolkit-view/", token, headers=ON_THE_API["headers"], secure=False)
    assert "wrong_audience" in caplog.text
    assert "compare scheme, host, port and path" in caplog.text


def test_userinfo_accepts_an_access_token(token, client, user, openid_or_not):
    answer = get(client, "/o/userinfo/", token, headers={}, secure=False)
    if not openid_or_not:
        assert answer.status_code == 404
        return
    assert answer.status_code == 200
    assert answer.json()["sub"] == str(user.pk) == decoded(token)[1]["sub"]


@pytest.mark.parametrize("openid_or_not", [True], indirect=True)
class TestUserInfoChallenges:
    """OpenID Connect Core section 5.3.3 refers to RFC 6750 section 3."""

    @pytest.mark.compliance("6750-2")
    def test_without_a_token(self, client):
        answer = client.get("/o/userinfo/")
        assert (answer.status_code, answer["WWW-Authenticate"], answer.json()) == (401, "Bearer", {})

    @pytest.mark.compliance("6750-3")
    def test_invalid_token(self, token, client):
        answer = get(client, "/o/userinfo/", f"{token}x", headers={}, secure=False)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith('Bearer error="invalid_token"')

    @pytest.mark.compliance("6750-3")
    @pytest.mark.parametrize("stored", [True, False], ids=["stored", "unstored"])
    def test_token_without_the_scope(self, stored, signing_keys, web, user, client, settings):
        settings.AT_JWT = {**settings.AT_JWT, "STORE_ACCESS_TOKENS": stored}
        token = web.code_flow(user, scope="read").json()["access_token"]
        answer = get(client, "/o/userinfo/", token, headers={}, secure=False)
        assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
        assert answer["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="openid"'
        assert answer["Content-Type"] == "application/json"

    def test_site_view_that_protects_itself(self, token, signing_keys, web, user, client, settings):
        settings.ROOT_URLCONF = "tests.own_views.urls_of_userinfo"
        without_scope = web.code_flow(user, scope="read").json()["access_token"]
        for sent, status in ((token, 200), (without_scope, 403)):
            assert get(client, "/own/userinfo/", sent, headers={}, secure=False).status_code == status

    @pytest.mark.compliance("6750-3")
    @pytest.mark.parametrize(
        "request_of",
        [
            lambda token: {"headers": {"Authorization": f"Bearer {token}"}, "data": {"access_token": token}},
            lambda token: {"headers": {"Authorization": f"Bearer {token} {token}"}},
            lambda token: {"headers": {"Authorization": "Bearer"}},
            lambda token: {"query_params": {"access_token": token}},
        ],
        ids=["header and form", "two in the header", "none in the header", "query"],
    )
    def test_malformed_request(self, request_of, token, client):
        answer = client.post("/o/userinfo/", **request_of(token))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert answer["WWW-Authenticate"].startswith('Bearer error="invalid_request"')

    def test_token_in_a_form(self, token, client):
        assert client.post("/o/userinfo/", {"access_token": token}).status_code == 200


def test_introspection_by_token_and_by_secret(signing_keys, service, client):
    # Introspection is an endpoint of the issuer: it checks the scope of a token and not its audience.
    asking = service.token("client_credentials", scope="introspection", resource=settings.REPORTS).json()[
        "access_token"
    ]
    asked = service.token("client_credentials", scope="read").json()["access_token"]
    for answer in (
        client.post("/o/introspect/", {"token": asked}, headers={"Authorization": f"Bearer {asking}"}),
        service.post("/o/introspect/", {"token": asked}),
    ):
        assert answer.json()["active"] is True
        assert answer.json()["aud"] == settings.API
        assert answer.json()["exp"] == decoded(asked)[1]["exp"]
    refused = client.post("/o/introspect/", {"token": asked}, headers={"Authorization": f"Bearer {asked}"})
    assert refused.status_code in {401, 403}


MALFORMED = [
    "ey..",
    "ey.a.b",
    "eyJ.eyJ.x",
    "ey.a.b.c.d",
    "eyJhbGciOiJub25lIn0.e30.",
    "eyJhbGciOiJIUzI1NiJ9.eyJhdWQiOiJ4In0.AAAA",
    "eyJ0eXAiOiJhdCtqd3QifQ.W10.AAAA",
    "ey" + "a" * 100_000 + "..",
    "opaque",
]


@pytest.mark.parametrize("malformed", MALFORMED, ids=range(len(MALFORMED)))
@pytest.mark.parametrize("address", ["/o/userinfo/", "/toolkit-drf/", "/toolkit-challenge/", "/whoami/"])
def test_malformed_bearer_is_401(address, malformed, db, client, openid_or_not):
    answer = get(client, address, malformed, **ON_THE_API)
    assert answer.status_code == (404 if address == "/o/userinfo/" and not openid_or_not else 401)


@pytest.mark.compliance("9068-29")
def test_id_token_is_refused_even_with_the_payload_of_an_access_token(
    token, signing_keys, make_client, user, client, openid_or_not
):
    if not openid_or_not:
        pytest.skip("there are no ID tokens without OpenID Connect")
    id_token = make_client(algorithm="RS256").code_flow(user, scope="openid read").json()["id_token"]
    for address in ("/toolkit-drf/", "/toolkit-challenge/", "/o/userinfo/", "/whoami/"):
        assert get(client, address, id_token, **ON_THE_API).status_code == 401


def test_revoked_token_is_refused_by_views_of_dot(signing_keys, web, user, client):
    token = web.code_flow(user).json()["access_token"]
    assert get(client, "/toolkit-drf/", token, **ON_THE_API).status_code == 200
    assert web.post("/o/revoke_token/", {"token": token}).status_code == 200
    assert get(client, "/toolkit-drf/", token, **ON_THE_API).status_code == 401
    introspected = web.post("/o/introspect/", {"token": token})
    assert introspected.json() == {"active": False}


def test_only_its_own_client_revokes_a_token(signing_keys, web, service, user, client):
    token = web.code_flow(user).json()["access_token"]
    assert service.post("/o/revoke_token/", {"token": token}).status_code == 200
    assert get(client, "/toolkit-drf/", token, **ON_THE_API).status_code == 200


def test_token_replaced_by_a_refresh_is_refused(
    signing_keys, web, user, client, settings, django_capture_on_commit_callbacks
):
    # Without rotation, DOT overwrites the row, so the former token no longer has one.
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ROTATE_REFRESH_TOKEN": False}
    first = web.code_flow(user).json()
    with django_capture_on_commit_callbacks(execute=True):
        second = web.token("refresh_token", refresh_token=first["refresh_token"], scope="read").json()
    for address in ("/toolkit-drf/", "/whoami/"):
        assert get(client, address, first["access_token"], **ON_THE_API).status_code == 401
        assert get(client, address, second["access_token"], **ON_THE_API).status_code == 200


def test_inactive_user_is_refused(token, client, user):
    user.is_active = False
    user.save()
    for address in ("/toolkit-drf/", "/toolkit-challenge/", "/whoami/"):
        assert get(client, address, token, **ON_THE_API).status_code == 401


def test_row_alone_is_not_enough(token, client, signing_keys):
    # The row exists, but the signing key is no longer published.
    from django_at_jwt.authorization_server.keys.store import key_store
    from django_at_jwt.models import SigningKey

    SigningKey.objects.all().delete()
    key_store.forget()
    assert get_access_token_model().objects.exists()
    assert get(client, "/toolkit-drf/", token, **ON_THE_API).status_code == 401


def store_opaque_token(client, user):
    """Store the token "opaque" without a resource, as of before this app was added."""
    get_access_token_model().objects.create(
        user=user,
        token="opaque",
        application=client.application,
        expires=timezone.now() + timedelta(hours=1),
        scope="read",
    )


def test_opaque_tokens_from_before_still_work(web, user, client, settings):
    store_opaque_token(web, user)
    assert get(client, "/toolkit-drf/", "opaque", **ON_THE_API).status_code == 200


def test_registration_access_token_is_not_an_access_token(signing_keys, make_client, user, client):
    registered = make_client(registration_source="dcr", user=user).application
    get_access_token_model().objects.create(
        user=user,
        token="manages the client",
        application=registered,
        expires=timezone.now() + timedelta(hours=1),
        scope=oauth2_settings.DCR_REGISTRATION_SCOPE,
    )
    for address in ("/toolkit-view/", "/toolkit-challenge/"):
        assert get(client, address, "manages the client", **ON_THE_API).status_code in {401, 403}
    validator = oauth2_settings.OAUTH2_VALIDATOR_CLASS()
    validator.audience = settings.API
    assert not validator.validate_bearer_token("manages the client", [], Request("https://api.example.com/"))


@pytest.mark.skipif(connection.vendor != "sqlite", reason="the deny list is read on another connection")
def test_opaque_token_without_a_resource_ends_with_those_of_the_api(web, user, settings, signing_keys):
    # DOT accepts it for any API, so it is concerned wherever an API's tokens are revoked.
    store_opaque_token(web, user)
    validator = oauth2_settings.OAUTH2_VALIDATOR_CLASS()
    validator.audience = settings.API

    def is_accepted():
        return validator.validate_bearer_token("opaque", ["read"], Request("https://api.example.com/"))

    assert is_accepted()
    revoke_audience(settings.REPORTS)
    deny_list.forget()
    assert is_accepted()
    revoke_audience(settings.API)
    deny_list.forget()
    assert not is_accepted()
