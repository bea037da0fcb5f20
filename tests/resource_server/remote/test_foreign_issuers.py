"""Tokens of other implementations of RFC 9068 are accepted; other JWTs that they sign are rejected."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
import requests
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from django_at_jwt.core.errors import RejectionReason, TokenRejected
from django_at_jwt.resource_server.verification import verify_token
from tests.core.token_factory import API
from tests.patience import PATIENCE_SECONDS

from .issuer_process import OPENID

KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})


class Client:
    """The client methods that Authlib requires."""

    def get_client_id(self):
        return "a client of Authlib"

    def get_allowed_scope(self, scope):
        return scope


class User:
    """The user methods that Authlib requires."""

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
    # joserfc defaults to "JWT".
    assert rejected.value.reason is RejectionReason.UNEXPECTED_TYPE


@pytest.fixture
def oidc_provider(api):
    """Run oidc-provider, if node and the package are installed; yield its issuer and an ID token."""
    # npm install --prefix .cache/npm oidc-provider@9, or set OIDC_PROVIDER to the path of its lib/index.js.
    module = os.environ.get("OIDC_PROVIDER", ".cache/npm/node_modules/oidc-provider/lib/index.js")
    if not shutil.which("node") or not Path(module).exists():
        pytest.skip("oidc-provider: node or the package is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    issuer = f"http://127.0.0.1:{port}"
    options = {"issuer": issuer, "port": port, "audience": API, "jwks": {"keys": [KEY.as_dict(private=True)]}}
    process = subprocess.Popen(
        ["node", str(Path(__file__).with_name("oidc_provider.mjs")), json.dumps(options)],
        env=os.environ | {"OIDC_PROVIDER": str(Path(module).resolve())},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        said = next(line.split() for line in process.stdout if line.startswith("ID_TOKEN "))
        api.AT_JWT = {**api.AT_JWT, "ISSUERS": {issuer: {"audience": API}}}
        yield issuer, said[1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.compliance("9068-2", "9068-29")
def test_tokens_of_oidc_provider(oidc_provider):
    issuer, id_token = oidc_provider
    data = {"grant_type": "client_credentials", "client_id": "service", "client_secret": "a secret", "scope": "read"}
    token = requests.post(f"{issuer}/token", data=data, timeout=PATIENCE_SECONDS).json()["access_token"]
    claims = verify_token(token)
    assert claims.is_machine
    assert (claims.issuer, claims.client_id, claims.scope) == (issuer, "service", "read")
    with pytest.raises(TokenRejected) as rejected:
        verify_token(id_token)
    assert rejected.value.reason is RejectionReason.UNEXPECTED_TYPE
