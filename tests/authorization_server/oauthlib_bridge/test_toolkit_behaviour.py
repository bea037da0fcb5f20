"""Known problems of django-oauth-toolkit and oauthlib that must not occur here."""

from __future__ import annotations

import logging

import pytest
from django.conf import settings
from django.test import Client
from oauth2_provider import views as toolkit_views
from oauth2_provider.models import get_access_token_model, get_device_grant_model, get_grant_model

from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.authorization_server.views.token import TokenView
from django_at_jwt.models import SigningKey
from tests.conftest import DEVICE_CODE_GRANT, REDIRECT_URI, decoded
from tests.openid_connect import OIDC_KEY

pytestmark = pytest.mark.django_db


def test_refused_resource_causes_no_signature(signing_keys, web, user, monkeypatch):
    from django_at_jwt.core.jose.keys import PrivateKey as OpenKey

    signed = []
    sign = OpenKey.sign
    key_store.current().signing_key()  # Opening the key signs a probe.
    monkeypatch.setattr(OpenKey, "sign", lambda key, data: signed.append(data) or sign(key, data))
    code = web.authorize(user)["code"]
    assert web.exchange(code, resource=settings.REPORTS).status_code == 400
    assert signed == []
    assert web.exchange(code).status_code == 200
    assert len(signed) == 1


def test_check_reports_a_missing_refresh_token_generator(settings):
    from django_at_jwt.checks.settings import check_refresh_token_generator

    provider = {k: v for k, v in settings.OAUTH2_PROVIDER.items() if k != "REFRESH_TOKEN_GENERATOR"}
    settings.OAUTH2_PROVIDER = provider
    [error] = check_refresh_token_generator()
    assert error.id == "django_at_jwt.E005"


@pytest.mark.parametrize("generator", [None, "django_at_jwt.generators.generate_access_token"])
def test_refresh_token_is_opaque_without_its_generator(generator, signing_keys, web, user, client, settings, caplog):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "REFRESH_TOKEN_GENERATOR": generator}
    answer = web.code_flow(user).json()
    assert decoded(answer["access_token"])[0]["typ"] == "at+jwt"
    assert "." not in answer["refresh_token"]
    assert "REFRESH_TOKEN_GENERATOR" in caplog.text
    assert web.token("refresh_token", refresh_token=answer["refresh_token"]).status_code == 200


@pytest.mark.compliance("8414-1", "8414-2", "9068-20")
@pytest.mark.parametrize("openid", [True, False])
def test_metadata_names_the_jwk_set_and_agrees_with_discovery(openid, signing_keys, client, settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ENABLED": openid}
    inserted = client.get("/.well-known/oauth-authorization-server/o")
    appended = client.get("/o/.well-known/oauth-authorization-server")
    discovery = client.get("/o/.well-known/openid-configuration")
    assert inserted.json() == appended.json()
    assert inserted.json()["jwks_uri"] == "https://as.example.com/o/.well-known/jwks.json"
    assert inserted.json()["issuer"] == "https://as.example.com/o"
    assert [] not in inserted.json().values()
    if openid:
        assert discovery.json() == inserted.json()
        assert client.get("/.well-known/openid-configuration/o").json() == inserted.json()
    else:
        assert discovery.status_code == 404
    kids = {key["kid"] for key in client.get("/o/.well-known/jwks.json").json()["keys"]}
    assert kids == {key.kid for key in signing_keys}
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "OIDC_RSA_PRIVATE_KEY": OIDC_KEY,
        "OIDC_RSA_PRIVATE_KEYS_INACTIVE": [OIDC_KEY],
    }
    more = client.get("/o/.well-known/jwks.json").json()["keys"]
    assert len(more) > len(kids)
    assert all(not {"d", "p", "q", "dp", "dq", "qi", "k"} & key.keys() for key in more)


@pytest.mark.compliance("9068-23")
@pytest.mark.parametrize("header", ["Host", "X-Forwarded-Host"])
def test_host_header_changes_no_token_and_no_metadata(header, signing_keys, service, client, settings):
    settings.USE_X_FORWARDED_HOST = True
    evil = {header: "evil.example.net", "X-Forwarded-Proto": "http"}
    for address in ("/.well-known/oauth-authorization-server/o", "/o/.well-known/oauth-authorization-server"):
        assert "evil" not in client.get(address, headers=evil).content.decode()
    token = service.post("/o/token/", {"grant_type": "client_credentials"}, headers={**evil}).json()["access_token"]
    assert decoded(token)[1]["iss"] == settings.ISSUER
    assert decoded(token)[1]["aud"] == settings.API


def test_errors_are_json(signing_keys, service):
    answer = service.token("client_credentials", resource="https://unknown.example.com/")
    assert answer["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/authenticated-or-write/", 403),
        ("/toolkit-needs-write/", 403),
        ("/alternatives/", 403),
        ("/write-or-staff/", 403),
    ],
)
def test_permission_classes_of_dot_check_the_scope(address, status, signing_keys, service, client):
    token = service.token("client_credentials", scope="read").json()["access_token"]
    refused = client.get(address, headers={"Authorization": f"Bearer {token}"})
    assert refused.status_code == status
    assert "WWW-Authenticate" not in refused
    enough = service.token("client_credentials", scope="read write").json()["access_token"]
    assert client.get(address, headers={"Authorization": f"Bearer {enough}"}).status_code == 200


def test_subclass_of_a_used_view_has_its_own_oauthlib_core(signing_keys, service, settings, rf):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ALWAYS_RELOAD_OAUTHLIB_CORE": False}
    stock = toolkit_views.TokenView
    try:
        stock.get_oauthlib_core()
        assert TokenView.get_oauthlib_core() is not stock.get_oauthlib_core()
        assert service.token("client_credentials").status_code == 200
    finally:
        for view in (stock, TokenView):
            if "_oauthlib_core" in vars(view):
                del view._oauthlib_core


def test_response_agrees_with_the_token(signing_keys, service):
    answer = service.token("client_credentials", scope="write read").json()
    _, claims = decoded(answer["access_token"])
    assert claims["scope"] == answer["scope"]
    assert claims["exp"] - claims["iat"] == answer["expires_in"]


class TestSmuggledParameters:
    """oauthlib exposes every parameter of a request as an attribute."""

    @pytest.mark.compliance("9068-31")
    def test_user_in_the_body(self, signing_keys, service, user):
        token = service.token("client_credentials", user=str(user.pk)).json()["access_token"]
        assert decoded(token)[1]["sub"] == service.application.client_id

    @pytest.mark.parametrize("grant_type", ["client_credentials", "refresh_token", "authorization_code", "password"])
    def test_grant_type_in_an_authorization_request(self, grant_type, signing_keys, make_client, user):
        client = make_client("implicit")
        answer = client.authorize(user, response_type="token", grant_type=grant_type)
        assert decoded(answer["access_token"])[1]["sub"] == str(user.pk)
        assert get_access_token_model().objects.get().user == user
        refused = client.authorize(
            user, response_type="token", grant_type=grant_type, resource="https://unknown.example.com/"
        )
        assert refused["error"] == "invalid_target"

    @pytest.mark.parametrize(
        "name",
        ["expires_in", "scopes", "client", "refresh_token_instance", "at_jwt_granted_resources", "at_jwt_code_grant"],
    )
    def test_internal_names_in_the_body(self, name, signing_keys, service):
        answer = service.token("client_credentials", **{name: "999999"})
        assert answer.status_code in {200, 400}
        if answer.status_code == 200:
            _, claims = decoded(answer.json()["access_token"])
            assert claims["exp"] - claims["iat"] == 3600
            assert claims["aud"] == settings.API


@pytest.mark.compliance("9068-31")
class TestClientIdsEqualToUserIdentifiers:
    def test_client_with_the_identifier_of_a_user_gets_no_token_for_itself(self, signing_keys, make_client, user):
        evil = make_client("client-credentials", client_id=str(user.pk))
        refused = evil.token("client_credentials")
        assert refused.status_code == 400
        assert refused.json()["error"] == "invalid_grant"

    def test_nor_for_that_user(self, signing_keys, make_client, user):
        evil = make_client(client_id=str(user.pk))
        refused = evil.code_flow(user)
        assert refused.json()["error"] == "invalid_grant"

    def test_generated_ids_cost_no_query(self, signing_keys, service, django_assert_num_queries):
        service.token("client_credentials")
        # Client, savepoint, two inserts, release: as stock DOT; no user.
        with django_assert_num_queries(5):
            service.token("client_credentials")


class TestDevice:
    def make(self, make_client):
        return make_client(DEVICE_CODE_GRANT, client_type="public")

    def test_code_of_another_client(self, signing_keys, make_client, user):
        mine, other = self.make(make_client), self.make(make_client)
        started = mine.post("/o/device-authorization/", {"scope": "read"}).json()
        grants = get_device_grant_model().objects
        grants.update(status="authorized", user=user)
        stolen = other.token(DEVICE_CODE_GRANT, device_code=started["device_code"])
        assert stolen.status_code == 400
        assert stolen.json()["error"] == "invalid_grant"
        assert mine.token(DEVICE_CODE_GRANT, device_code=started["device_code"]).status_code == 200

    @pytest.mark.parametrize(
        ("status", "error"),
        [("authorization-pending", "authorization_pending"), ("denied", "access_denied"), ("expired", "expired_token")],
    )
    def test_not_yet_and_never(self, status, error, signing_keys, make_client):
        client = self.make(make_client)
        started = client.post("/o/device-authorization/", {"scope": "read"}).json()
        get_device_grant_model().objects.update(status=status)
        answer = client.token(DEVICE_CODE_GRANT, device_code=started["device_code"])
        assert answer.status_code == 400
        assert answer.json()["error"] == error

    def test_missing_code_is_the_clients_error(self, make_client):
        answer = self.make(make_client).token(DEVICE_CODE_GRANT)
        assert answer.status_code == 400
        assert answer.json()["error"] == "invalid_request"


@pytest.mark.compliance("9068-16")
class TestBrokenSites:
    def assert_server_error(self, answer, caplog, text):
        assert answer.status_code == 503
        assert answer["Content-Type"] == "application/json"
        assert answer.json() == {
            "error": "server_error",
            "error_description": "The authorization server cannot sign access tokens at the moment.",
        }
        assert any(text in record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR)
        assert not get_access_token_model().objects.exists()

    def test_no_key_yet(self, service, caplog):
        self.assert_server_error(service.token("client_credentials"), caplog, "manage.py rotate_signing_keys")
        assert not SigningKey.objects.exists()

    def test_no_key_yet_at_the_authorization_endpoint(self, make_client, user):
        answer = make_client("implicit").authorize(user, response_type="token")
        assert answer["error"] == "server_error"
        assert answer["state"] == "a state"

    def test_no_issuer(self, signing_keys, service, caplog, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": ""}
        self.assert_server_error(service.token("client_credentials"), caplog, "OIDC_ISS_ENDPOINT")

    def test_no_default_resource(self, signing_keys, service, caplog, settings):
        settings.AT_JWT = {}
        self.assert_server_error(service.token("client_credentials"), caplog, "DEFAULT_RESOURCE")

    def test_other_key_encryption_key(self, signing_keys, service, caplog, settings, client):
        settings.SECRET_KEY = "another secret"
        answer = service.token("client_credentials")
        self.assert_server_error(answer, caplog, "SECRET_KEY_FALLBACKS")
        assert client.get("/o/.well-known/jwks.json").json()["keys"]
        assert SigningKey.objects.count() == len(signing_keys)

    def test_code_can_be_used_once_the_key_is_there(self, web, user):
        code = web.authorize(user)["code"]
        assert web.exchange(code).status_code == 503
        assert get_grant_model().objects.exists()
        from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys

        rotate_signing_keys()
        assert web.exchange(code).status_code == 200
        assert web.exchange(code).json()["error"] == "invalid_grant"

    def test_code_of_another_client(self, signing_keys, web, make_client, user):
        thief = make_client()
        code = web.authorize(user)["code"]
        stolen = thief.token("authorization_code", code=code, redirect_uri=REDIRECT_URI, code_verifier=web.verifier)
        assert stolen.json()["error"] == "invalid_grant"


def test_sites_own_validator_mixes_ours_in(signing_keys, web, user, settings):
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "OAUTH2_VALIDATOR_CLASS": "tests.site.validators.SiteValidator",
    }
    assert decoded(web.code_flow(user).json()["access_token"])[0]["typ"] == "at+jwt"


def test_all_urls_of_dot_are_kept_with_their_names():
    from django.urls import reverse
    from oauth2_provider import urls as toolkit_urls

    from django_at_jwt import urls

    assert urls.app_name == toolkit_urls.app_name
    assert [(str(p.pattern), p.name) for p in urls.urlpatterns] == [
        *((str(p.pattern), p.name) for p in toolkit_urls.urlpatterns),
        ("revocations/", "revocations"),
    ]
    assert reverse("oauth2_provider:token") == "/o/token/"


@pytest.mark.compliance("9068-20")
class TestDocuments:
    ADDRESSES = ("/o/.well-known/jwks.json", "/.well-known/oauth-authorization-server/o")

    @pytest.mark.parametrize("address", ADDRESSES)
    def test_readable_from_everywhere_and_cacheable(self, address, signing_keys, client):
        answer = client.get(address)
        assert answer["Access-Control-Allow-Origin"] == "*"
        assert "max-age=3600" in answer["Cache-Control"]
        assert "public" in answer["Cache-Control"]
        again = client.get(address, headers={"If-None-Match": answer["ETag"]})
        assert again.status_code == 304
        assert again.content == b""
        assert client.head(address).status_code == 200
        assert client.post(address).status_code == 405

    @pytest.mark.parametrize("address", ADDRESSES)
    def test_no_query_while_the_keys_are_in_memory(self, address, signing_keys, client, django_assert_num_queries):
        client.get(address)
        with django_assert_num_queries(0):
            client.get(address)

    def test_login_required_middleware_leaves_them_alone(self, signing_keys, client, settings):
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
        for address in self.ADDRESSES:
            assert client.get(address).status_code == 200

    def test_another_issuers_address(self, client, db):
        assert client.get("/.well-known/oauth-authorization-server/other").status_code == 404
        assert client.get("/.well-known/oauth-authorization-server/o/").status_code == 200

    def test_algorithms_of_access_tokens_are_permitted(self, client, db, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ENABLED": True}
        settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["ES256"]}
        document = client.get("/o/.well-known/openid-configuration").json()
        assert "ES256" in document["id_token_signing_alg_values_supported"]

    def announced(self, client, toolkit, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_RSA_PRIVATE_KEY": OIDC_KEY, **toolkit}
        document = client.get("/.well-known/oauth-authorization-server/o").json()
        if toolkit.get("OIDC_ENABLED"):
            assert client.get("/o/.well-known/openid-configuration").json() == document
        return document

    @pytest.mark.parametrize("openid", [True, False], ids=["with OpenID Connect", "without"])
    def test_only_what_the_site_allows_is_announced(self, openid, signing_keys, client, settings):
        gates = ("COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT", "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT")
        document = self.announced(client, {"OIDC_ENABLED": openid} | dict.fromkeys(gates, True), settings)
        assert document["response_types_supported"] == ["code"]
        assert {"implicit", "password"}.isdisjoint(document["grant_types_supported"])
        assert document.get("id_token_signing_alg_values_supported") == (["RS256"] if openid else None)
        document = self.announced(client, {"OIDC_ENABLED": openid} | dict.fromkeys(gates, False), settings)
        assert "token" in document["response_types_supported"]
        assert {"implicit", "password"} <= {*document["grant_types_supported"]}

    def test_hybrid_and_hs256_are_announced_where_a_client_has_them(self, signing_keys, client, make_client, settings):
        hybrid = {"code token", "code id_token", "code id_token token"}
        document = self.announced(client, {"OIDC_ENABLED": True}, settings)
        assert hybrid.isdisjoint(document["response_types_supported"])
        assert "HS256" not in document["id_token_signing_alg_values_supported"]
        made = make_client("openid-hybrid", algorithm="HS256", hash_client_secret=False)
        document = self.announced(client, {"OIDC_ENABLED": True}, settings)
        assert hybrid <= {*document["response_types_supported"]}
        assert "HS256" in document["id_token_signing_alg_values_supported"]
        made.application.delete()
        document = self.announced(client, {"OIDC_ENABLED": True}, settings)
        assert hybrid.isdisjoint(document["response_types_supported"])

    def test_metadata_with_openid_connect_makes_no_query_again(
        self, signing_keys, client, settings, django_assert_num_queries
    ):
        self.announced(client, {"OIDC_ENABLED": True}, settings)
        with django_assert_num_queries(0):
            client.get("/o/.well-known/openid-configuration")

    def test_grants_that_the_site_does_not_list(self, signing_keys, client, settings):
        listed = {"OIDC_ENABLED": True, "OAUTH2_GRANT_TYPES_SUPPORTED": ["authorization_code", "refresh_token"]}
        document = self.announced(client, listed, settings)
        assert document["response_types_supported"] == ["code"]
        assert "device_authorization_endpoint" not in document

    def test_server_class_for_one_grant(self, signing_keys, client, settings):
        server = "oauthlib.oauth2.BackendApplicationServer"
        document = self.announced(client, {"OAUTH2_SERVER_CLASS": server}, settings)
        assert document["grant_types_supported"] == ["client_credentials"]
        assert "response_types_supported" not in document

    @pytest.mark.compliance("7517-1", "7638-1", "9068-2")
    def test_jwk_set_has_public_members_and_thumbprints(self, signing_keys, client):
        from jwcrypto.jwk import JWK

        keys = client.get("/o/.well-known/jwks.json").json()["keys"]
        assert len({key["kid"] for key in keys}) == len(keys) == 2
        for key in keys:
            assert key.keys() == {"kty", "n", "e", "use", "alg", "kid"}
            assert JWK(kty="RSA", n=key["n"], e=key["e"]).thumbprint() == key["kid"]


def test_anonymous_requests_never_make_a_key(db, client, service):
    for _ in range(3):
        Client().get("/o/.well-known/jwks.json")
        service.token("client_credentials")
    assert not SigningKey.objects.exists()
