"""The audience of tokens issued by the endpoints, and the matching rows."""

from __future__ import annotations

import pytest
from django.conf import settings
from oauth2_provider.models import (
    get_access_token_model,
    get_device_grant_model,
    get_grant_model,
    get_refresh_token_model,
)

from tests.conftest import decoded

pytestmark = pytest.mark.django_db

UNKNOWN = "https://unknown.example.com/"
UNACCEPTABLE = {
    "unknown": UNKNOWN,
    "fragment": f"{settings.API}#part",
    "relative": "/api/",
    "prefix": "https://api.example",
    "longer": f"{settings.API}more",
    "other scheme": "http://api.example.com/",
    "other port": "https://api.example.com:8443/",
    "no URI": "not a uri at all",
    "urn": "urn:example:api",
    "user info": "https://me@api.example.com/",
    "bad port": "https://api.example.com:x/",
    "script": "<script>alert(1)</script>",
}


def audience(answer) -> object:
    return decoded(answer["access_token"])[1]["aud"]


def assert_invalid_target(response, *, shown=UNKNOWN):
    assert response.status_code == 400
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert response.json()["error"] == "invalid_target"
    assert shown not in response.content.decode()
    assert not get_access_token_model().objects.exists()


@pytest.mark.compliance("9068-14", "8707-1")
class TestClientCredentials:
    def test_one_requested_resource_is_the_audience(self, signing_keys, service):
        answer = service.token("client_credentials", resource=settings.REPORTS).json()
        assert audience(answer) == settings.REPORTS
        assert get_access_token_model().objects.get().resource == [settings.REPORTS]

    def test_several_requested_resources_are_the_audience(self, signing_keys, service):
        wanted = [settings.REPORTS, settings.API]
        answer = service.token("client_credentials", resource=wanted).json()
        assert audience(answer) == wanted
        assert get_access_token_model().objects.get().resource == wanted

    def test_the_same_twice(self, signing_keys, service):
        answer = service.token("client_credentials", resource=[settings.API, settings.API]).json()
        assert audience(answer) == settings.API

    def test_empty_value_counts_as_absent(self, signing_keys, service):
        answer = service.token("client_credentials", resource="").json()
        assert audience(answer) == settings.API

    @pytest.mark.compliance("8707-2")
    @pytest.mark.parametrize("resource", UNACCEPTABLE.values(), ids=UNACCEPTABLE)
    def test_unacceptable_resource_is_invalid_target(self, resource, signing_keys, service):
        assert_invalid_target(service.token("client_credentials", resource=resource), shown=resource)

    def test_one_known_and_one_unknown(self, signing_keys, service):
        assert_invalid_target(service.token("client_credentials", resource=[settings.API, UNKNOWN]))
        assert_invalid_target(service.token("client_credentials", resource=[UNKNOWN, settings.API]))


@pytest.mark.compliance("8707-3")
class TestCodeFlow:
    def test_inherits_what_was_granted(self, signing_keys, web, user):
        code = web.authorize(user, resource=settings.REPORTS)["code"]
        assert get_grant_model().objects.get().resource == [settings.REPORTS]
        answer = web.exchange(code).json()
        assert audience(answer) == settings.REPORTS
        assert get_access_token_model().objects.get().resource == [settings.REPORTS]
        assert get_refresh_token_model().objects.get().resource == [settings.REPORTS]

    def test_exchange_narrows_the_audience(self, signing_keys, web, user):
        code = web.authorize(user, resource=[settings.API, settings.REPORTS])["code"]
        answer = web.exchange(code, resource=settings.REPORTS).json()
        assert audience(answer) == settings.REPORTS
        assert get_access_token_model().objects.get().resource == [settings.REPORTS]

    def test_never_widens(self, signing_keys, web, user):
        code = web.authorize(user, resource=settings.REPORTS)["code"]
        assert_invalid_target(web.exchange(code, resource=settings.API))
        assert_invalid_target(web.exchange(code, resource=[settings.REPORTS, settings.API]))
        # The code remains valid for what was granted.
        assert audience(web.exchange(code).json()) == settings.REPORTS

    def test_request_without_resource_is_for_the_default_only(self, signing_keys, web, user):
        code = web.authorize(user)["code"]
        assert get_grant_model().objects.get().resource == [settings.API]
        assert_invalid_target(web.exchange(code, resource=settings.REPORTS))
        assert audience(web.exchange(code).json()) == settings.API

    @pytest.mark.parametrize("resource", UNACCEPTABLE.values(), ids=UNACCEPTABLE)
    def test_unacceptable_is_refused_before_consent(self, resource, signing_keys, web, user):
        answer = web.authorize(user, resource=resource, allow=False)
        assert answer["error"] == "invalid_target"
        assert answer["state"] == "a state"
        assert not get_grant_model().objects.exists()

    def test_hidden_field_of_the_consent_page_cannot_widen_it(self, signing_keys, web, user):
        web.browser.force_login(user)
        page = web.browser.get(
            "/o/authorize/",
            {
                "response_type": "code",
                "client_id": web.application.client_id,
                "redirect_uri": web.application.redirect_uris,
                "state": "a state",
                "code_challenge": "x" * 43,
                "code_challenge_method": "S256",
            },
        )
        form = {name: value for name, value in page.context["form"].initial.items() if value is not None}
        answer = web.browser.post("/o/authorize/", {**form, "resource": UNKNOWN, "allow": "on"})
        assert "error=invalid_target" in answer["Location"]
        assert not get_grant_model().objects.exists()

    def test_application_that_skips_the_consent_page(self, signing_keys, make_client, user):
        trusted = make_client(skip_authorization=True)
        wanted = [settings.REPORTS, settings.API]
        assert audience(trusted.code_flow(user, resource=wanted).json()) == wanted
        assert trusted.authorize(user, resource=UNKNOWN)["error"] == "invalid_target"


class TestRefresh:
    @pytest.fixture
    def granted_both(self, signing_keys, web, user):
        return web.code_flow(user, resource=[settings.API, settings.REPORTS]).json()

    def test_refresh_inherits_the_granted_resources(self, granted_both, web):
        answer = web.token("refresh_token", refresh_token=granted_both["refresh_token"]).json()
        assert audience(answer) == [settings.API, settings.REPORTS]

    @pytest.mark.parametrize("rotating", [True, False])
    def test_moves_within_what_was_granted(self, rotating, granted_both, web, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ROTATE_REFRESH_TOKEN": rotating}
        answer = granted_both
        for resource in (settings.REPORTS, settings.API, settings.REPORTS):
            answer = web.token("refresh_token", refresh_token=answer["refresh_token"], resource=resource).json()
            assert audience(answer) == resource
            assert get_refresh_token_model().objects.get(revoked=None).access_token.resource == [resource]

    def test_never_widens(self, signing_keys, web, user):
        first = web.code_flow(user, resource=settings.REPORTS).json()
        refused = web.token("refresh_token", refresh_token=first["refresh_token"], resource=settings.API)
        assert refused.json()["error"] == "invalid_target"
        assert refused["Content-Type"] == "application/json"
        # Nothing was consumed: the refresh token still works.
        again = web.token("refresh_token", refresh_token=first["refresh_token"]).json()
        assert audience(again) == settings.REPORTS

    def test_row_from_before_this_app(self, signing_keys, web, user):
        first = web.code_flow(user).json()
        get_refresh_token_model().objects.update(resource=[])
        refused = web.token("refresh_token", refresh_token=first["refresh_token"], resource=settings.REPORTS)
        assert refused.json()["error"] == "invalid_target"
        answer = web.token("refresh_token", refresh_token=first["refresh_token"]).json()
        assert audience(answer) == settings.API

    def test_resource_that_is_no_longer_registered(self, granted_both, web, settings):
        settings.AT_JWT = {"DEFAULT_RESOURCE": settings.API}
        refused = web.token("refresh_token", refresh_token=granted_both["refresh_token"])
        assert refused.json()["error"] == "invalid_target"
        assert "no longer available to this client. Name one of the others" in refused.json()["error_description"]
        answer = web.token("refresh_token", refresh_token=granted_both["refresh_token"], resource=settings.API)
        assert audience(answer.json()) == settings.API


class TestFrontChannel:
    def test_implicit_grant_has_the_requested_audience(self, signing_keys, make_client, user):
        client = make_client("implicit")
        assert audience(client.authorize(user, response_type="token", resource=settings.REPORTS)) == settings.REPORTS
        assert client.authorize(user, response_type="token", resource=UNKNOWN)["error"] == "invalid_target"

    def test_password_grant_has_the_requested_audience(self, signing_keys, make_client, user):
        client = make_client("password")
        owner = {"username": "alice", "password": "correct horse"}
        assert audience(client.token("password", **owner, resource=settings.REPORTS).json()) == settings.REPORTS
        get_access_token_model().objects.all().delete()
        assert_invalid_target(client.token("password", **owner, resource=UNKNOWN))


class TestDevice:
    def test_unknown_resource_is_refused_before_the_user_is_asked(self, signing_keys, make_client):
        client = make_client("urn:ietf:params:oauth:grant-type:device_code", client_type="public")
        refused = client.post("/o/device-authorization/", {"scope": "read", "resource": UNKNOWN})
        assert_invalid_target(refused)
        assert not get_device_grant_model().objects.exists()
