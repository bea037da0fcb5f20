"""Attacks on DOT's flows, and the countermeasures of this app."""

from __future__ import annotations

import base64

import pytest
from django.conf import settings
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_device_grant_model, get_refresh_token_model

from django_at_jwt.authorization_server.toolkit import app_authorized
from django_at_jwt.authorization_server.views.device import DeviceConfirmView
from django_at_jwt.models import Authorization
from django_at_jwt.validators import OAuth2Validator
from tests.conftest import DEVICE_CODE_GRANT, REDIRECT_URI, decoded
from tests.openid_connect import OPENID_CONNECT
from tests.site.registration import OPEN_REGISTRATION

pytestmark = pytest.mark.django_db


class Device:
    def __init__(self, make_client, user):
        self.client = make_client(DEVICE_CODE_GRANT, client_type="public")
        self.user = user

    def start(self, **asked):
        answer = self.client.post("/o/device-authorization/", {"scope": "read", **asked})
        assert answer.status_code == 200, answer.content
        get_device_grant_model().objects.update(status="authorized", user=self.user)
        return answer.json()["device_code"]

    def poll(self, code, **asked):
        return self.client.token(DEVICE_CODE_GRANT, device_code=code, **asked)


@pytest.fixture
def device(signing_keys, make_client, user):
    return Device(make_client, user)


@pytest.mark.compliance("8707-3")
class TestDeviceResources:
    def test_what_was_asked_for_is_what_is_granted(self, device):
        code = device.start(resource=[settings.REPORTS, settings.API])
        assert decoded(device.poll(code).json()["access_token"])[1]["aud"] == [settings.REPORTS, settings.API]

    def test_poll_narrows_and_never_widens(self, device):
        code = device.start(resource=settings.REPORTS)
        for widened in (settings.API, [settings.REPORTS, settings.API]):
            refused = device.poll(code, resource=widened)
            assert refused.status_code == 400
            assert refused.json()["error"] == "invalid_target"
        token = device.poll(code, resource=settings.REPORTS).json()["access_token"]
        assert decoded(token)[1]["aud"] == settings.REPORTS

    def test_request_without_resource_is_for_the_default(self, device):
        code = device.start()
        assert device.poll(code, resource=settings.REPORTS).json()["error"] == "invalid_target"
        assert decoded(device.poll(code).json()["access_token"])[1]["aud"] == settings.API

    def test_row_does_not_show_the_code(self, device):
        code = device.start()
        row = Authorization.objects.get()
        assert code not in f"{vars(row)} {row}"

    def test_code_brings_one_token(self, device):
        code = device.start()
        assert device.poll(code).status_code == 200
        again = device.poll(code)
        assert again.status_code == 400
        assert get_access_token_model().objects.count() == 1

    def test_code_that_was_approved_ends_like_any_other(self, device):
        code = device.start()
        get_device_grant_model().objects.update(expires=timezone.now())
        assert device.poll(code).json()["error"] == "expired_token"
        assert not get_access_token_model().objects.exists()


@pytest.mark.compliance("8628-1")
class TestDeviceScopes:
    """The scopes are those of the device authorization request; a token request has none (RFC 8628 section 3.4)."""

    POLLED = ({}, {"scope": "write openid"}, {"scope": "made-up"}, {"scope": ""})

    def scope_of(self, device, code, **polled):
        answer = device.poll(code, **polled)
        assert answer.status_code == 200, answer.content
        assert decoded(answer.json()["access_token"])[1].get("scope", "") == answer.json()["scope"]
        return answer.json()["scope"]

    @pytest.mark.parametrize("polled", POLLED)
    @pytest.mark.parametrize("later", [[], ["read", "write"]], ids=["no default scopes", "new default scopes"])
    def test_device_without_consented_scopes_gets_none(self, later, polled, device, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "DEFAULT_SCOPES": []}
        started = device.client.post("/o/device-authorization/", {}).json()
        browser = device.client.browser
        browser.force_login(device.user)
        confirm = browser.post("/o/device/", {"user_code": started["user_code"]})["Location"]
        assert "without specific permissions" in browser.get(confirm).content.decode()
        browser.post(confirm, {"action": "accept"})
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "DEFAULT_SCOPES": later}
        assert self.scope_of(device, started["device_code"], **polled) == ""

    @pytest.mark.parametrize("polled", POLLED)
    def test_device_gets_the_consented_scopes(self, polled, device):
        assert self.scope_of(device, device.start(), **polled) == "read"

    def test_refresh_gets_at_most_what_was_granted(self, device):
        refresh_token = device.poll(device.start(), scope="read write").json()["refresh_token"]
        for scope in ("write", "read write", "openid"):
            refused = device.client.token("refresh_token", refresh_token=refresh_token, scope=scope)
            assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")
        assert device.client.token("refresh_token", refresh_token=refresh_token).json()["scope"] == "read"

    def test_page_and_token_are_about_the_authorization(self, device):
        started = device.client.post("/o/device-authorization/", {"scope": "read"}).json()
        get_device_grant_model().objects.update(scope="read write")
        browser = device.client.browser
        browser.force_login(device.user)
        confirm = browser.post("/o/device/", {"user_code": started["user_code"]})["Location"]
        assert browser.get(confirm).context["scopes_descriptions"] == ["Read"]
        browser.post(confirm, {"action": "accept"})
        assert self.scope_of(device, started["device_code"]) == "read"

    @pytest.mark.parametrize("polled", POLLED)
    def test_code_from_before_this_app(self, polled, device):
        code = device.start()
        Authorization.objects.all().delete()
        assert self.scope_of(device, code, **polled) == "read"

    def test_scope_that_the_site_has_withdrawn(self, device, settings):
        code = device.start()
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": {"write": "Write"}}
        refused = device.poll(code, scope="write")
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_scope")


class TestDeviceApproval:
    """Another request interferes between two steps of a user's request."""

    @pytest.fixture
    def confirm(self, device):
        started = device.client.post("/o/device-authorization/", {"scope": "read"}).json()
        device.client.browser.force_login(device.user)
        return device.client.browser.post("/o/device/", {"user_code": started["user_code"]})["Location"]

    def approve(self, device, confirm, monkeypatch, meanwhile):
        get_object = DeviceConfirmView.get_object

        def then_another_request(view):
            found = get_object(view)
            get_device_grant_model().objects.update(**meanwhile)
            return found

        monkeypatch.setattr(DeviceConfirmView, "get_object", then_another_request)
        assert device.client.browser.post(confirm, {"action": "accept"}).status_code == 404
        grant = get_device_grant_model().objects.get()
        assert {name: getattr(grant, name) for name in meanwhile} == meanwhile
        assert Authorization.objects.get().authentication is None

    def test_of_a_code_that_another_user_has_just_entered(self, device, confirm, monkeypatch, django_user_model):
        self.approve(device, confirm, monkeypatch, {"user": django_user_model.objects.create_user("bob")})

    @pytest.mark.parametrize("status", ["denied", "expired"])
    def test_of_a_code_that_was_answered(self, status, device, confirm, monkeypatch):
        self.approve(device, confirm, monkeypatch, {"status": status})


class TestConsent:
    def test_consent_to_one_api_does_not_cover_another(self, signing_keys, web, user):
        web.code_flow(user, scope="read")
        asked = {"scope": "read", "approval_prompt": "auto", "allow": False}
        # The consent page was shown, and the user denied.
        assert web.authorize(user, resource=settings.REPORTS, **asked)["error"] == "access_denied"
        assert web.authorize(user, resource=[settings.API, settings.REPORTS], **asked)["error"] == "access_denied"
        # No consent page for the API that the user has consented to.
        assert "code" in web.authorize(user, **asked)
        assert "code" in web.authorize(user, resource=settings.API, **asked)
        assert (
            web.authorize(user, scope="read write", approval_prompt="auto", allow=False, resource=settings.REPORTS)[
                "error"
            ]
            == "access_denied"
        )

    def test_the_same_by_the_sites_setting(self, signing_keys, web, user, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REQUEST_APPROVAL_PROMPT": "auto"}
        web.code_flow(user, scope="read")
        assert web.authorize(user, scope="read", resource=settings.REPORTS, allow=False)["error"] == "access_denied"
        assert "code" in web.authorize(user, scope="read", allow=False)

    @pytest.mark.parametrize(("skip", "expected"), [(False, "consent_required"), (True, None)])
    def test_prompt_none(self, skip, expected, signing_keys, make_client, user, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPENID_CONNECT}
        client = make_client(algorithm="RS256", skip_authorization=skip)
        answer = client.authorize(user, scope="openid", prompt="none")
        assert answer.get("error") == expected

    @pytest.mark.parametrize(("name", "value"), [("nonce", "n" * 256), ("code_challenge", "c" * 129)])
    def test_values_too_long_for_their_column(self, name, value, signing_keys, web, user):
        assert web.authorize(user, **{name: value})["error"] == "invalid_request"


class TestConsentForm:
    def test_is_in_no_frame_and_no_cache_whatever_middleware_there_is(self, device, settings):
        settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if "clickjacking" not in each]
        started = device.client.post("/o/device-authorization/", {"scope": "read"}).json()
        browser = device.client.browser
        browser.force_login(device.user)
        confirm = browser.post("/o/device/", {"user_code": started["user_code"]})["Location"]
        query = {"client_id": device.client.application.client_id, "response_type": "code"}
        for page in (browser.get("/o/authorize/", query), browser.get(confirm)):
            assert page["X-Frame-Options"] == "DENY"
            assert "no-store" in page["Cache-Control"]

    @pytest.mark.parametrize("client_id", ["nobody", "x" * 5000])
    def test_unknown_client(self, client_id, signing_keys, web, user):
        web.browser.force_login(user)
        form = {"client_id": client_id, "response_type": "code", "redirect_uri": REDIRECT_URI, "allow": "on"}
        answer = web.browser.post("/o/authorize/", form)
        assert answer.status_code == 400
        assert b"Invalid client_id parameter value." in answer.content


class TestNul:
    @pytest.mark.parametrize("address", ["/o/token/", "/o/revoke_token/", "/o/introspect/", "/o/device-authorization/"])
    @pytest.mark.parametrize("name", ["client_id", "client_secret", "code", "token", "device_code", "username"])
    def test_in_a_parameter(self, address, name, service):
        answer = service.post(address, {"grant_type": "client_credentials", name: "a\x00b"})
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_request"

    @pytest.mark.parametrize("name", ["client_id", "code", "device_code"])
    def test_in_a_parameter_of_the_other_kind_of_form(self, name, service):
        answer = Client().post("/o/token/", {**service.credentials, "grant_type": "client_credentials", name: "a\x00b"})
        assert answer.status_code == 400
        assert answer.json() == {
            "error": "invalid_request",
            "error_description": "A parameter contains a NUL character or a lone surrogate.",
        }

    @pytest.mark.parametrize("credentials", ["a\x00b:c", "a%00b:c", "a:b%00"])
    def test_in_basic_credentials(self, credentials, db):
        header = f"Basic {base64.b64encode(credentials.encode()).decode()}"
        for address in ("/o/introspect/", "/o/token/"):
            answer = Client().post(address, {"token": "x"}, headers={"Authorization": header})
            assert answer.status_code == 400

    def test_in_an_authorization_request(self, client, user, db):
        client.force_login(user)
        answer = client.get("/o/authorize/", {"client_id": "\x00", "response_type": "code"})
        assert answer.status_code == 400
        assert answer.json()["error_description"] == "A parameter contains a NUL character or a lone surrogate."

    @pytest.mark.parametrize("header", ["Basic", "Basic !", "Basic Og==", "Digest x", "Digest \xff"])
    def test_other_headers_are_left_alone(self, header, db):
        body = {"grant_type": "client_credentials"}
        answer = Client().post("/o/token/", body, headers={"Authorization": header})
        assert answer.status_code == 401
        assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize("address", ["/o/token/", "/o/revoke_token/", "/o/introspect/", "/o/device-authorization/"])
def test_client_credentials_that_are_not_ascii(address, service):
    body = {**service.credentials, "grant_type": "client_credentials", "token": "x"}
    answer = service.post(address, body, headers={"Authorization": "Basic \xc3\xa9"})
    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"


@pytest.mark.compliance("6750-1")
def test_userinfo_takes_no_token_from_the_address(signing_keys, make_client, user, client, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPENID_CONNECT}
    token = make_client(algorithm="RS256").code_flow(user, scope="openid").json()["access_token"]
    assert client.get("/o/userinfo/", {"access_token": token}).status_code == 400
    assert client.get("/o/userinfo/", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert client.post("/o/userinfo/", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_views_that_need_no_login_and_no_csrf_token_stay_so(signing_keys, service, settings):
    from django.urls import resolve
    from oauth2_provider import urls as toolkit_urls

    from django_at_jwt import urls

    own = [ours for ours in urls.urlpatterns if ours.name != "revocations"]
    for ours, theirs in zip(own, toolkit_urls.urlpatterns, strict=True):
        for marker in ("csrf_exempt", "login_required"):
            assert getattr(ours.callback, marker, None) == getattr(theirs.callback, marker, None), (ours.name, marker)
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    strict = Client(enforce_csrf_checks=True)
    data = {**service.credentials, "grant_type": "client_credentials"}
    assert strict.post("/o/token/", data).status_code == 200
    assert resolve("/o/token/").func.csrf_exempt


@pytest.mark.parametrize("name", ["refresh_token_instance", "id_token"])
def test_parameters_named_like_attributes_that_dot_reads(name, signing_keys, web, user):
    code = web.authorize(user)["code"]
    answer = web.token(
        "authorization_code", code=code, redirect_uri=REDIRECT_URI, code_verifier=web.verifier, **{name: "x"}
    )
    assert answer.status_code == 200


def test_row_removed_by_another_request_is_invalid_grant(signing_keys, service, monkeypatch):
    model = get_access_token_model()
    save = model.save

    def save_and_vanish(row, *args, **kwargs):
        save(row, *args, **kwargs)
        model.objects.filter(pk=row.pk).delete()

    monkeypatch.setattr(model, "save", save_and_vanish)
    # The row is read again only for receivers of the signal.
    assert service.token("client_credentials").status_code == 200
    heard = []

    def listen(token, **_):
        heard.append(token)

    app_authorized.connect(listen)
    try:
        answer = service.token("client_credentials")
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_grant"
        monkeypatch.undo()
        assert service.token("client_credentials").status_code == 200
        assert [type(token) for token in heard] == [model]
    finally:
        app_authorized.disconnect(listen)


@pytest.mark.parametrize("hashed", [True, False])
def test_family_that_was_revoked_meanwhile_gets_no_new_member(hashed, signing_keys, web, user, monkeypatch, settings):
    """A replay is detected and revokes the family while a refresh is in progress."""
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": hashed}
    first = web.code_flow(user).json()
    get_original_scopes = OAuth2Validator.get_original_scopes

    def then_another_request(validator, refresh_token, request, *args, **kwargs):
        scopes = get_original_scopes(validator, refresh_token, request, *args, **kwargs)
        get_refresh_token_model().revoke_family(request.refresh_token_instance.token_family)
        return scopes

    monkeypatch.setattr(OAuth2Validator, "get_original_scopes", then_another_request)
    refused = web.token("refresh_token", refresh_token=first["refresh_token"])
    assert refused.status_code == 400
    assert refused.json()["error"] == "invalid_grant"
    assert not get_access_token_model().objects.exists()
    assert not get_refresh_token_model().objects.filter(revoked=None).exists()


def test_grant_that_vanished_grants_nothing(signing_keys, web, user, monkeypatch):
    from django_at_jwt.authorization_server.oauthlib_bridge import audience as audiences

    code = web.authorize(user)["code"]
    monkeypatch.setattr(audiences, "CODE_GRANT", "no such attribute")
    refused = web.exchange(code, resource=settings.REPORTS)
    assert refused.status_code == 400
    assert refused.json()["error"] == "invalid_grant"


class TestRegistration:
    @pytest.fixture(autouse=True)
    def _open_to_everybody(self, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPEN_REGISTRATION}

    @pytest.mark.parametrize(
        "document",
        [
            rb'{"client_name": "a\u0000b", "redirect_uris": ["https://client.example.com/"]}',
            rb'{"client_name": "\ud800", "redirect_uris": ["https://client.example.com/"]}',
            b'{"client_name": "a", "client_name": "b", "redirect_uris": ["https://client.example.com/"]}',
            b"[" * 100_000,
            b"[]",
            b"",
        ],
        ids=lambda document: ascii(document[:30]),
    )
    def test_document_that_cannot_be_used(self, document):
        answer = Client().post("/o/register/", document, content_type="application/json")
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_client_metadata"
        good = {"client_name": "a", "redirect_uris": ["https://client.example.com/"]}
        made = Client().post("/o/register/", good, content_type="application/json").json()
        header = {"Authorization": f"Bearer {made['registration_access_token']}"}
        where = made["registration_client_uri"]
        refused = Client().put(where, document, content_type="application/json", headers=header)
        assert (refused.status_code, refused.json()["error"]) == (400, "invalid_client_metadata")
        changed = Client().put(where, good | {"client_name": "b"}, content_type="application/json", headers=header)
        assert changed.json()["client_name"] == "b"

    @pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded"])
    def test_body_is_left_whole_for_the_view(self, content_type):
        document = b'{"redirect_uris": ["https://client.example.com/"]}'
        assert Client().post("/o/register/", document, content_type=content_type).status_code == 201
