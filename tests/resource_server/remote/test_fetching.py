"""The metadata and keys of an issuer, fetched over real HTTP: what is used, and what is refused."""

from __future__ import annotations

import pytest
from django.core.cache import caches

from django_at_jwt.core.errors import KeysUnavailable, RejectionReason, TokenRejected
from django_at_jwt.resource_server.remote.key_source import (
    RETRY_AFTER,
)
from django_at_jwt.resource_server.verification import verify_token
from tests.core.token_factory import TokenFactory, private_members

from .api_process import cache_keys, get, new_worker, reason
from .issuer_process import HTML, KEYS, METADATA, OPENID, Page, running_issuer

OLD, NEW = TokenFactory("ES256"), TokenFactory("ES256", "a newer key")


def refused(issuer, caplog):
    with pytest.raises(KeysUnavailable):
        verify_token(issuer.token())
    return caplog.text


class TestMetadata:
    def test_openid_discovery_is_the_fallback(self, api, issuer):
        del issuer.pages[METADATA]
        issuer.describe(OPENID)
        assert verify_token(issuer.token())
        assert issuer.requests == {METADATA: 1, OPENID: 1, KEYS: 1}

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"issuer": "https://as.example.com/o"}, "its issuer is"),
            ({"issuer": None}, "its issuer is"),
            ({"issuer": ["x"]}, "its issuer is"),
            ({"jwks_uri": None}, "its jwks_uri must be"),
            ({"jwks_uri": "http://192.0.2.1/keys"}, "must be an https URL"),
            ({"jwks_uri": "file:///etc/passwd"}, "must be an https URL"),
            ({"jwks_uri": "https://user@as.example.com/"}, "must be an https URL"),
            ({"jwks_uri": "https://as.example.com/ x\r\nHost: y"}, "must be an https URL"),
            ({"jwks_uri": 5}, "must be an https URL"),
        ],
    )
    def test_metadata_of_another_issuer(self, changes, words, api, issuer, caplog):
        issuer.describe(**changes)
        assert words in refused(issuer, caplog)
        assert issuer.fetches == 0

    def test_slash_at_the_end_is_another_issuer(self, api, issuer, caplog):
        issuer.describe(issuer=f"{issuer.issuer}/")
        assert "its issuer is" in refused(issuer, caplog)

    def test_http_is_for_development_alone(self, api, issuer):
        from django.core.exceptions import ImproperlyConfigured

        api.DEBUG = False
        with pytest.raises(ImproperlyConfigured, match="not an https URL"):
            verify_token(issuer.token())
        assert not issuer.requests


BAD_PAGES = {
    "html": (HTML, "content type"),
    "no content type": (Page(b"{}", headers={}), "content type"),
    "text": (Page(b'{"keys": []}', headers={"Content-Type": "text/plain"}), "content type"),
    "not json": (Page(b"{"), "not a JSON object"),
    "a list": (Page(b"[]"), "not an object"),
    "a member twice": (Page(b'{"keys": [], "keys": []}'), "not a JSON object"),
    "deep": (Page(b'{"a":' * 20_000 + b"1" + b"}" * 20_000), "not a JSON object"),
    "not utf-8": (Page(b'{"\xff": 1}'), "not a JSON object"),
    "10 MB": (Page(b" " * 10_000_000), "longer than"),
    "10 MB without a length": (
        Page(b"5\r\n     \r\n" * 200_000, headers={"Content-Type": "application/json", "Transfer-Encoding": "chunked"}),
        "longer than",
    ),
    "a chunk of a length below zero": (
        Page(
            b"-1\r\n" + b" " * 10_000_000, headers={"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
        ),
        "longer than",
    ),
    "too short": (Page(b"{", headers={"Content-Type": "application/json", "Content-Length": "100"}), "too early"),
    "compressed": (
        Page(b"x", headers={"Content-Type": "application/json", "Content-Encoding": "gzip"}),
        "compressed",
    ),
    "not found": (Page(status=404), "status is 404"),
    "broken": (Page(status=500), "status is 500"),
    "no content": (Page(status=204), "status is 204"),
    "not modified, without If-None-Match": (Page(status=304), "status is 304"),
    "no http": (Page(b"", status="x"), "cannot be fetched"),
}


@pytest.mark.parametrize(("page", "words"), BAD_PAGES.values(), ids=BAD_PAGES)
@pytest.mark.parametrize("path", [METADATA, KEYS])
def test_answer_that_cannot_be_used(path, page, words, api, issuer, caplog):
    issuer.pages[path] = page
    assert words in refused(issuer, caplog)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("path", [METADATA, KEYS])
def test_no_redirect_is_followed(path, status, api, issuer, caplog):
    with running_issuer() as elsewhere:
        target = issuer.pages[path]
        elsewhere.pages["/x"] = target
        issuer.pages[path] = Page(status=status, headers={"Location": f"{elsewhere.root}/x"})
        assert f"status is {status}" in refused(issuer, caplog)
        assert not elsewhere.requests


@pytest.mark.parametrize("path", [METADATA, KEYS])
@pytest.mark.parametrize(
    "slowness",
    [{"wait": 300}, {"drip": 0.2}, {"drip": 0.2, "drip_headers": True}],
    ids=["waits", "drips", "drips headers"],
)
def test_slow_issuer_takes_no_longer_than_the_time_limit(path, slowness, api, issuer):
    api.AT_JWT = {**api.AT_JWT, "ISSUER_TIMEOUT": 1}
    page = issuer.pages[path]
    # Without the limit, the answer would be complete and valid after 300 seconds.
    page.body += b" " * 1500
    for name, value in slowness.items():
        setattr(page, name, value)
    with pytest.raises(KeysUnavailable):
        verify_token(issuer.token())


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_proxies_of_the_environment_are_not_used(variable, api, issuer, monkeypatch):
    monkeypatch.setenv(variable, "http://127.0.0.1:9/")
    monkeypatch.delenv("no_proxy")
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert verify_token(issuer.token())


def test_nothing_of_the_site_is_sent(api, issuer):
    verify_token(issuer.token())
    assert issuer.seen
    for request in issuer.seen:
        assert request.keys() == {"path", "host", "accept", "accept-encoding", "connection", "user-agent"}
        assert request["host"] == issuer.root.removeprefix("http://")


@pytest.mark.compliance("8725-5")
class TestKeys:
    weak = {"kty": "RSA", "kid": "weak", "alg": "RS256", "e": "AQAB", "n": "w" * 171}

    @pytest.mark.parametrize(
        ("key", "why"),
        [
            (weak, "2048"),
            (NEW.jwk | private_members(NEW.key), "private half"),
            ({"kty": "oct", "k": "c2VjcmV0", "kid": "hmac", "alg": "HS256"}, "symmetric"),
            (NEW.jwk | {"use": "enc"}, "not for signatures"),
            (NEW.jwk | {"key_ops": ["encrypt"]}, "not for signatures"),
            (NEW.jwk | {"key_ops": ["sign"]}, '"key_ops" lacks "verify"'),
            (NEW.jwk | {"key_ops": "verify"}, "not for signatures"),
            (NEW.jwk | {"alg": "HS256"}, "algorithm is not one of"),
            (NEW.jwk | {"alg": "none"}, "algorithm is not one of"),
            (NEW.jwk | {"alg": 5}, "algorithm is not one of"),
            (NEW.jwk | {"alg": "ES384"}, "needs a key of type"),
            (NEW.jwk | {"kid": ""}, "no kid"),
            (NEW.jwk | {"kid": 5}, "no kid"),
            (NEW.jwk | {"x": "AAAA"}, "not a valid point"),
            ({"kty": "EC", "kid": "x", "crv": ["P-256"]}, "no accepted algorithm"),
            ({"kty": "EC", "kid": "x", "crv": {}}, "no accepted algorithm"),
            ("a string", "not a JSON object"),
        ],
    )
    def test_bad_key_is_skipped_and_logged_once(self, key, why, api, issuer, caplog, clock):
        issuer.publish(OLD, key)
        for _ in range(3):
            assert verify_token(issuer.token())
            clock.pass_by(300)
        assert issuer.fetches == 3
        assert caplog.text.count("is not used") == 1
        assert why in caplog.text
        with pytest.raises(TokenRejected):
            verify_token(issuer.token(NEW))

    def test_two_keys_with_one_kid_are_both_skipped(self, api, issuer, caplog):
        issuer.publish(OLD, NEW.jwk | {"kid": "twice"}, TokenFactory("EdDSA").jwk | {"kid": "twice"})
        assert verify_token(issuer.token())
        assert "2 different keys have this kid" in caplog.text
        assert reason(issuer.token(NEW, header=NEW.header(kid="twice"))) is RejectionReason.UNKNOWN_KEY

    def test_key_for_encryption_with_the_same_kid_does_no_harm(self, api, issuer):
        issuer.publish(OLD, NEW.jwk | {"kid": OLD.kid, "use": "enc"})
        assert verify_token(issuer.token())

    @pytest.mark.compliance("7009-2")
    @pytest.mark.parametrize(
        ("keys", "why"),
        [([], ""), ([weak], "2048"), ([{"kty": "oct", "k": "c2VjcmV0", "kid": "hmac"}], "symmetric")],
    )
    def test_issuer_that_withdraws_its_last_key(self, keys, why, api, issuer, client, clock, caplog):
        assert get(client, issuer.token()).status_code == 200
        issuer.publish(*keys)
        clock.pass_by(300)
        for _ in range(5):
            assert get(client, issuer.token()).status_code == 503
        assert issuer.fetches == 2
        assert "publishes no usable key" in caplog.text
        assert why in caplog.text
        # Another worker knows it too, and sends no request sooner.
        new_worker()
        assert get(client, issuer.token()).status_code == 503
        assert issuer.fetches == 2
        issuer.publish(NEW)
        clock.pass_by(RETRY_AFTER + 1)
        assert get(client, issuer.token(NEW)).status_code == 200
        assert get(client, issuer.token(OLD)).status_code == 401

    def test_issuer_that_withdraws_its_keys_and_is_asked_about_an_unknown_one(self, api, issuer):
        verify_token(issuer.token())
        issuer.publish()
        for token in (issuer.token(NEW), issuer.token(OLD)):
            with pytest.raises(KeysUnavailable, match="publishes no usable key"):
                verify_token(token)
        assert issuer.fetches == 2

    def test_withdrawn_key_is_dropped_even_if_the_remaining_one_is_unusable(self, api, issuer, clock):
        issuer.publish(OLD, NEW)
        assert verify_token(issuer.token(OLD))
        issuer.publish(NEW.jwk | {"use": "enc"})
        clock.pass_by(300)
        for token in (issuer.token(OLD), issuer.token(NEW)):
            with pytest.raises(KeysUnavailable):
                verify_token(token)

    @pytest.mark.parametrize("body", [b'{"keys": {}}', b"{}", b'{"keys": null}'])
    def test_no_set_at_all(self, body, api, issuer, caplog):
        issuer.pages[KEYS] = Page(body)
        assert "no list of" in refused(issuer, caplog)

    def test_unexpected_error_is_like_an_issuer_that_is_down(self, api, issuer, client, clock, caplog, monkeypatch):
        """No known answer does this. An unknown one must not cause a 500, a lasting claim or the loss of good keys."""
        from django_at_jwt.resource_server.remote import discovery as retrieval

        def surprised(*_arguments, **_options):
            raise TypeError("unhashable type: 'list'")

        accept_keys = retrieval.accept_keys
        monkeypatch.setattr(retrieval, "accept_keys", surprised)
        assert get(client, issuer.token()).status_code == 503
        assert "TypeError" in caplog.text
        monkeypatch.setattr(retrieval, "accept_keys", accept_keys)
        clock.pass_by(RETRY_AFTER + 1)
        caches["default"].clear()  # The cache has a clock of its own, which these tests do not move.
        assert verify_token(issuer.token())
        monkeypatch.setattr(retrieval, "accept_keys", surprised)
        clock.pass_by(300)
        for _ in range(3):
            assert verify_token(issuer.token())
        assert "the previous keys stay in use" in caplog.text
        assert not any(key.endswith("refresh") and caches["default"].get(key) == "taken" for key in cache_keys())
        assert issuer.fetches == 3

    def test_too_many_keys(self, api, issuer, caplog):
        issuer.publish(*[OLD.jwk | {"kid": str(number)} for number in range(101)])
        assert "more than 100" in refused(issuer, caplog)
