"""The test tools: the issuer is accepted while installed, and each hostile token is rejected for one fault."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
import time

import jwt
import pytest
from django.conf import settings

from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.conf import app_settings, local_issuer
from django_at_jwt.core.errors import TokenRejected
from django_at_jwt.core.verifier import Expectations, verify_access_token
from django_at_jwt.testing import HOSTILE_TOKENS, AccessTokenClient, InMemoryIssuer, hostile_token
from django_at_jwt.testing import client as client_module
from django_at_jwt.testing import hostile as hostile_module
from django_at_jwt.testing import issuer as issuer_module
from tests.patience import PATIENCE_SECONDS

MACHINE = {"sub": "service", "client_id": "service"}
# The expected reason, by the beginning of the name.
REASONS = {
    "alg missing": "bad_header",
    "alg no": "algorithm_mismatch",
    "HS256": "algorithm_mismatch",
    "signed with another key": "bad_signature",
    "signed with the key in its header": "bad_signature",
    "signed with an unpublished key": "unknown_key",
    "kid missing": "bad_header",
    "kid as a path": "unknown_key",
    "signature missing": "bad_signature",
    "claims changed": "bad_signature",
    "typ": "unexpected_type",
    "ID token": "unexpected_type",
    "logout token": "unexpected_type",
    "crit": "critical_header",
    "encrypted": "encrypted",
    "opaque": "malformed",
    "too long": "too_large",
    "padded": "malformed",
    "claims that": "bad_claims",
    "sub twice": "bad_claims",
    "another issuer": "wrong_issuer",
    "issuer": "wrong_issuer",
    "another audience": "wrong_audience",
    "audience": "wrong_audience",
    "empty audience": "bad_claim",
    "expired": "expired",
    "exp ": "bad_claim",
    "not valid yet": "not_yet_valid",
    "issued in the future": "not_yet_valid",
    "sub ": "bad_claim",
    "scope": "bad_claim",
    "bound": "sender_constrained",
}


def expected_reason(name):
    if re.fullmatch("(iss|exp|aud|sub|client_id|iat|jti) missing", name):
        return "missing_claim"
    return next(reason for start, reason in REASONS.items() if name.lower().startswith(start.lower()))


class TestIssuer:
    def test_is_accepted_while_it_is_installed(self, client, db):
        issuer = InMemoryIssuer(algorithm="ES256")
        api = AccessTokenClient(issuer, {**MACHINE, "scope": "read"})
        before = settings.AT_JWT, settings.OAUTH2_PROVIDER
        with issuer.installed() as installed:
            assert installed is issuer
            assert api.get("/whoami/").json() == {"user": "client:service", "scope": "read", "client_id": "service"}
        assert api.get("/whoami/").status_code == 401
        assert before == (settings.AT_JWT, settings.OAUTH2_PROVIDER)

    def test_stands_for_the_projects_own(self, settings):
        issuer = InMemoryIssuer()
        assert (issuer.issuer, issuer.audience) == (settings.ISSUER, settings.API)
        settings.AT_JWT = {"AUDIENCE": settings.REPORTS}
        assert InMemoryIssuer().audience == settings.REPORTS
        settings.AT_JWT, settings.OAUTH2_PROVIDER = {}, {}
        issuer = InMemoryIssuer()
        with issuer.installed():
            assert local_issuer() == issuer.issuer == "https://issuer.example.com"
            assert app_settings().audience == (issuer.audience,)
            assert issuer.audience == "https://api.example.com/"

    def test_stands_for_the_first_of_other_issuers(self, settings):
        # Plain http is for development; tests run as in production.
        first = {"audience": ["https://b.example.com/", "https://c.example.com/"], "user_mode": "stateless"}
        issuers = {"http://127.0.0.1:8000/o": first, "https://second.example.com": {"audience": settings.REPORTS}}
        settings.AT_JWT, settings.OAUTH2_PROVIDER = {"ISSUERS": issuers}, {}
        issuer = InMemoryIssuer()
        assert (issuer.issuer, issuer.audience) == ("http://127.0.0.1:8000/o", "https://b.example.com/")
        assert InMemoryIssuer(issuer="https://second.example.com").audience == settings.REPORTS
        with issuer.installed():
            # A stateless user: no query is made.
            assert AccessTokenClient(issuer, {"scope": "read"}).get("/whoami/").json()["user"] == issuer.claims()["sub"]
            stranger = InMemoryIssuer(issuer="https://issuer.example.com", audience="https://b.example.com/")
            assert AccessTokenClient(stranger).get("/whoami/").status_code == 401

    def test_of_another_name_and_audience(self):
        issuer = InMemoryIssuer(issuer="https://a.example.com", audience="https://b.example.com/")
        with issuer.installed():
            api = AccessTokenClient(issuer, MACHINE)
            assert api.get("/whoami/").status_code == 200
            api.carry(**MACHINE, aud=settings.REPORTS)
            assert api.get("/whoami/").status_code == 401
            assert api.get("/reports/").status_code == 200

    def test_signs_what_the_endpoints_issue_meanwhile(self, client, db, service):
        with InMemoryIssuer(algorithm="ES256").installed():
            token = service.token("client_credentials", scope="read").json()["access_token"]
            assert client.get("/whoami/", headers={"Authorization": f"Bearer {token}"}).status_code == 200

    def test_one_within_another(self):
        outer, inner = InMemoryIssuer(), InMemoryIssuer(algorithm="ES256")
        with outer.installed():
            for _ in range(2):
                with inner.installed():
                    assert AccessTokenClient(inner, MACHINE).get("/whoami/").status_code == 200
                    assert AccessTokenClient(outer, MACHINE).get("/whoami/").status_code == 401
                assert AccessTokenClient(outer, MACHINE).get("/whoami/").status_code == 200
                assert AccessTokenClient(inner, MACHINE).get("/whoami/").status_code == 401

    def test_keys_of_the_site_are_not_accepted_meanwhile(self, service, signing_keys, client):
        token = service.token("client_credentials").json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        with InMemoryIssuer().installed():
            assert client.get("/whoami/", headers=headers).status_code == 401
        assert client.get("/whoami/", headers=headers).status_code == 200
        assert key_store.current().signing_key()

    def test_ends_with_an_error(self):
        before = settings.AT_JWT
        with pytest.raises(ZeroDivisionError), InMemoryIssuer().installed():
            raise ZeroDivisionError
        assert settings.AT_JWT is before

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
    def test_others_verify_its_tokens(self, algorithm):
        issuer = InMemoryIssuer(algorithm=algorithm)
        [key] = issuer.key_ring.jwk_set()["keys"]
        claims = {"https://example.com/tenant": {"id": 1}, "scope": "read"}
        decoded = jwt.decode(issuer.token(**claims), jwt.PyJWK(key), [algorithm], audience=issuer.audience)
        assert claims.items() <= decoded.items()
        assert jwt.get_unverified_header(issuer.token())["typ"] == "at+jwt"


class TestClient:
    def test_carries_what_it_is_given(self, access_token_client, access_token_issuer):
        assert access_token_client.issuer is access_token_issuer
        access_token_client.carry(**MACHINE, scope="write")
        assert access_token_client.get("/needs-write/").status_code == 200
        assert access_token_client.post("/needs-write/").status_code == 200
        access_token_client.carry(**MACHINE)
        assert access_token_client.get("/needs-write/").status_code == 403
        access_token_client.carry_token("x")
        assert access_token_client.token == "x"
        assert access_token_client.get("/needs-write/").status_code == 401
        access_token_client.credentials()
        assert access_token_client.get("/needs-write/")["WWW-Authenticate"].startswith("Bearer")

    def test_speaks_for_a_user_of_the_site(self, user, access_token_client):
        access_token_client.carry(sub=str(user.pk))
        assert access_token_client.get("/whoami/").json()["user"] == "alice"


@pytest.mark.compliance("9068-21", "9068-23", "9068-24", "9068-25", "9068-26", "9068-29", "8725-1", "9449-1")
@pytest.mark.parametrize("name", HOSTILE_TOKENS)
def test_hostile_token(name, access_token_issuer, access_token_client):
    claims = {**MACHINE, "scope": "write"}
    access_token_client.carry(**claims)
    assert access_token_client.get("/needs-write/").status_code == 200
    hostile = hostile_token(name, access_token_issuer, **claims)
    access_token_client.carry_token(hostile)
    assert access_token_client.get("/needs-write/").status_code == 401

    expected = Expectations(issuer=access_token_issuer.issuer, audiences=frozenset({settings.API}))
    with pytest.raises(TokenRejected) as rejected:
        verify_access_token(hostile, key_ring=access_token_issuer.key_ring, expected=expected, now=time.time())
    assert rejected.value.reason == expected_reason(name)


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_hostile_tokens_of_other_algorithms_and_audiences(algorithm):
    issuer = InMemoryIssuer(algorithm=algorithm)
    with issuer.installed():
        api = AccessTokenClient(issuer)
        for name in HOSTILE_TOKENS:
            api.carry_token(hostile_token(name, issuer, **MACHINE, aud=[settings.REPORTS]))
            assert api.get("/reports/").status_code == 401, name


def test_hostile_token_that_is_not_there(access_token_issuer):
    with pytest.raises(KeyError):
        hostile_token("friendly", access_token_issuer)


SETTINGS_ONLY = """
import django
from django.test.utils import setup_test_environment

from django_at_jwt.testing import AccessTokenClient, InMemoryIssuer

django.setup()
setup_test_environment(debug=False)
with InMemoryIssuer().installed() as issuer:
    # The views are imported by this request, and django_at_jwt.rest_framework by the views.
    print(AccessTokenClient(issuer, {"sub": "ann"}).get("/whoami/").json()["subject"])
"""


def test_each_issuer_has_a_separate_key():
    one, other = InMemoryIssuer(issuer="https://one.example.com"), InMemoryIssuer(issuer="https://other.example.com")
    assert one.signing_key.kid != other.signing_key.kid
    assert InMemoryIssuer(issuer="https://one.example.com").signing_key is one.signing_key


def test_unknown_algorithm_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"must be one of RS256, "):
        InMemoryIssuer(algorithm="rs256")


def test_project_that_has_nothing_but_settings():
    left_out = {"DJANGO_SETTINGS_MODULE", "DATABASE_URL"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SETTINGS_ONLY],
        env={name: value for name, value in os.environ.items() if name not in left_out}
        | {
            "DJANGO_SETTINGS_MODULE": "example_project.remote_api.settings",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.stdout == "ann\n", done.stderr


@pytest.mark.parametrize("module", [client_module, hostile_module, issuer_module], ids=lambda module: module.__name__)
def test_examples_in_the_docstrings(module):
    assert doctest.testmod(module).failed == 0
