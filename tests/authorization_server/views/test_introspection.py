"""The introspection endpoint: who may ask, about which tokens, and the answers (RFC 7662, RFC 9701)."""

from __future__ import annotations

import base64
import json
import time
from datetime import timedelta

import pytest
from authlib.integrations.requests_client import OAuth2Session
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.db import OperationalError
from django.test import Client, TestCase
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import KeySet
from oauth2_provider.models import get_access_token_model, get_application_model, get_id_token_model

from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.authorization_server.revocation.entries import deny_audience
from django_at_jwt.authorization_server.revocation.revoke import revoke_token, revoke_user
from django_at_jwt.core.jose.jws import decode_segment, encode_segment
from django_at_jwt.models import IntrospectionClient, ResourceServer, SigningKey
from django_at_jwt.resource_server.verification import verify_token
from tests.conftest import SECRET, decoded
from tests.openid_connect import OPENID_CONNECT
from tests.resource_server import signed_tokens

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]

INTROSPECT = "/o/introspect/"
INACTIVE = {"active": False}
SIGNED = "application/token-introspection+jwt"
API, REPORTS = django_settings.API, django_settings.REPORTS


@pytest.fixture(autouse=True)
def site(settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **OPENID_CONNECT}


@pytest.fixture
def web(make_client):
    return make_client(algorithm="RS256")


@pytest.fixture
def gateway(make_client):
    """A client of an API: it introspects the tokens of other clients."""
    return make_client("client-credentials", name="gateway")


@pytest.fixture
def named(gateway, settings):
    """The gateway, named by the default API."""
    servers = settings.AT_JWT["RESOURCE_SERVERS"]
    of_api = {API: {"introspection_clients": [gateway.application.client_id]}}
    settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {**servers, **of_api}}
    return gateway


@pytest.fixture
def tokens(web, user):
    return web.code_flow(user, scope="openid read").json()


@pytest.fixture
def token(tokens):
    return tokens["access_token"]


def ask(client, token, **extra):
    return client.post(INTROSPECT, {"token": token}, **extra)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def basic(client, secret=SECRET):
    credentials = f"{client.application.client_id}:{secret}".encode()
    return {"Authorization": f"Basic {base64.b64encode(credentials).decode()}"}


class TestAuthentication:
    def test_form_and_header(self, web, token):
        assert ask(web, token).json()["active"] is True
        by_header = Client().post(INTROSPECT, {"token": token}, headers=basic(web))
        assert by_header.json()["active"] is True

    @pytest.mark.compliance("7662-1")
    def test_without_credentials(self, token):
        answer = Client().post(INTROSPECT, {"token": token})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer["WWW-Authenticate"].startswith("Basic ")
        assert answer["Cache-Control"] == "no-store"

    @pytest.mark.compliance("7662-1")
    @pytest.mark.parametrize("secret", [SECRET, "", "wrong"])
    @pytest.mark.parametrize("extra", [{}, {"grant_type": "urn:ietf:params:oauth:grant-type:device_code"}])
    def test_public_client(self, make_client, user, secret, extra):
        public = make_client(client_type="public")
        own = public.code_flow(user).json()["access_token"]
        form = {"token": own, "client_id": public.application.client_id, "client_secret": secret, **extra}
        for headers in ({}, basic(public, secret)):
            answer = Client().post(INTROSPECT, form, headers=headers)
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")

    def test_wrong_secret(self, web, token):
        answer = Client().post(INTROSPECT, {"token": token}, headers=basic(web, "wrong"))
        assert answer.status_code == 401

    def test_credentials_in_the_query_do_not_count(self, web, token):
        answer = Client().post(
            f"{INTROSPECT}?client_id={web.application.client_id}&client_secret={SECRET}", {"token": token}
        )
        assert answer.status_code == 401
        own = web.token("client_credentials", scope="introspection")
        answer = Client().post(f"{INTROSPECT}?access_token={own}", {"token": token})
        assert answer.status_code == 401

    @pytest.mark.compliance("7662-1")
    def test_bearer_with_the_scope(self, service):
        asking = service.token("client_credentials", scope="introspection").json()["access_token"]
        asked = service.token("client_credentials", scope="read").json()["access_token"]
        assert Client().post(INTROSPECT, {"token": asked}, headers=bearer(asking)).json()["active"] is True

    def test_bearer_without_the_scope(self, service):
        asked = service.token("client_credentials", scope="read").json()["access_token"]
        answer = Client().post(INTROSPECT, {"token": asked}, headers=bearer(asked))
        assert (answer.status_code, answer.json()["error"]) == (403, "insufficient_scope")
        assert 'scope="introspection"' in answer["WWW-Authenticate"]

    @pytest.mark.parametrize("wrong", ["", "x", "ey.a.b", "a b"])
    def test_invalid_bearer(self, token, wrong):
        answer = Client().post(INTROSPECT, {"token": token}, headers={"Authorization": f"Bearer {wrong}"})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        assert 'error="invalid_token"' in answer["WWW-Authenticate"]

    def test_bearer_of_a_deactivated_user(self, make_client, user, token):
        owner = make_client()
        asking = owner.code_flow(user, scope="introspection").json()["access_token"]
        get_user_model().objects.filter(pk=user.pk).update(is_active=False)
        assert Client().post(INTROSPECT, {"token": token}, headers=bearer(asking)).status_code == 401


class TestRequest:
    @pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete", "trace"])
    def test_other_methods(self, web, token, method):
        answer = getattr(Client(), method)(f"{INTROSPECT}?token={token}", headers=basic(web))
        assert answer.status_code == 405
        assert set(answer["Allow"].split(", ")) == {"POST", "OPTIONS"}
        assert answer["Cache-Control"] == "no-store"

    def test_get_by_setting(self, web, token, settings):
        settings.AT_JWT = {**settings.AT_JWT, "INTROSPECTION_BY_GET": True}
        answer = Client().get(INTROSPECT, {"token": token}, headers=basic(web))
        assert answer.json()["active"] is True
        assert answer["Cache-Control"] == "no-store"
        assert Client().get(INTROSPECT, {"token": token}).status_code == 401
        assert "GET" in Client().put(INTROSPECT)["Allow"]

    @pytest.mark.parametrize("form", [{}, {"token": ""}, {"token": ["a", "b"]}])
    def test_needs_one_token(self, web, form):
        answer = web.post(INTROSPECT, form)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")

    def test_json_is_not_a_form(self, web, token):
        answer = Client().post(INTROSPECT, {"token": token}, content_type="application/json", headers=basic(web))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")

    def test_needs_neither_csrf_token_nor_login(self, web, token):
        strict = Client(enforce_csrf_checks=True)
        assert strict.post(INTROSPECT, {"token": token, **web.credentials}).json()["active"] is True
        view = strict.post(INTROSPECT).resolver_match.func
        assert not view.login_required


class TestWhoMayAsk:
    @pytest.mark.compliance("7662-1")
    def test_stranger(self, gateway, token):
        assert ask(gateway, token).json() == INACTIVE

    def test_bearer_of_a_stranger(self, gateway, token):
        asking = gateway.token("client_credentials", scope="introspection").json()["access_token"]
        assert Client().post(INTROSPECT, {"token": token}, headers=bearer(asking)).json() == INACTIVE

    def test_client_named_in_the_settings_of_an_api(self, named, token):
        assert ask(named, token).json()["active"] is True

    def test_bearer_of_a_named_client(self, named, token):
        asking = named.token("client_credentials", scope="introspection").json()["access_token"]
        answer = Client().post(INTROSPECT, {"token": token}, headers=bearer(asking))
        assert answer.json()["active"] is True

    def test_client_named_by_another_api(self, gateway, token, settings):
        of_reports = {"introspection_clients": [gateway.application.client_id], "scopes": ["reports:read"]}
        settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {REPORTS: of_reports}}
        assert ask(gateway, token).json() == INACTIVE

    def test_client_named_by_a_row(self, gateway, web, user):
        row = ResourceServer.objects.create(
            identifier="https://mail.example.com/",
            name="Mail",
            scopes=["write"],
            open_to_all_clients=True,
            introspection_clients=[gateway.application.client_id],
        )
        token = web.code_flow(user, scope="write", resource=row.identifier).json()["access_token"]
        assert ask(gateway, token).json()["aud"] == row.identifier
        row.introspection_clients = []
        row.save()
        assert ask(gateway, token).json() == INACTIVE

    def test_client_for_all_tokens_in_the_settings(self, gateway, token, settings):
        settings.AT_JWT = {**settings.AT_JWT, "INTROSPECTION_CLIENTS": [gateway.application.client_id]}
        assert ask(gateway, token).json()["active"] is True

    def test_client_for_all_tokens_in_the_admin(self, gateway, token):
        row = IntrospectionClient.objects.create(client_id=gateway.application.client_id)
        assert ask(gateway, token).json()["active"] is True
        row.delete()
        assert ask(gateway, token).json() == INACTIVE


class TestActive:
    @pytest.mark.compliance("7662-2")
    def test_claims_as_they_stand_in_the_token(self, named, token, user):
        answer = ask(named, token)
        assert answer["Cache-Control"] == "no-store"
        expected = {"active": True, "token_type": "Bearer", "username": user.get_username()}
        assert answer.json() == {**decoded(token)[1], **expected}

    @pytest.mark.compliance("7662-2")
    def test_mapped_claims_but_not_in_place_of_the_answers_own(self, named, web, user, settings):
        constants = {"department": "R&D", "username": "admin", "active": "no", "token_type": "x"}
        mappers = [
            {"name": name, "claim": name, "source": {"kind": "constant", "value": value}}
            for name, value in constants.items()
        ]
        settings.AT_JWT = {**settings.AT_JWT, "CLAIM_MAPPERS": mappers}
        token = web.code_flow(user, scope="read").json()["access_token"]
        assert decoded(token)[1].items() >= constants.items()
        answer = ask(named, token).json()
        expected = {"department": "R&D", "username": "alice", "active": True, "token_type": "Bearer"}
        assert answer.items() >= expected.items()

    def test_machine_has_no_username(self, named, service):
        token = service.token("client_credentials", scope="read").json()["access_token"]
        answer = ask(named, token).json()
        assert answer["active"] is True
        assert "username" not in answer

    def test_opaque(self, named, web, user, settings):
        of_api = {"format": "opaque", "introspection_clients": [named.application.client_id]}
        settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {API: of_api}}
        token = web.code_flow(user, scope="read").json()["access_token"]
        assert "." not in token
        answer = ask(named, token).json()
        assert (
            answer.items()
            >= {
                "active": True,
                "token_type": "Bearer",
                "sub": str(user.pk),
                "aud": [API],
                "client_id": web.application.client_id,
                "scope": "read",
                "username": "alice",
            }.items()
        )
        get_access_token_model().objects.update(expires=timezone.now())
        assert ask(named, token).json() == INACTIVE

    def test_another_valid_signature_of_the_same_token(self, named, web, user, settings, make_signing_key):
        # (r, n - s) verifies, too, and has another hash. The jti leads to the row.
        token = make_signing_key("ES256", web, user)
        assert ask(named, token).json()["active"] is True
        head, _, signature = token.rpartition(".")
        raw = decode_segment(signature.encode())
        order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
        twin = raw[:32] + (order - int.from_bytes(raw[32:])).to_bytes(32)
        other = f"{head}.{encode_segment(twin).decode()}"
        assert ask(named, other).json()["active"] is True
        get_access_token_model().objects.all().delete()
        assert ask(named, other).json() == INACTIVE

    def test_without_a_row_where_none_was_stored(self, named, web, user):
        token = signed_tokens.token(
            "read", sub=str(user.pk), client_id=web.application.client_id, jti=f"{'a1' * 16}.{'b2' * 16}.0"
        )
        assert ask(named, token).json()["username"] == "alice"
        stored = signed_tokens.token(
            "read", sub=str(user.pk), client_id=web.application.client_id, jti=f"{'a1' * 16}.{'b2' * 16}.1"
        )
        assert ask(named, stored).json() == INACTIVE


@pytest.fixture
def make_signing_key(settings):
    def issue(algorithm, client, user):
        from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys

        SigningKey.objects.all().delete()
        settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": [algorithm]}
        key_store.clear()
        rotate_signing_keys()
        key_store.clear()
        return client.code_flow(user, scope="read").json()["access_token"]

    return issue


def _expired(token, **_):
    get_access_token_model().objects.update(expires=timezone.now() - timedelta(seconds=1))


def _row_deleted(token, **_):
    get_access_token_model().objects.all().delete()


def _revoked_by_jti(token, **_):
    revoke_token(decoded(token)[1]["jti"])


def _revoked_at_the_endpoint(token, web, **_):
    assert web.post("/o/revoke_token/", {"token": token}).status_code == 200


def _user_revoked(user, **_):
    revoke_user(user)


def _user_deactivated(user, **_):
    user.is_active = False
    user.save()


def _user_deactivated_without_a_signal(user, **_):
    get_user_model().objects.filter(pk=user.pk).update(is_active=False)


def _user_deleted(user, **_):
    user.delete()


def _client_deleted(web, **_):
    web.application.delete()


def _client_deleted_without_a_signal(web, **_):
    get_application_model().objects.filter(pk=web.application.pk).delete()


def _key_revoked(token, settings, **_):
    settings.AT_JWT = {**settings.AT_JWT, "REVOKED_KIDS": [decoded(token)[0]["kid"]]}
    SigningKey.objects.filter(kid=decoded(token)[0]["kid"]).update(revoked_at=timezone.now())
    key_store.clear()


def _api_disabled(settings, **_):
    servers = settings.AT_JWT["RESOURCE_SERVERS"]
    servers = {**servers, API: {**servers[API], "enabled": False}}
    settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": servers}


def _audience_denied(**_):
    later = timezone.now() + timedelta(hours=1)
    with TestCase.captureOnCommitCallbacks(execute=True):
        deny_audience(API, issued_until=timezone.now(), expires_at=later, reason="test")


EVENTS = [
    _expired,
    _row_deleted,
    _revoked_by_jti,
    _revoked_at_the_endpoint,
    _user_revoked,
    _user_deactivated,
    _user_deactivated_without_a_signal,
    _user_deleted,
    _client_deleted,
    _client_deleted_without_a_signal,
    _key_revoked,
    _api_disabled,
    _audience_denied,
]


class TestInactive:
    @pytest.mark.compliance("7662-1", "7662-3")
    @pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__.strip("_"))
    def test_after(self, event, named, token, web, user, settings):
        assert ask(named, token).json()["active"] is True
        event(token=token, web=web, user=user, settings=settings)
        answer = ask(named, token)
        assert (answer.status_code, answer.json()) == (200, INACTIVE)

    def test_at_the_second_of_exp_without_leeway(self, named, token, monkeypatch):
        exp = decoded(token)[1]["exp"]
        monkeypatch.setattr(time, "time", lambda: float(exp))
        assert ask(named, token).json() == INACTIVE

    @pytest.mark.compliance("6749-1")
    def test_code_replayed(self, named, web, user):
        code = web.authorize(user, scope="read")["code"]
        token = web.exchange(code).json()["access_token"]
        assert ask(named, token).json()["active"] is True
        assert web.exchange(code).status_code == 400
        assert ask(named, token).json() == INACTIVE

    def test_replaced_by_a_refresh(self, named, web, user):
        first = web.code_flow(user, scope="read").json()
        second = web.token("refresh_token", refresh_token=first["refresh_token"]).json()["access_token"]
        assert ask(named, first["access_token"]).json() == INACTIVE
        assert ask(named, second).json()["active"] is True

    def test_other_kinds_of_tokens(self, web, tokens):
        assert get_id_token_model().objects.exists()
        for kind in ("id_token", "refresh_token"):
            assert ask(web, tokens[kind]).json() == INACTIVE

    def test_only_what_an_api_may_still_accept_counts(self, gateway, web, user, settings):
        # Named by the API for which the token was revoked: for the other one, the token is still active.
        servers = {
            API: {"introspection_clients": [gateway.application.client_id]},
            REPORTS: {"scopes": ["reports:read"]},
        }
        settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": servers}
        token = web.code_flow(user, scope="read reports:read", resource=[API, REPORTS]).json()["access_token"]
        assert ask(gateway, token).json()["active"] is True
        _audience_denied()
        assert ask(gateway, token).json() == INACTIVE
        assert ask(web, token).json()["active"] is True

    @pytest.mark.parametrize(
        "hostile",
        [
            "x" * 2_000_000,
            json.dumps({"token": "x"}),
            '{"payload":"e30","protected":"e30","signature":"AAAA"}',
            "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0..AAAA.AAAA.AAAA",
            "e30.e30.",
            "..",
            "é" * 50,
            "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.e30.",
        ],
        ids=range(8),
    )
    def test_hostile_input(self, web, hostile):
        answer = ask(web, hostile)
        assert (answer.status_code, answer.json()) == (200, INACTIVE)

    @hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_every_changed_token_gets_the_same_answer(self, web, token, data):
        place = data.draw(st.integers(0, len(token) - 1))
        character = data.draw(st.characters(codec="utf-8", exclude_characters="\x00" + token[place]))
        changed = token[:place] + character + token[place + 1 :]
        answer = ask(web, changed)
        assert (answer.status_code, answer.json()) == (200, INACTIVE)

    def test_keys_that_cannot_be_read(self, named, token, monkeypatch):
        key_store.clear()

        def fail(*_args):
            raise OperationalError("the database is away")

        monkeypatch.setattr(key_store, "_read", fail)
        monkeypatch.setattr(key_store._rows, "_read", fail)
        answer = ask(named, token)
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert answer["Cache-Control"] == "no-store"
        assert int(answer["Retry-After"]) > 0


class TestSigned:
    @pytest.mark.compliance("9701-1")
    def test_signed_answer(self, named, token):
        before = int(time.time())
        answer = ask(named, token, headers={"Accept": SIGNED})
        assert answer["Content-Type"] == SIGNED
        assert answer["Cache-Control"] == "no-store"
        keys = KeySet.import_key_set(Client().get("/o/.well-known/jwks.json").json())
        read = jwt.decode(answer.content.decode(), keys, algorithms=["RS256"])
        assert read.header["typ"] == "token-introspection+jwt"
        assert read.claims.keys() == {"iss", "aud", "iat", "token_introspection"}
        assert read.claims["iss"] == django_settings.ISSUER
        assert read.claims["aud"] == named.application.client_id
        assert before <= read.claims["iat"] <= time.time()
        assert read.claims["token_introspection"] == ask(named, token).json()

    @pytest.mark.compliance("9701-1")
    def test_inactive_too(self, gateway, token):
        answer = ask(gateway, token, headers={"Accept": f"{SIGNED}, text/html;q=0.5"})
        assert decoded(answer.content.decode())[1]["token_introspection"] == INACTIVE

    @pytest.mark.parametrize(
        "accept", ["*/*", "application/json", f"application/json, {SIGNED};q=0.1", "text/html", ""]
    )
    def test_json_unless_preferred(self, web, token, accept):
        assert ask(web, token, headers={"Accept": accept})["Content-Type"] == "application/json"

    @pytest.mark.compliance("9701-1")
    def test_is_not_an_access_token(self, named, token):
        from django_at_jwt.core.errors import RejectionReason, TokenRejected

        signed = ask(named, token, headers={"Accept": SIGNED}).content.decode()
        with pytest.raises(TokenRejected) as rejected:
            verify_token(signed)
        assert rejected.value.reason is RejectionReason.UNEXPECTED_TYPE
        assert ask(named, signed).json() == INACTIVE

    def test_without_a_signing_key(self, web, token, monkeypatch):
        SigningKey.objects.update(private_jwe="")
        key_store.clear()
        answer = ask(web, token, headers={"Accept": SIGNED})
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")

    def test_metadata(self, settings):
        document = Client().get("/.well-known/oauth-authorization-server/o").json()
        assert document["introspection_signing_alg_values_supported"] == ["RS256"]
        assert "none" not in document["introspection_endpoint_auth_methods_supported"]


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_with_authlib(live_server, named, token, method):
    session = OAuth2Session(named.application.client_id, SECRET, token_endpoint_auth_method=method)
    answer = session.introspect_token(f"{live_server}{INTROSPECT}", token=token)
    assert answer.json().items() >= decoded(token)[1].items()
    assert session.introspect_token(f"{live_server}{INTROSPECT}", token=f"{token}x").json() == INACTIVE


def test_with_the_remote_client_of_dot(live_server, named, token, settings):
    """DOT's own client for APIs in other projects asks by POST, with a bearer token or credentials."""
    from oauth2_provider.oauth2_validators import OAuth2Validator

    validator, address = OAuth2Validator(), f"{live_server}{INTROSPECT}"
    asking = named.token("client_credentials", scope="introspection").json()["access_token"]
    credentials = (named.application.client_id, SECRET)
    opaque = "a token of another project"
    for way in ((asking, None), (None, credentials)):
        assert validator._get_token_from_authentication_server(opaque, address, *way) is None
        row = validator._get_token_from_authentication_server(token, address, *way)
        assert (row.scope, row.resource, row.user.get_username()) == ("openid read", [API], "alice")
