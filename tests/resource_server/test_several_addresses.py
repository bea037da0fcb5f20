"""A site with several addresses: each API has several identifiers, and one of them in ``aud`` suffices."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.http import JsonResponse
from django.test import Client
from django.urls import include, path
from oauthlib.common import Request
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from django_at_jwt import TokenRejected, averify, verify
from django_at_jwt.resource_server import protected_resources
from django_at_jwt.rest_framework import AccessTokenAuthentication
from django_at_jwt.revocation import revoke_audience
from django_at_jwt.testing import InMemoryIssuer
from django_at_jwt.validators import OAuth2Validator
from django_at_jwt.views import AccessTokenRequiredMixin, access_token_required
from tests.conftest import decoded

WWW, APP, LOCAL = "https://www.example.com/", "https://app.example.com/", "http://localhost:8000/"
ADDRESSES = [WWW, APP, LOCAL]
DOCUMENT = "/.well-known/oauth-protected-resource"

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls(__name__),
    pytest.mark.usefixtures("keys_made_quickly", "signing_keys"),
]


class Api(APIView):
    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [IsAuthenticated]

    def get(self, request):
        return Response({"aud": request.auth["aud"]})


class Named(Api):
    authentication_classes = [AccessTokenAuthentication.for_audience(ADDRESSES)]


class Subclass(Api):
    class Ours(AccessTokenAuthentication):
        audience = (WWW, APP)

    authentication_classes = [Ours]


@access_token_required(scopes=[], audience=ADDRESSES)
def function(request):
    return JsonResponse({"aud": request.access_token["aud"]})


@access_token_required(scopes=[], audience=ADDRESSES)
async def asynchronous(request):
    return JsonResponse({"aud": request.access_token["aud"]})


urlpatterns = [
    path("o/", include("django_at_jwt.urls")),
    path("", include("django_at_jwt.resource_urls")),
    path("api/", Api.as_view()),
    path("named/", Named.as_view()),
    path("subclass/", Subclass.as_view()),
    path("function/", function),
    path("asynchronous/", asynchronous),
]


@pytest.fixture(autouse=True)
def _site(settings, monkeypatch):
    settings.AT_JWT = {
        **settings.AT_JWT,
        "DEFAULT_RESOURCE": WWW,
        "RESOURCE_SERVERS": [APP, LOCAL],
        "AUDIENCE": ADDRESSES,
    }
    monkeypatch.setattr(protected_resources, "_named_by_views", dict.fromkeys(ADDRESSES))


def token_for(service, audience):
    answer = service.token("client_credentials", resource=audience)
    assert answer.status_code == 200, answer.content
    assert decoded(answer.json()["access_token"])[1]["aud"] == audience
    return answer.json()["access_token"]


def get(address, token=None, host="www.example.com"):
    headers = {"Host": host} if token is None else {"Host": host, "Authorization": f"Bearer {token}"}
    return Client().get(address, headers=headers)


@pytest.mark.parametrize("address", ["/api/", "/named/", "/function/", "/asynchronous/"])
@pytest.mark.parametrize("host", ["www.example.com", "app.example.com", "localhost:8000", "elsewhere.example.com"])
def test_a_token_for_any_of_them_is_accepted_under_every_host(address, host, service, settings):
    settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": [APP, LOCAL, "https://other.example.com/"]}
    for audience in ADDRESSES:
        answer = get(address, token_for(service, audience), host)
        assert (answer.status_code, answer.json()) == (200, {"aud": audience})
    assert get(address, token_for(service, "https://other.example.com/"), host).status_code == 401


def test_a_view_may_name_some_of_them(service):
    assert get("/subclass/", token_for(service, APP)).status_code == 200
    assert get("/subclass/", token_for(service, LOCAL)).status_code == 401


@pytest.mark.compliance("9728-1")
class TestMetadata:
    @pytest.mark.parametrize(
        ("host", "identifier"),
        [("www.example.com", WWW), ("app.example.com", APP), ("APP.example.com", APP), ("localhost:8000", LOCAL)],
    )
    @pytest.mark.parametrize("address", ["/api/", "/named/", "/function/", "/asynchronous/"])
    def test_the_challenge_names_the_document_on_the_host_of_the_request(self, address, host, identifier):
        answer = get(address, host=host)
        assert answer.status_code == 401
        assert f'resource_metadata="{identifier.rstrip("/")}{DOCUMENT}"' in answer["WWW-Authenticate"]
        document = get(DOCUMENT, host=host.lower()).json()
        assert document["resource"] == identifier
        assert document["authorization_servers"] == ["https://as.example.com/o"]

    @pytest.mark.parametrize("host", ["evil.example.com", "localhost", "www.example.com:8443"])
    def test_another_host_does_not_get_into_the_challenge(self, host):
        answer = get("/api/", host=host)
        assert f'resource_metadata="{WWW.rstrip("/")}{DOCUMENT}"' in answer["WWW-Authenticate"]
        assert "evil" not in answer["WWW-Authenticate"]

    def test_refused_token_gets_the_same_challenge(self, service):
        answer = get("/api/", "x.y.z", host="app.example.com")
        assert answer.status_code == 401
        assert f'resource_metadata="{APP.rstrip("/")}{DOCUMENT}"' in answer["WWW-Authenticate"]

    def test_a_host_that_is_not_allowed_is_a_bad_request(self, settings):
        settings.ALLOWED_HOSTS = ["www.example.com"]
        for host in ("evil.example.com", "not a host"):
            answer = get("/api/", host=host)
            assert answer.status_code in {400, 401}
            assert "evil" not in answer.get("WWW-Authenticate", "")


class TestFunctions:
    def test_verify_accepts_several_audiences(self, service):
        token = token_for(service, APP)
        assert verify(token, audience=[WWW, APP]).auth["aud"] == APP
        assert verify(token).auth["aud"] == APP
        with pytest.raises(TokenRejected):
            verify(token, audience=[WWW, LOCAL])

    def test_averify_accepts_several_audiences(self):
        issuer = InMemoryIssuer(audience=LOCAL)
        with issuer.installed():
            token = issuer.token(sub="a client", client_id="a client")
            assert async_to_sync(averify)(token, audience=[WWW, LOCAL]).auth["aud"] == LOCAL
            with pytest.raises(TokenRejected):
                async_to_sync(averify)(token, audience=[WWW])

    @pytest.mark.parametrize("audience", ["", [], [""], [WWW, None], 1, b"https://www.example.com/"])
    def test_invalid_audience_is_refused_where_it_is_declared(self, audience):
        with pytest.raises(
            ImproperlyConfigured, match="audience must be a non-empty string, a list of such strings, or None"
        ):
            AccessTokenAuthentication.for_audience(audience)
        with pytest.raises(ImproperlyConfigured):
            access_token_required(scopes=[], audience=audience)
        with pytest.raises(ImproperlyConfigured):
            verify("x.y.z", audience=audience)

    def test_the_mixin_takes_a_list(self):
        class View(AccessTokenRequiredMixin):
            audience = ADDRESSES

        assert View.audience == ADDRESSES


class TestRevocation:
    @pytest.mark.parametrize("address", ["/api/", "/named/"])
    def test_of_one_audience_leaves_the_others(self, address, service, committing):
        tokens = {audience: token_for(service, audience) for audience in ADDRESSES}
        with committing():
            revoke_audience(APP)
        assert {audience: get(address, token).status_code for audience, token in tokens.items()} == {
            WWW: 200,
            APP: 401,
            LOCAL: 200,
        }

    def test_a_token_for_two_of_them_is_accepted_until_both_are_revoked(self, service, committing):
        both = service.token("client_credentials", resource=[WWW, APP], scope="openid").json()["access_token"]
        with committing():
            revoke_audience(APP)
        assert get("/api/", both).status_code == 200
        with committing():
            revoke_audience(WWW)
        assert get("/api/", both).status_code == 401

    def test_an_audience_of_another_api_does_not_keep_a_token_alive(self, service, committing):
        both = service.token("client_credentials", resource=[WWW, LOCAL], scope="openid").json()["access_token"]
        assert get("/subclass/", both).status_code == 200
        with committing():
            revoke_audience(WWW)
        # That view is not for LOCAL; the other one is.
        assert get("/subclass/", both).status_code == 401
        assert get("/api/", both).status_code == 200


class TestToolkitViews:
    def test_the_validator_takes_a_list(self, service):
        validator = ValidatorOfAddresses()
        for audience in ADDRESSES:
            assert validator.validate_bearer_token(token_for(service, audience), [], Request("https://x.example/y"))
        ValidatorOfAddresses.audience = [WWW]
        try:
            token = token_for(service, APP)
            assert not validator.validate_bearer_token(token, [], Request("https://x.example/y"))
        finally:
            ValidatorOfAddresses.audience = ADDRESSES

    def test_validator_without_an_address_uses_the_settings(self, service, settings):
        for audience in ADDRESSES:
            assert OAuth2Validator().validate_bearer_token(token_for(service, audience), [], Request(""))
        settings.AT_JWT = {**settings.AT_JWT, "AUDIENCE": LOCAL}
        assert not OAuth2Validator().validate_bearer_token(token_for(service, APP), [], Request(""))


class ValidatorOfAddresses(OAuth2Validator):
    audience = ADDRESSES
