"""The DRF authentication class over HTTP: which requests are accepted, and the error responses."""

from __future__ import annotations

import logging
import time

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import RequestFactory
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from django_at_jwt.authorization_server.keys.revocation import revoke_signing_key
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.core.jose.jws import sign_compact
from django_at_jwt.core.jose.keys import PublicKey
from django_at_jwt.core.profile import assemble, encode_json, header_segment
from django_at_jwt.models import SigningKey
from django_at_jwt.rest_framework import AccessToken, AccessTokenAuthentication, MachinePrincipal
from tests.resource_server.signed_tokens import TOKEN_ID

pytestmark = pytest.mark.django_db

INVALID = 'Bearer error="invalid_token", error_description="The access token is invalid."'


@pytest.fixture
def mint(signing_keys):
    """Sign any claims with the local issuer's key, as a faulty issuer would."""

    def mint(remove=(), header=None, **changes):
        claims = assemble(
            issuer=settings.ISSUER,
            subject="a subject",
            audience=[settings.API],
            client_id="a client",
            issued_at=int(time.time()),
            lifetime=600,
            token_id=TOKEN_ID,
            scopes=["read"],
        )
        claims = {name: value for name, value in {**claims, **changes}.items() if name not in remove}
        key = key_store.current().signing_key()
        return sign_compact(key, header or header_segment(key), encode_json(claims))

    return mint


def get(client, token, address="/whoami/", **extra):
    return client.get(address, headers={"Authorization": f"Bearer {token}", **extra})


class TestPrincipal:
    def test_user_with_one_query(self, mint, user, client, django_assert_num_queries):
        token = mint(sub=str(user.pk))
        with django_assert_num_queries(1):
            answer = get(client, token)
        assert answer.json() == {"user": "alice", "scope": "read", "client_id": "a client"}

    def test_machine_without_a_query(self, mint, client, django_assert_num_queries):
        token = mint(sub="service", client_id="service")
        with django_assert_num_queries(0):
            answer = get(client, token)
        assert answer.json()["user"] == "client:service"

    @pytest.mark.compliance("9068-31")
    def test_machine_is_never_the_user_with_that_identifier(self, mint, user, client):
        answer = get(client, mint(sub=str(user.pk), client_id=str(user.pk)))
        assert answer.json()["user"] == f"client:{user.pk}"

    @pytest.mark.parametrize("subject", ["0", "-1", "999999", "x", "9" * 400, "1.0", "\x00", "1e3"])
    def test_unknown_subject(self, subject, mint, client):
        answer = get(client, mint(sub=subject))
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == INVALID

    @pytest.mark.parametrize("spelling", ["0{}", " {}", "{} ", "+{}", "{}.0"])
    def test_another_spelling_of_an_identifier_is_unknown(self, spelling, mint, user, client):
        assert get(client, mint(sub=spelling.format(user.pk))).status_code == 401

    def test_inactive_user(self, mint, user, client, caplog):
        caplog.set_level(logging.INFO, "django_at_jwt")
        get_user_model().objects.update(is_active=False)
        answer = get(client, mint(sub=str(user.pk)))
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == INVALID
        assert "inactive_subject" in caplog.text


class TestToken:
    @pytest.fixture
    def auth(self, mint):
        request = APIRequestFactory().get("/", headers={"Authorization": f"Bearer {mint(sub='a client', extra=[1])}"})
        _, auth = AccessTokenAuthentication().authenticate(APIView().initialize_request(request))
        return auth

    def test_offers_its_claims(self, auth):
        assert isinstance(auth, AccessToken)
        assert auth.claims.subject == auth.client_id == "a client"
        assert auth["extra"] == auth.get("extra") == auth.raw["extra"] == [1]
        assert "extra" in auth
        assert auth.get("missing") is None
        assert auth.scopes == {"read"}
        assert TOKEN_ID in repr(auth)
        assert "a client" not in repr(auth)

    def test_offers_what_the_toolkits_permissions_need(self, auth):
        assert auth.scope == "read"
        assert auth.is_valid()
        assert auth.is_valid(["read"])
        assert not auth.is_valid(["read", "write"])
        assert auth.allow_scopes([])
        assert auth.allow_scopes(None)
        assert not auth.is_expired()


@pytest.mark.compliance("6750-1", "6750-2", "6750-3", "9068-27")
class TestResponses:
    @pytest.mark.parametrize("authorization", [None, "", "Basic YTpi", "bearerish x", "Token abc", "DPoP abc"])
    def test_no_credentials_or_another_scheme(self, authorization, client, db):
        headers = {} if authorization is None else {"Authorization": authorization}
        answer = client.get("/whoami/", headers=headers)
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == "Bearer"

    @pytest.mark.parametrize("authorization", ["Bearer", "Bearer ", "Bearer a b", "bearer  a  b c"])
    def test_malformed_header(self, authorization, client, db):
        answer = client.get("/whoami/", headers={"Authorization": authorization})
        assert answer.status_code == 400
        assert answer["WWW-Authenticate"].startswith('Bearer error="invalid_request"')

    def test_scheme_in_any_case(self, mint, client):
        token = mint(sub="a client")
        for scheme in ("bearer", "BEARER", "Bearer "):
            assert client.get("/whoami/", headers={"Authorization": f"{scheme} {token}"}).status_code == 200

    def test_token_in_the_query_is_not_a_credential(self, mint, client):
        answer = client.get("/whoami/", {"access_token": mint(sub="a client")})
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == "Bearer"

    def test_two_ways_at_once(self, mint, client):
        token = mint(sub="a client")
        headers = {"Authorization": f"Bearer {token}"}
        form = "application/x-www-form-urlencoded"
        for answer in (
            client.get("/whoami/", {"access_token": token}, headers=headers),
            client.post("/whoami/", f"access_token={token}", content_type=form, headers=headers),
        ):
            assert answer.status_code == 400
            assert answer["WWW-Authenticate"].startswith('Bearer error="invalid_request"')
        assert client.post("/whoami/", "other=1", content_type=form, headers=headers).status_code == 200

    def test_missing_scope(self, mint, client):
        answer = get(client, mint(sub="a client"), "/needs-write/")
        assert answer.status_code == 403
        assert answer["WWW-Authenticate"] == 'Bearer error="insufficient_scope", scope="write"'

    def test_sufficient_scope(self, mint, client):
        assert get(client, mint(sub="a client", scope="write read"), "/needs-write/").status_code == 200

    def test_denial_that_another_permission_overrides_leaves_no_challenge(self, mint, client, django_user_model):
        staff = django_user_model.objects.create_user("staff", is_staff=True)
        answer = get(client, mint(sub=str(staff.pk)), "/write-or-staff/")
        assert answer.status_code == 200
        assert "WWW-Authenticate" not in answer

    def test_bad_token_is_401_even_with_a_session(self, mint, client):
        answer = get(client, mint(sub="a client", aud="https://other.example.com/"), "/authenticated-or-write/")
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == INVALID

    def test_session_user_needs_no_scope(self, client, user):
        client.force_login(user)
        answer = client.get("/authenticated-or-write/")
        assert answer.status_code == 200
        assert answer.json()["scope"] is None

    def test_reason_is_in_the_log_and_not_in_the_answer(self, mint, client, caplog):
        caplog.set_level(logging.INFO, "django_at_jwt")
        token = mint(sub="a client", aud="https://other.example.com/")
        answer = get(client, token)
        assert "aud" not in answer.content.decode() + answer["WWW-Authenticate"]
        assert answer["WWW-Authenticate"] == INVALID
        assert f"wrong_audience: aud does not contain '{settings.API}'" in caplog.text
        assert token not in caplog.text
        assert token.split(".")[2] not in caplog.text


HOSTILE = {
    "expired": {"exp": 1},
    "future": {"iat": int(time.time()) + 3600},
    "not yet": {"nbf": int(time.time()) + 3600},
    "issuer with slash": {"iss": f"{settings.ISSUER}/"},
    "audience prefix": {"aud": settings.API[:-1]},
    "audience is the client": {"aud": "a client"},
    "no sub": {"remove": ["sub"]},
    "no client id": {"remove": ["client_id"]},
    "no jti": {"remove": ["jti"]},
    "no exp": {"remove": ["exp"]},
    "null sub": {"sub": None},
    "list sub": {"sub": ["1"]},
    "number sub": {"sub": 1},
    "cnf": {"cnf": {"jkt": "x"}},
    "scope is a list": {"scope": ["read"]},
}


@pytest.mark.compliance("9068-24", "9068-26", "9449-1")
@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE)
def test_hostile_claims_over_http(changes, mint, client, django_assert_num_queries):
    token = mint(**{"sub": "a client", **changes})
    with django_assert_num_queries(0):
        answer = get(client, token)
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == INVALID


@pytest.mark.parametrize(
    "token",
    ["x", "a.b", "a.b.c", "a.b.c.d", "a.b.c.d.e", "é.b.c", "eyJ..", "A" * 2_000_000, ".." * 5, "\u0661.b.c"],
    ids=range(10),
)
def test_hostile_text_over_http(token, client, signing_keys):
    answer = client.get("/whoami/", HTTP_AUTHORIZATION=f"Bearer {token}")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == INVALID


def test_another_audience(mint, client):
    assert get(client, mint(sub="a client", aud=settings.REPORTS), "/reports/").status_code == 200
    assert get(client, mint(sub="a client", aud=[settings.API, settings.REPORTS]), "/reports/").status_code == 200
    assert get(client, mint(sub="a client"), "/reports/").status_code == 401


def test_audience_setting_is_the_projects_own(mint, client, settings):
    settings.AT_JWT = {**settings.AT_JWT, "AUDIENCE": settings.REPORTS}
    assert get(client, mint(sub="a client", aud=settings.REPORTS)).status_code == 200
    assert get(client, mint(sub="a client")).status_code == 401


def test_leeway_is_a_setting(mint, client, settings):
    token = mint(sub="a client", exp=int(time.time()) - 10)
    assert get(client, token).status_code == 200
    settings.AT_JWT = {**settings.AT_JWT, "LEEWAY": 5}
    assert get(client, token).status_code == 401


def test_unknown_kids_cause_one_read_per_cool_down(mint, client, django_assert_num_queries):
    import base64
    import json

    def with_kid(kid):
        header = base64.urlsafe_b64encode(json.dumps({"typ": "at+jwt", "alg": "RS256", "kid": kid}).encode())
        return f"{header.rstrip(b'=').decode()}.{good.split('.', 1)[1]}"

    good = mint(sub="a client")
    get(client, good)
    with django_assert_num_queries(1):
        for kid in range(20):
            assert get(client, with_kid(f"kid {kid}")).status_code == 401
    assert get(client, good).status_code == 200


def test_key_that_another_process_announced_is_found(mint, client, signing_keys):
    token = mint(sub="a client")
    get(client, token)
    # This process has read the keys before the signing key was created.
    SigningKey.objects.filter(pk=signing_keys[0].pk).delete()
    assert signing_keys[0].kid not in key_store.current().public_keys
    SigningKey.objects.bulk_create([signing_keys[0]])  # It sends no signal, like a change in another process.
    assert get(client, token).status_code == 200


def test_without_a_view_nothing_is_wrapped(mint):
    request = APIView().initialize_request(
        RequestFactory().get("/", headers={"Authorization": f"Bearer {mint(sub='a client')}"})
    )
    request.parser_context = {}
    user, auth = AccessTokenAuthentication().authenticate(request)
    assert user == MachinePrincipal("a client", issuer=settings.ISSUER)
    assert not auth.is_expired()


def test_unset_audience_or_issuer_is_a_clear_error(mint, client, settings):
    from django.core.exceptions import ImproperlyConfigured

    token = mint(sub="a client")
    settings.AT_JWT = {}
    with pytest.raises(ImproperlyConfigured, match=r'set AT_JWT\["AUDIENCE"\].*DEFAULT_RESOURCE.*for_audience'):
        get(client, token)
    settings.OAUTH2_PROVIDER = {}
    with pytest.raises(ImproperlyConfigured, match="OIDC_ISS_ENDPOINT"):
        get(client, token)


def test_scopes_that_a_view_checks_itself_cause_no_challenge(mint, client):
    # The view checks whether drafts may be shown too, and then denies the object for another reason.
    answer = get(client, mint(sub="a client"), "/drafts/")
    assert answer.status_code == 403
    assert "WWW-Authenticate" not in answer


def test_cached_token_is_rejected_without_its_key(mint, client, signing_keys, monkeypatch):
    token = mint(sub="a client")
    tried = []
    verifies = PublicKey.verifies
    monkeypatch.setattr(PublicKey, "verifies", lambda *arguments: tried.append(1) or verifies(*arguments))
    assert [get(client, token).status_code for _ in range(3)] == [200, 200, 200]
    assert len(tried) == 2
    revoke_signing_key(key_store.current().signing_key().kid, reason="it leaked")
    assert get(client, token).status_code == 401
