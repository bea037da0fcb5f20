"""Each client of the example gets tokens over HTTP, and other libraries verify them with what the issuer publishes."""

import time
from dataclasses import replace
from urllib.parse import urlsplit

import joserfc.errors
import joserfc.jwt
import jwt
import pytest
import requests
from authlib.oauth2.rfc6750 import InvalidTokenError
from authlib.oauth2.rfc9068 import JWTBearerTokenValidator
from joserfc.jwk import KeySet

from example_project.http_client import AuthorizationServer, UnexpectedAnswer, call_api
from tests.patience import PATIENCE_SECONDS

REQUIRED_CLAIMS = ("iss", "exp", "aud", "sub", "client_id", "iat", "jti")
INVALID_TOKEN = 'Bearer error="invalid_token", error_description="The access token is invalid."'


def with_link(challenge, resource_server):
    parts = urlsplit(resource_server["identifier"])
    document = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path}"
    return f'{challenge}, resource_metadata="{document}"'


def verified_by_pyjwt(token, jwk_set, issuer, audience):
    key = jwt.PyJWKSet.from_dict(jwk_set)[jwt.get_unverified_header(token)["kid"]]
    required = {"require": list(REQUIRED_CLAIMS)}
    return jwt.decode(token, key, algorithms=["RS256"], audience=audience, issuer=issuer, options=required)


def verified_by_joserfc(token, jwk_set, issuer, audience):
    decoded = joserfc.jwt.decode(token, KeySet.import_key_set(jwk_set), algorithms=["RS256"])
    expected = {claim: {"essential": True} for claim in REQUIRED_CLAIMS}
    expected["iss"]["value"] = issuer
    expected["aud"]["value"] = audience
    joserfc.jwt.JWTClaimsRegistry(**expected).validate(decoded.claims)
    return decoded.claims


def verified_by_authlib(token, jwk_set, issuer, audience):
    class Validator(JWTBearerTokenValidator):
        def get_jwks(self):
            return KeySet.import_key_set(jwk_set)

    validator = Validator(issuer, audience)
    claims = validator.authenticate_token(token)
    validator.validate_token(claims, None, None)
    return dict(claims)


LIBRARIES = [
    (verified_by_pyjwt, jwt.InvalidAudienceError),
    (verified_by_joserfc, joserfc.errors.InvalidClaimError),
    (verified_by_authlib, InvalidTokenError),
]

# The grant, the subject, and which of the two resource servers the token is for.
WAYS = {
    "web": (lambda site: site.code_flow("web", scope="api:read"), "example-web", "notes"),
    "web with an ID token": (lambda site: site.code_flow("web", scope="openid api:read"), "example-web", "notes"),
    "web for reports": (
        lambda site: site.code_flow("web", scope="reports:read", resource=site.reports["identifier"]),
        "example-web",
        "reports",
    ),
    "spa": (lambda site: site.code_flow("spa", scope="api:read"), "example-spa", "notes"),
    "refresh": (lambda site: site.refreshed(scope="api:read"), "example-web", "notes"),
    "device": (lambda site: site.device_flow(scope="api:read"), "example-device", "notes"),
    "service": (lambda site: {"access_token": site.service_token(site.notes)}, "example-service", "notes"),
    "service for reports": (
        lambda site: {"access_token": site.service_token(site.reports)},
        "example-service",
        "reports",
    ),
}


@pytest.mark.compliance("9068-2", "9068-3", "9068-4", "9068-5", "9068-14", "9068-16", "9068-20", "9068-25")
@pytest.mark.parametrize("way", WAYS)
def test_every_client_gets_tokens_that_every_library_verifies(site, way):
    get, client_id, name = WAYS[way]
    resource_server = getattr(site, name)
    token = get(site)["access_token"]
    server = AuthorizationServer.discover(site.issuer)
    checks = (server.jwk_set(), site.issuer, resource_server["identifier"])

    header = jwt.get_unverified_header(token)
    assert (header["typ"], header["alg"]) == ("at+jwt", "RS256")
    claims = verified_by_pyjwt(token, *checks)
    assert (claims["client_id"], claims["aud"]) == (client_id, resource_server["identifier"])
    assert claims["scope"].split()[-1:] == resource_server["scopes"][:1]
    assert (claims["sub"] == client_id) is way.startswith("service")
    assert claims["exp"] == claims["iat"] + 3600
    assert [verify(token, *checks) for verify, _ in LIBRARIES] == [claims] * 3
    assert call_api(resource_server["url"], token).status_code == 200


@pytest.mark.parametrize(("verify", "refusal"), LIBRARIES, ids=lambda each: each.__name__)
def test_the_libraries_refuse_it_for_another_audience(site, verify, refusal):
    token = site.service_token(site.reports)
    with pytest.raises(refusal):
        verify(token, site.authorization_server.jwk_set(), site.issuer, site.notes["identifier"])


def test_the_document_and_the_metadata_agree(site):
    metadata = site.authorization_server.metadata
    endpoints = ("token", "authorization", "introspection", "revocation")
    names = ["issuer", "jwks_uri", *(f"{endpoint}_endpoint" for endpoint in endpoints)]
    assert {name: site.description[name] for name in names} == {name: metadata[name] for name in names}
    appended = requests.get(f"{site.issuer}/.well-known/oauth-authorization-server", timeout=PATIENCE_SECONDS).json()
    discovery = requests.get(f"{site.issuer}/.well-known/openid-configuration", timeout=PATIENCE_SECONDS).json()
    assert metadata == appended == discovery


class TestApis:
    def test_the_first_scope_suffices_for_a_get(self, site):
        for resource_server in site.description["resource_servers"]:
            answer = call_api(resource_server["url"], site.service_token(resource_server))
            assert answer.status_code == 200, answer.text

    @pytest.mark.compliance("6750-2")
    @pytest.mark.parametrize("name", ["notes", "reports"])
    def test_no_token(self, site, name):
        answer = call_api(getattr(site, name)["url"], None)
        api = getattr(site, name)
        challenge = f'Bearer scope="{api["scopes"][0]}"'
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, with_link(challenge, api))

    @pytest.mark.compliance("9068-24", "9068-27")
    def test_a_token_for_the_other_one(self, site):
        for its, other in ((site.notes, site.reports), (site.reports, site.notes)):
            answer = call_api(other["url"], site.service_token(its))
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, with_link(INVALID_TOKEN, other))

    @pytest.mark.compliance("9068-21", "9068-29")
    def test_an_id_token_and_a_refresh_token(self, site):
        tokens = site.code_flow(scope="openid api:read")
        for name in ("id_token", "refresh_token"):
            answer = call_api(site.notes["url"], tokens[name])
            challenge = with_link(INVALID_TOKEN, site.notes)
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, challenge)

    @pytest.mark.compliance("6750-3")
    def test_a_missing_scope(self, site):
        token = site.service_token(site.reports, scope="api:read")
        answer = call_api(site.reports["url"], token)
        challenge = with_link('Bearer error="insufficient_scope", scope="reports:read"', site.reports)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (403, challenge)

    def test_notes_are_their_owners(self, site):
        headers = {
            username: {"Authorization": f"Bearer {self.user_token(site, username)}"} for username in ("alice", "admin")
        }
        text = f"Written at {time.time()}"
        written = requests.post(
            site.notes["url"], json={"text": text}, headers=headers["alice"], timeout=PATIENCE_SECONDS
        )
        assert (written.status_code, written.json()["text"]) == (201, text)
        seen = {
            username: [
                note["text"] for note in requests.get(site.notes["url"], headers=each, timeout=PATIENCE_SECONDS).json()
            ]
            for username, each in headers.items()
        }
        assert seen["admin"] == []
        assert seen["alice"][:2] == ["Water the plants", "Rotate the keys"]
        assert text in seen["alice"]

    def test_reading_is_not_writing(self, site):
        token = site.code_flow(scope="api:read")["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = requests.post(site.notes["url"], json={"text": "No"}, headers=headers, timeout=PATIENCE_SECONDS)
        challenge = with_link('Bearer error="insufficient_scope", scope="api:write"', site.notes)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (403, challenge)

    def test_a_machine_has_no_notes(self, site):
        headers = {"Authorization": f"Bearer {site.service_token(site.notes, scope='api:read api:write')}"}
        assert requests.get(site.notes["url"], headers=headers, timeout=PATIENCE_SECONDS).json() == []
        answer = requests.post(site.notes["url"], json={"text": "No"}, headers=headers, timeout=PATIENCE_SECONDS)
        assert (answer.status_code, "WWW-Authenticate" in answer.headers) == (403, False)
        assert answer.json() == {"detail": "A client that acts for itself cannot write notes."}

    def test_reports_say_who_reads_them(self, site):
        by_machine = call_api(site.reports["url"], site.service_token(site.reports)).json()
        assert by_machine["read_by"] == "client:example-service"
        assert by_machine["authors"] == 1
        assert by_machine["notes"] >= 2

    def user_token(self, site, username):
        return site.code_flow(username=username, scope="api:read api:write")["access_token"]


class TestAuthorizationServer:
    def test_introspection_and_revocation(self, site):
        token = site.code_flow(scope="api:read")["access_token"]
        service, web = (site.description["clients"][name] for name in ("service", "web"))

        def introspected():
            return requests.post(
                site.description["introspection_endpoint"],
                data={"token": token},
                auth=(service["client_id"], service["client_secret"]),
                timeout=PATIENCE_SECONDS,
            ).json()

        assert introspected().items() >= {"active": True, "client_id": "example-web", "scope": "api:read"}.items()
        revoked = requests.post(
            site.description["revocation_endpoint"],
            data={"token": token},
            auth=(web["client_id"], web["client_secret"]),
            timeout=PATIENCE_SECONDS,
        )
        assert revoked.status_code == 200
        assert introspected() == {"active": False}

    def test_the_id_token_is_the_clients(self, site):
        tokens = site.code_flow(scope="openid", nonce="a nonce")
        token = tokens["id_token"]
        key = jwt.PyJWKSet.from_dict(site.authorization_server.jwk_set())[jwt.get_unverified_header(token)["kid"]]
        claims = jwt.decode(token, key, algorithms=["RS256"], audience="example-web", issuer=site.issuer)
        assert claims["nonce"] == "a nonce"
        userinfo = requests.get(
            site.authorization_server.metadata["userinfo_endpoint"],
            headers={"Authorization": f"Bearer {tokens['access_token']}"},
            timeout=PATIENCE_SECONDS,
        )
        assert userinfo.json() == {"sub": claims["sub"]}

    def test_refresh_tokens_are_replaced(self, site):
        web = site.client("web")
        first = site.code_flow(scope="api:read")["refresh_token"]
        second = web.token("refresh_token", refresh_token=first)["refresh_token"]
        third = web.token("refresh_token", refresh_token=second)["refresh_token"]
        # The client has received the second one, so this does not repeat a request whose response was lost.
        assert web.token("refresh_token", refresh_token=first)["error"] == "invalid_grant"
        # A refresh token was used again, so its whole family is refused.
        assert web.token("refresh_token", refresh_token=third)["error"] == "invalid_grant"

    def test_pkce_is_needed(self, site):
        authorization = site.client("web").begin_authorization(scope="api:read")
        answer = site.browser().open(authorization.address.replace("code_challenge", "other"))
        assert urlsplit(answer.url).path == "/callback/"
        with pytest.raises(UnexpectedAnswer, match="no code but the error invalid_request"):
            authorization.exchange(answer.url)

    def test_pkce_is_needed_with_s256(self, site):
        authorization = site.client("web").begin_authorization(scope="api:read", code_challenge_method="plain")
        # There is no consent page: the browser is back at the client at once.
        answer = site.browser().open(authorization.address)
        assert urlsplit(answer.url).path == "/callback/"
        with pytest.raises(UnexpectedAnswer, match="no code but the error invalid_request"):
            authorization.exchange(answer.url)

    def test_pkce_is_needed_with_the_verifier(self, site):
        authorization = site.client("spa").begin_authorization(scope="api:read")
        redirect = site.browser().authorize(authorization)
        answer = replace(authorization, code_verifier="x" * 43).exchange(redirect)
        assert answer["error"] == "invalid_grant"

    def test_discouraged_grants_are_off(self, site):
        alice = site.users["alice"]
        answer = site.client("web").token("password", username=alice["username"], password=alice["password"])
        assert "access_token" not in answer
        assert "error" in answer
        assert not {"implicit", "password"} & set(site.authorization_server.metadata["grant_types_supported"])

    @pytest.mark.compliance("8707-2")
    def test_an_unknown_resource(self, site):
        answer = site.client("service").token("client_credentials", resource="https://other.example.com/")
        assert answer["error"] == "invalid_target"
