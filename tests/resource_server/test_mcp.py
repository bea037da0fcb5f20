"""The token verifier for MCP servers. The guide's test runs it in a server over HTTP."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync

from django_at_jwt import KeysUnavailable
from tests.core.token_factory import API, REPORTS

from .signed_tokens import token

pytest.importorskip("mcp", reason="the SDK of MCP is not installed")

from django_at_jwt.mcp import TokenVerifier


def verified(verifier, signed):
    return async_to_sync(verifier.verify_token)(signed)


class TestWithAnIssuer:
    @pytest.fixture
    def verifier(self, issuer):
        return TokenVerifier(issuer=issuer.issuer, audience=API, allow_loopback_http=True, timeout=60)

    def test_returns_what_the_sdk_identifies_the_principal_by(self, issuer, verifier):
        signed = issuer.token(scope="write read", sub="alice", aud=[API, REPORTS])
        found = verified(verifier, signed)
        assert (found.client_id, found.subject, found.claims["iss"]) == (
            "a-client-of-the-tests",
            "alice",
            issuer.issuer,
        )
        assert (found.scopes, found.resource, found.token) == (["read", "write"], API, signed)
        assert found.expires_at == found.claims["exp"]

    def test_returns_nothing_for_a_rejected_token(self, issuer, verifier):
        assert verified(verifier, issuer.token(aud=REPORTS)) is None

    def test_outage_is_not_a_rejection(self, issuer, verifier):
        signed = issuer.token()
        issuer.stop()
        with pytest.raises(KeysUnavailable):
            verified(verifier, signed)


@pytest.mark.django_db
@pytest.mark.usefixtures("keys_made_quickly", "signing_keys")
def test_in_a_project(settings):
    verifier = TokenVerifier(audience=settings.REPORTS)
    found = verified(verifier, token("read", aud=settings.REPORTS))
    assert (found.client_id, found.scopes, found.resource) == ("a client", ["read"], settings.REPORTS)
    assert verified(verifier, token("read")) is None


def test_arguments_that_do_not_go_together():
    with pytest.raises(TypeError, match="leeway can only be used with issuer"):
        TokenVerifier(audience=API, leeway=3)
    with pytest.raises(TypeError, match="revocation can only be used without issuer"):
        TokenVerifier(audience=API, issuer="https://as.example.com", revocation="offline")
