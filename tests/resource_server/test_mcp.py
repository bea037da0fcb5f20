"""The token verifier for MCP servers. The guide's test runs it in a server over HTTP."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync

from django_at_jwt import KeysUnavailable
from django_at_jwt.rest_framework import MachinePrincipal
from tests.core.token_factory import API, REPORTS

from .signed_tokens import token

pytest.importorskip("mcp", reason="the SDK of MCP is not installed")

from starlette.authentication import AuthCredentials, SimpleUser, UnauthenticatedUser

from django_at_jwt.mcp import TokenVerifier, ToolScopes


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
    assert isinstance(found.user, MachinePrincipal)
    assert "user" not in found.model_dump()
    assert verified(verifier, token("read")) is None


@pytest.mark.django_db
@pytest.mark.usefixtures("keys_made_quickly", "signing_keys")
def test_user_of_a_project(settings, user):
    verifier = TokenVerifier(audience=settings.REPORTS)
    assert verified(verifier, token("read", aud=settings.REPORTS, sub=str(user.pk))).user == user


def test_options_without_an_issuer():
    with pytest.raises(TypeError, match="leeway can only be used with issuer"):
        TokenVerifier(audience=API, leeway=3)


def test_revocation_that_needs_the_project_of_the_issuer():
    with pytest.raises(ValueError, match="revocation"):
        TokenVerifier(audience=API, issuer="https://as.example.com", revocation="row")


class Application:
    """An ASGI application that reads its request."""

    def __init__(self):
        self.body = None

    async def __call__(self, scope, receive, send):
        message, self.body = await receive(), b""
        while message["type"] == "http.request":
            self.body += message["body"]
            if not message["more_body"]:
                break
            message = await receive()


def sent(application, *parts, scopes=("read",), tools=None, method="POST", **scope):
    """Send a request with a body in parts, and return what the middleware sends itself."""
    tools = {"write": ["read", "write"], "delete": ["read", "delete"]} if tools is None else tools
    middleware = ToolScopes(application, tools=tools, audience="https://mcp.example.com/mcp")
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts[:-1]]
    messages += [{"type": "http.request", "body": part, "more_body": False} for part in parts[-1:]]
    messages += [{"type": "http.disconnect"}]
    answers = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        answers.append(message)

    authenticated = {"auth": AuthCredentials(scopes), "user": SimpleUser("a client")}
    async_to_sync(middleware)({"type": "http", "method": method, **authenticated, **scope}, receive, send)
    return answers


CALL = b'{"method": "tools/call", "params": {"name": "write"}}'


class TestToolScopes:
    @pytest.mark.parametrize(
        ("scopes", "parts"),
        [
            (["read", "write"], [CALL]),
            (["read", "write"], [CALL[:20], CALL[20:30], CALL[30:]]),
            (["read"], [b'{"method": "tools/list"}']),
            (["read"], [b'{"method": "tools/call", "params": {"name": "not listed"}}']),
            (["read", "write", "delete"], [b"not understood"]),
        ],
    )
    def test_passes_the_whole_body_on(self, scopes, parts):
        application = Application()
        assert sent(application, *parts, scopes=scopes) == []
        assert application.body == b"".join(parts)

    @pytest.mark.parametrize(
        ("scopes", "parts", "needed"),
        [
            (["read"], [CALL], "read write"),
            (["write"], [CALL[:20], CALL[20:]], "read write"),
            (["read", "write"], [b"not understood"], "read write delete"),
            # Longer than what the SDK accepts.
            (["read", "write"], [b" " * (4 * 1024 * 1024 + 1), CALL], "read write delete"),
            # The client went away.
            (["read", "write"], [], "read write delete"),
        ],
        ids=["tool", "parts", "not understood", "too long", "disconnect"],
    )
    def test_refuses_and_names_all_scopes(self, scopes, parts, needed):
        application = Application()
        start, end = sent(application, *parts, scopes=scopes)
        assert start["status"] == 403
        assert dict(start["headers"])[b"www-authenticate"].decode() == (
            f'Bearer error="insufficient_scope", scope="{needed}", '
            'resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"'
        )
        assert (end["body"], application.body) == (b"", None)

    def test_leaves_other_requests_to_the_application(self):
        for options in {"method": "GET"}, {"user": UnauthenticatedUser()}, {"type": "lifespan"}:
            application = Application()
            assert sent(application, CALL, scopes=[], **options) == []
            assert application.body == CALL

    def test_must_run_after_the_authentication(self):
        middleware = ToolScopes(Application(), tools={}, audience="https://mcp.example.com/mcp")
        with pytest.raises(RuntimeError, match="must run after the authentication middleware"):
            async_to_sync(middleware)({"type": "http", "method": "POST"}, None, None)

    @pytest.mark.parametrize("scopes", ["write", ["a b"], [7]], ids=["string", "two in one", "number"])
    def test_scopes_that_are_not_a_list_are_refused(self, scopes):
        with pytest.raises(ValueError, match="the scopes of 'write' must be a list of scopes"):
            ToolScopes(Application(), tools={"write": scopes}, audience="https://mcp.example.com/mcp")
