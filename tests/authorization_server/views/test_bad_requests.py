"""Malformed requests are answered with a standard error: no exception, and no token."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.test import Client
from oauth2_provider.models import get_refresh_token_model

from tests.conftest import REDIRECT_URI
from tests.openid_connect import OPENID_CONNECT
from tests.site.registration import OPEN_REGISTRATION

pytestmark = pytest.mark.django_db


@pytest.fixture
def openid(settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPENID_CONNECT}


@pytest.mark.parametrize("generator", ["django_at_jwt.generators.generate_access_token", None])
def test_userinfo_of_a_client_that_acts_for_itself(generator, signing_keys, service, client, openid, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ACCESS_TOKEN_GENERATOR": generator}
    token = service.token("client_credentials", scope="openid").json()["access_token"]
    assert (token.count(".") == 2) is (generator is not None)
    answer = client.get("/o/userinfo/", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert 'error="invalid_token"' in answer["WWW-Authenticate"]


class TestRefreshTokenOfTheClientsChoice:
    """Without refresh token rotation, other grants must not issue a refresh token that the client sent."""

    @pytest.fixture(autouse=True)
    def _not_rotating(self, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ROTATE_REFRESH_TOKEN": False}

    def test_with_a_code(self, signing_keys, web, user):
        chosen = web.code_flow(user, exchange={"refresh_token": "chosen"}).json()
        assert chosen["refresh_token"] != "chosen"
        again = web.token("refresh_token", refresh_token=chosen["refresh_token"]).json()
        assert again["refresh_token"] == chosen["refresh_token"]
        assert web.token("refresh_token", refresh_token="chosen").json()["error"] == "invalid_grant"

    def test_with_a_password(self, signing_keys, make_client, user):
        client = make_client("password")
        asked = {"username": "alice", "password": "correct horse", "refresh_token": "chosen"}
        assert client.token("password", **asked).json()["refresh_token"] != "chosen"

    def test_of_another_client(self, signing_keys, web, make_client, user):
        theirs = web.code_flow(user).json()["refresh_token"]
        taken = make_client().code_flow(user, exchange={"refresh_token": theirs}).json()
        assert taken["refresh_token"] != theirs
        assert get_refresh_token_model().objects.count() == 2
        assert web.token("refresh_token", refresh_token=theirs).status_code == 200


class TestAuthorizationAnswers:
    QUERY = {"response_type": "code", "redirect_uri": REDIRECT_URI, "state": "a state", "code_challenge": "c" * 43}

    @pytest.fixture
    def ask(self, web):
        def ask(**parameters):
            query = {**self.QUERY, "client_id": web.application.client_id, "code_challenge_method": "S256"}
            return web.browser.get("/o/authorize/", query | parameters)

        return ask

    @pytest.mark.parametrize("asked", [{"scope": "nope"}, {"resource": "https://x.example/"}, {"prompt": "none"}])
    def test_errors_name_the_issuer(self, asked, signing_keys, ask, settings):
        named = {**settings.OAUTH2_PROVIDER, "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True}
        settings.OAUTH2_PROVIDER = named
        answer = parse_qs(urlsplit(ask(**{"prompt": "none", **asked})["Location"]).query)
        assert "error" in answer
        assert (answer["iss"], answer["state"]) == ([settings.ISSUER], ["a state"])

    def test_denial_names_the_issuer_and_so_does_a_code_once(self, signing_keys, web, user, settings):
        named = {**settings.OAUTH2_PROVIDER, "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True}
        settings.OAUTH2_PROVIDER = named
        assert web.authorize(user, allow=False)["iss"] == settings.ISSUER
        assert web.authorize(user)["iss"] == settings.ISSUER

    @pytest.mark.parametrize("skip", [False, True])
    def test_prompt_none_without_a_login(self, skip, signing_keys, web, openid, ask):
        web.application.skip_authorization = skip
        web.application.algorithm = "RS256"
        web.application.save()
        answer = parse_qs(urlsplit(ask(scope="openid", prompt="none")["Location"]).query)
        assert (answer["error"], answer["state"]) == (["login_required"], ["a state"])

    def test_redirect_uri_with_an_invalid_port(self, signing_keys, make_client, user):
        client = make_client(redirect_uris="http://localhost:99999999/")
        client.browser.force_login(user)
        query = {**self.QUERY, "client_id": client.application.client_id, "redirect_uri": "http://localhost:99999999/"}
        assert client.browser.get("/o/authorize/", query).status_code == 400


class TestRegistration:
    GOOD = {"client_name": "a", "redirect_uris": ["https://client.example.com/"]}

    @pytest.fixture(autouse=True)
    def _open_to_everybody(self, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPEN_REGISTRATION}

    @pytest.mark.parametrize(
        ("changed", "error"),
        [
            *(({"client_name": name}, "invalid_client_metadata") for name in (1, True, ["a"], {"a": "b"})),
            ({"redirect_uris": [None]}, "invalid_client_metadata"),
            ({"redirect_uris": ["http://localhost:99999999/"]}, "invalid_redirect_uri"),
            ({"redirect_uris": ["https://[/"]}, "invalid_redirect_uri"),
            ({"redirect_uris": ["https://a.example/ https://b.example/"]}, "invalid_redirect_uri"),
            ({"redirect_uris": ["https://a.example/\nhttps://b.example/"]}, "invalid_redirect_uri"),
            ({"redirect_uris": [""]}, "invalid_redirect_uri"),
        ],
    )
    def test_metadata_of_the_wrong_kind(self, changed, error, client):
        refused = client.post("/o/register/", {**self.GOOD, **changed}, content_type="application/json")
        assert (refused.status_code, refused.json()["error"]) == (400, error)
        made = client.post("/o/register/", self.GOOD, content_type="application/json").json()
        header = {"Authorization": f"Bearer {made['registration_access_token']}"}
        where = urlsplit(made["registration_client_uri"]).path
        refused = client.put(where, {**self.GOOD, **changed}, content_type="application/json", headers=header)
        assert (refused.status_code, refused.json()["error"]) == (400, error)

    def test_address_of_the_client_follows_the_issuer(self, client):
        host = {"Host": "evil.example.com"}
        made = client.post("/o/register/", self.GOOD, content_type="application/json", headers=host)
        document = made.json()
        where = f"https://as.example.com/o/register/{document['client_id']}/"
        assert (made.status_code, document["registration_client_uri"]) == (201, where)
        assert "no-store" in made["Cache-Control"]
        header = host | {"Authorization": f"Bearer {document['registration_access_token']}"}
        address = urlsplit(where).path
        assert client.get(address, headers=header).json()["registration_client_uri"] == where
        changed = client.put(address, self.GOOD, content_type="application/json", headers=header)
        assert changed.json()["registration_client_uri"] == where

    @pytest.mark.parametrize("issuer", ["https://as.example.com/o", ""])
    def test_secret_that_never_expires(self, issuer, client, settings):
        """See RFC 7591 section 3.2.1, and RFC 7592 section 3 for later responses."""
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": issuer}
        for method, expires_at in (("client_secret_basic", 0), ("client_secret_post", 0), ("none", None)):
            asked = {**self.GOOD, "token_endpoint_auth_method": method}
            made = client.post("/o/register/", asked, content_type="application/json").json()
            assert ("client_secret" in made, made.get("client_secret_expires_at")) == (expires_at == 0, expires_at)
            where = urlsplit(made["registration_client_uri"]).path
            header = {"Authorization": f"Bearer {made['registration_access_token']}"}
            assert client.get(where, headers=header).json().get("client_secret_expires_at") == expires_at
            changed = client.put(where, asked, content_type="application/json", headers=header).json()
            assert changed.get("client_secret_expires_at") == expires_at


@pytest.mark.parametrize("address", ["/o/token/", "/o/revoke_token/", "/o/introspect/", "/o/userinfo/"])
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded; charset=utf-16", "a=b"),
        ("application/x-www-form-urlencoded; charset=utf-7", "a=b"),
        ("multipart/form-data", "a=b"),
        ("application/x-www-form-urlencoded", "&".join(["a=b"] * 1001)),
    ],
    ids=["utf-16", "utf-7", "no boundary", "many fields"],
)
def test_form_that_cannot_be_read(content_type, body, address, client):
    answer = client.generic("POST", address, body, content_type=content_type)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("address", ["/o/token/", "/o/revoke_token/", "/o/introspect/", "/o/authorize/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("charset", "value"),
    # Python has these codecs. Two can encode a lone surrogate; the third fails where others replace characters.
    [("utf-7", "+2AA-"), ("unicode_escape", "\\ud800"), ("idna", "a")],
)
def test_character_sets_that_no_client_uses(charset, value, method, address, web, user):
    web.browser.force_login(user)
    names = ("client_id", "code", "token", "scope", "redirect_uri")
    parts = "".join(f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name in names)
    answer = web.browser.generic(
        method,
        address,
        f"{parts}--x--\r\n",
        content_type=f"multipart/form-data; boundary=x; charset={charset}",
        QUERY_STRING=urlencode(dict.fromkeys(names, value)),
    )
    assert answer.status_code in {400, 405}


def reading_the_form(get_response):
    """Middleware of a site that reads each form before the view."""

    def middleware(request):
        _ = request.POST
        return get_response(request)

    return middleware


def test_multipart_form_that_a_middleware_has_read(signing_keys, service, client, settings):
    settings.MIDDLEWARE = [f"{__name__}.reading_the_form", *settings.MIDDLEWARE]
    settings.AT_JWT = {**settings.AT_JWT, "CLIENT_REGISTRATION": "open"}
    # Django's test client sends multipart/form-data.
    answer = client.post("/o/token/", {"grant_type": "client_credentials", **service.credentials})
    assert answer.status_code == 200
    answer = client.post("/o/register/", {"redirect_uris": "https://client.example.com/"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


def test_multipart_form_that_the_protection_against_csrf_has_read(signing_keys, web, user):
    web.browser = Client(enforce_csrf_checks=True)
    web.browser.force_login(user)
    asked = {"response_type": "code", "client_id": web.application.client_id, "redirect_uri": REDIRECT_URI}
    page = web.browser.get("/o/authorize/", asked | {"code_challenge": "c" * 43, "code_challenge_method": "S256"})
    hidden = {name: value for name, value in page.context["form"].initial.items() if value}
    sent = hidden | {"allow": "Authorize", "csrfmiddlewaretoken": page.context["csrf_token"]}
    # Django's test client sends multipart/form-data.
    assert "code=" in web.browser.post("/o/authorize/", sent)["Location"]
    wrong = {"user_code": "ABCD-EFGH", "csrfmiddlewaretoken": page.context["csrf_token"]}
    assert "Incorrect user code" in web.browser.post("/o/device/", wrong).content.decode()


@pytest.mark.parametrize("address", ["/o/token/", "/o/revoke_token/", "/o/introspect/"])
@pytest.mark.parametrize(("encoding", "text"), [("unknown", "a:b"), ("hex", "a:b"), ("utf-7", "+AAA-:+2AA-")])
def test_parameter_is_not_the_character_set_of_the_credentials(encoding, text, address, web):
    credentials = base64.b64encode(text.encode()).decode()
    form = {"grant_type": "client_credentials", "token": "x", "encoding": encoding}
    answer = web.browser.post(address, form, headers={"Authorization": f"Basic {credentials}"})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
