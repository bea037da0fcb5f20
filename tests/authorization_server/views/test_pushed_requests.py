"""Pushed authorization requests (RFC 9126), which django-oauth-toolkit has after version 3.4."""

from __future__ import annotations

import base64
import hashlib
import secrets
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone

from django_at_jwt.authorization_server import toolkit
from tests.conftest import REDIRECT_URI, SECRET, decoded

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(
        toolkit.get_par_request_model is None,
        reason="the installed django-oauth-toolkit has no pushed authorization requests",
    ),
]

CONTEXTS = {"urn:example:password": ["pwd"], "urn:example:strong": ["pwd", "hwk"]}


class PushingClient:
    """A client that pushes its authorization requests, and the browser of its user."""

    def __init__(self, web, user):
        self.web, self.user, self.browser = web, user, Client()
        self.client_id = web.application.client_id

    def push(self, **parameters):
        self.web.verifier = secrets.token_urlsafe(48)
        digest = hashlib.sha256(self.web.verifier.encode()).digest()
        return self.web.post(
            "/o/par/",
            {
                "response_type": "code",
                "redirect_uri": REDIRECT_URI,
                "scope": "read write",
                "state": "a state",
                "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
                "code_challenge_method": "S256",
                **parameters,
            },
        )

    def address(self, **parameters):
        answer = self.push(**parameters)
        assert answer.status_code == 201, answer.content
        return f"/o/authorize/?client_id={self.client_id}&request_uri={answer.json()['request_uri']}"

    def open(self, address):
        return self.browser.get(address)

    def log_in(self):
        self.browser.force_login(self.user)

    def agree(self, address):
        """Agree on the consent page, and return the parameters of the redirect to the client."""
        page = self.open(address)
        assert page.status_code == 200, page.content
        form = {name: value for name, value in page.context["form"].initial.items() if value is not None}
        return redirected(self.browser.post(address, {**form, "allow": "on"}))

    def exchange(self, answer):
        response = self.web.exchange(answer["code"])
        assert response.status_code == 200, response.content
        return decoded(response.json()["access_token"])


def redirected(response):
    assert response.status_code == 302, response.content
    assert response["Location"].startswith(REDIRECT_URI)
    return {name: values[0] for name, values in parse_qs(urlsplit(response["Location"]).query).items()}


def login_address(response):
    """Return the address to return to after the login."""
    assert response.status_code == 302, response.content
    assert urlsplit(response["Location"]).path == django_settings.LOGIN_URL
    return parse_qs(urlsplit(response["Location"]).query)["next"][0]


@pytest.fixture
def client(signing_keys, web, user):
    client = PushingClient(web, user)
    client.log_in()
    return client


@pytest.fixture(params=[False, True], ids=["allowed", "required"])
def required(request, settings):
    """Whether all clients must push their requests."""
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "REQUIRE_PUSHED_AUTHORIZATION_REQUESTS": request.param,
    }
    return request.param


@pytest.fixture
def contexts(settings):
    settings.AT_JWT = {**settings.AT_JWT, "AUTHENTICATION_CONTEXTS": CONTEXTS}


class TestToken:
    def test_has_the_pushed_resource_and_scopes(self, required, client):
        address = client.address(resource=django_settings.REPORTS, scope="reports:read")
        consent = client.open(address).context["consent"]
        assert [server.identifier for server in consent.servers] == [django_settings.REPORTS]
        address = client.address(resource=django_settings.REPORTS, scope="reports:read")
        header, claims = client.exchange(client.agree(address))
        assert header["typ"] == "at+jwt"
        assert claims["aud"] == django_settings.REPORTS
        assert claims["scope"] == "reports:read"
        assert claims["client_id"] == client.client_id

    def test_has_the_default_resource(self, client):
        _, claims = client.exchange(client.agree(client.address()))
        assert claims["aud"] == django_settings.API

    def test_can_be_for_several_resources(self, client):
        resources = [django_settings.API, django_settings.REPORTS]
        _, claims = client.exchange(client.agree(client.address(resource=resources)))
        assert claims["aud"] == resources

    def test_parameters_in_the_address_do_not_count(self, client):
        address = f"{client.address(resource=django_settings.API)}&resource={django_settings.REPORTS}&scope=write"
        _, claims = client.exchange(client.agree(address))
        assert (claims["aud"], claims["scope"]) == (django_settings.API, "read write")

    def test_without_a_consent_page(self, client):
        client.web.application.skip_authorization = True
        client.web.application.save()
        address = client.address(resource=django_settings.REPORTS, scope="reports:read")
        _, claims = client.exchange(redirected(client.open(address)))
        assert claims["aud"] == django_settings.REPORTS

    def test_consent_is_for_the_pushed_resource(self, client):
        client.exchange(client.agree(client.address(resource=django_settings.API)))
        address = client.address(resource=django_settings.API, approval_prompt="auto")
        assert "code" in redirected(client.open(address))
        address = client.address(resource=django_settings.REPORTS, approval_prompt="auto")
        assert client.open(address).status_code == 200


class TestRefused:
    def test_unknown_resource(self, client):
        answer = client.push(resource="https://unknown.example.com/")
        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/json"
        assert answer.json()["error"] == "invalid_target"
        assert "unknown.example.com" not in answer.content.decode()
        assert not toolkit.get_par_request_model().objects.exists()

    def test_one_known_and_one_unknown_resource(self, client):
        answer = client.push(resource=[django_settings.API, "https://unknown.example.com/"])
        assert answer.json()["error"] == "invalid_target"

    def test_resource_that_is_no_longer_available(self, client, settings):
        address = client.address(resource=django_settings.REPORTS, scope="reports:read")
        settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {}}
        assert redirected(client.open(address))["error"] == "invalid_target"

    def test_credentials_in_the_query(self, client):
        answer = Client().post(
            f"/o/par/?client_id={client.client_id}&client_secret={SECRET}",
            "response_type=code",
            content_type="application/x-www-form-urlencoded",
        )
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_request"

    def test_wrong_secret(self, client):
        answer = client.push(client_secret="wrong")
        assert answer.status_code == 401
        assert answer.json()["error"] == "invalid_client"

    def test_request_uri_that_was_used(self, client):
        address = client.address()
        client.agree(address)
        assert client.open(address).status_code == 400

    def test_request_uri_of_another_client(self, client, make_client):
        address = client.address().replace(client.client_id, make_client().application.client_id)
        assert client.open(address).status_code == 400

    def test_request_uri_that_has_expired(self, client):
        address = client.address(max_age=0)
        toolkit.get_par_request_model().objects.update(expires=timezone.now() - timedelta(seconds=1))
        assert client.open(address).status_code == 400

    def test_plain_request_where_pushing_is_required(self, client, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REQUIRE_PUSHED_AUTHORIZATION_REQUESTS": True}
        query = {"response_type": "code", "client_id": client.client_id, "redirect_uri": REDIRECT_URI}
        assert client.browser.get("/o/authorize/", query).status_code == 400

    def test_unreadable_parameters(self, client):
        answer = client.push(state="\0")
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_request"


class TestLogin:
    @pytest.mark.parametrize("asked", [{"max_age": 0}, {"prompt": "login"}], ids=["max_age", "prompt"])
    def test_is_asked_for_once(self, asked, required, client):
        address = client.address(**asked)
        back = login_address(client.open(address))
        assert login_address(client.open(back)) == back
        client.log_in()
        _, claims = client.exchange(client.agree(back))
        assert claims["aud"] == django_settings.API

    @pytest.mark.parametrize("asked", [{}, {"max_age": 60}, {"prompt": "login"}], ids=["plain", "max_age", "prompt"])
    def test_of_a_user_who_is_not_logged_in(self, asked, required, client):
        client.browser.logout()
        back = login_address(client.open(client.address(**asked)))
        client.log_in()
        assert "code" in client.agree(back)

    def test_enough_for_max_age_is_not_asked_for(self, required, client):
        assert "code" in client.agree(client.address(max_age=1000))

    def test_of_the_context_is_in_the_token(self, required, contexts, client, user):
        Client().get("/")
        client.browser.login(username="alice", password="correct horse")
        _, claims = client.exchange(client.agree(client.address(acr_values="urn:example:password")))
        assert claims["acr"] == "urn:example:password"

    def test_that_cannot_meet_the_context(self, required, contexts, client):
        address = client.address(acr_values="urn:example:strong")
        back = login_address(client.open(address))
        client.browser.login(username="alice", password="correct horse")
        answer = redirected(client.open(back))
        assert (answer["error"], answer["state"]) == ("unmet_authentication_requirements", "a state")
        # A pushed request can be used once, even if the response is an error.
        assert client.open(back).status_code == 400

    def test_that_must_not_be_asked_for(self, required, client):
        client.web.application.skip_authorization = True
        client.web.application.save()
        address = client.address(prompt="none")
        client.browser.logout()
        assert redirected(client.open(address))["error"] == "login_required"
        assert not toolkit.get_par_request_model().objects.exists()

    def test_asked_for_in_the_address_alone_does_not_count(self, client):
        assert client.open(f"{client.address()}&prompt=login").status_code == 200


class TestMetadata:
    def test_announces_the_endpoint(self, required, client):
        document = client.browser.get("/.well-known/oauth-authorization-server/o").json()
        assert document["pushed_authorization_request_endpoint"] == "https://as.example.com/o/par/"
        assert document.get("require_pushed_authorization_requests", False) == required

    def test_does_not_announce_one_that_is_off(self, client, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "PAR_ENABLED": False}
        document = client.browser.get("/.well-known/oauth-authorization-server/o").json()
        assert "pushed_authorization_request_endpoint" not in document
        assert client.push().status_code == 404
