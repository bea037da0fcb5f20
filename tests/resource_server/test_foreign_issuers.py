"""Tokens that another implementation of RFC 9068 made are accepted, and what else it signs is not."""

from __future__ import annotations

import time

import pytest
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from django_at_jwt.core.errors import RejectionReason, TokenRejected
from django_at_jwt.resource_server.verification import verify_token
from tests.core.forge import API

from .remote_issuer import OPENID

KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})


class Client:
    """What Authlib asks of a client."""

    def get_client_id(self):
        return "a client of Authlib"

    def get_allowed_scope(self, scope):
        return scope


class User:
    """What Authlib asks of a user."""

    def get_user_id(self):
        return 5


class Generator(JWTBearerTokenGenerator):
    def get_jwks(self):
        return KeySet([KEY])

    def get_audiences(self, client, user, scope):
        return [API]


@pytest.fixture
def authlib(api, issuer):
    issuer.publish(KEY.as_dict(private=False))
    issuer.describe(OPENID)
    return Generator(issuer=issuer.issuer)


@pytest.mark.compliance("9068-2")
def test_access_tokens_of_authlib(authlib, issuer):
    token = authlib(grant_type="authorization_code", client=Client(), user=User(), scope="read")
    claims = verify_token(token["access_token"])
    assert (claims.subject, claims.client_id, claims.scopes) == ("5", "a client of Authlib", {"read"})
    token = authlib(grant_type="client_credentials", client=Client(), user=None, scope="read")
    assert verify_token(token["access_token"]).is_machine


@pytest.mark.compliance("9068-29")
@pytest.mark.parametrize("typ", [{}, {"typ": "JWT"}, {"typ": "logout+jwt"}])
def test_id_tokens_with_the_same_key_are_refused(typ, authlib, issuer):
    now = int(time.time())
    claims = {"iss": issuer.issuer, "sub": "5", "aud": API, "client_id": API, "iat": now, "exp": now + 60, "jti": "1"}
    token = jwt.encode({"alg": "RS256", "kid": "one", **typ}, claims, KEY)
    with pytest.raises(TokenRejected) as rejected:
        verify_token(token)
    # joserfc itself writes "JWT" where nothing is given.
    assert rejected.value.reason is RejectionReason.UNEXPECTED_TYPE
