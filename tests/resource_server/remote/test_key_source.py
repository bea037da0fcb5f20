"""An API that only knows its issuer's URL, over real HTTP: fetching, caching and rejecting."""

from __future__ import annotations

import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.cache import caches

from django_at_jwt.conf import app_settings, clear_process_caches
from django_at_jwt.core.errors import KeysUnavailable, RejectionReason, TokenRejected
from django_at_jwt.resource_server import verification
from django_at_jwt.resource_server.remote.key_source import (
    RETRY_AFTER,
    UNKNOWN_KID_MEMORY,
    RemoteKeySource,
)
from django_at_jwt.resource_server.verification import remote_key_source, remote_options, verify_token
from django_at_jwt.signals import issuer_fetched
from tests.core.token_factory import API, REPORTS, TokenFactory, private_members
from tests.patience import PATIENCE_SECONDS

from .issuer_process import KEYS, METADATA, OPENID, Page, running_issuer

OLD, NEW = TokenFactory("ES256"), TokenFactory("ES256", "a newer key")
INVALID = 'Bearer error="invalid_token", error_description="The access token is invalid."'


def reason(token, **options):
    with pytest.raises(TokenRejected) as rejected:
        verify_token(token, **options)
    return rejected.value.reason


def new_worker():
    """Clear this process's memory but not the shared cache, as in another process."""
    clear_process_caches()


def get(client, token, address="/whoami/"):
    return client.get(address, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.django_db
class TestApi:
    def test_user_and_client_of_another_issuer_without_a_query(self, api, issuer, client, django_assert_num_queries):
        for claims in ({"sub": "1"}, {"sub": "a-client-of-the-tests"}):
            with django_assert_num_queries(0):
                answer = get(client, issuer.token(**claims))
            assert answer.status_code == 200
        assert issuer.requests == {METADATA: 1, KEYS: 1}

    def test_user_of_another_issuer_is_not_the_user_with_that_identifier(self, api, issuer, client, user):
        assert get(client, issuer.token(sub=str(user.pk))).json()["user"] != user.get_username()

    @pytest.mark.compliance("9068-27")
    def test_refusal_on_the_wire(self, api, issuer, client):
        answer = get(client, issuer.token(aud=REPORTS))
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, INVALID)

    def test_issuer_that_is_down_from_the_start(self, api, issuer, client, caplog):
        token = issuer.token()
        issuer.stop()
        answer = get(client, token)
        assert (answer.status_code, answer["Retry-After"]) == (503, "10")
        assert "WWW-Authenticate" not in answer
        assert issuer.issuer in caplog.text

    def test_audience_of_a_view(self, api, issuer, client):
        api.AT_JWT = {**api.AT_JWT, "ISSUERS": issuer.settings(audience=[API, REPORTS])}
        assert get(client, issuer.token(aud=REPORTS), "/reports/").status_code == 200
        assert get(client, issuer.token(), "/reports/").status_code == 401


class TestOptions:
    def options(self, settings, issuer, **options):
        settings.AT_JWT = {**settings.AT_JWT, "ISSUERS": issuer.settings(**options)}

    def test_several_audiences(self, api, issuer):
        self.options(api, issuer, audience=[API, REPORTS])
        assert verify_token(issuer.token(aud=REPORTS)).audience == (REPORTS,)
        assert reason(issuer.token(aud="https://other.example.com/")) is RejectionReason.WRONG_AUDIENCE

    @pytest.mark.parametrize("name", ["orders", "urn:example:orders", "d1f2a6f0-3d5c-4f5e-9b3a-6f0f1f2a6f0d"])
    def test_audience_that_is_no_url(self, name, api, issuer, client):
        self.options(api, issuer, audience=name)
        assert get(client, issuer.token(aud=name)).status_code == 200
        answer = get(client, issuer.token())
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, INVALID)

    def test_leeway(self, api, issuer, clock):
        token = issuer.token(exp=int(time.time()) - 10)
        assert verify_token(token)
        self.options(api, issuer, leeway=5)
        assert reason(token) is RejectionReason.EXPIRED

    @pytest.mark.parametrize("claims", [{}, {"tenant": None}])
    def test_required_claims(self, claims, api, issuer):
        self.options(api, issuer, required_claims=["tenant"])
        assert reason(issuer.token(**claims)) is RejectionReason.MISSING_CLAIM
        assert verify_token(issuer.token(tenant="")).raw["tenant"] == ""

    def test_algorithms(self, api, issuer):
        rsa = TokenFactory("RS256")
        issuer.publish(OLD, rsa)
        assert verify_token(issuer.token(rsa))
        self.options(api, issuer, algorithms=["ES256"])
        assert verify_token(issuer.token())
        assert reason(issuer.token(rsa)) is RejectionReason.ALGORITHM_MISMATCH
        assert verify_token(issuer.token())
        assert reason(issuer.token(rsa)) is RejectionReason.ALGORITHM_MISMATCH

    def test_algorithm_of_a_key_that_does_not_say_it(self, api, issuer):
        rsa = TokenFactory("RS256")
        issuer.publish({name: value for name, value in rsa.jwk.items() if name != "alg"})
        with pytest.raises(KeysUnavailable):
            verify_token(issuer.token(rsa))
        self.options(api, issuer, algorithms=["RS256", "ES256"])
        assert verify_token(issuer.token(rsa))
        other = TokenFactory("PS256")
        assert reason(issuer.token(rsa, header=rsa.header(alg="PS256"))) is RejectionReason.ALGORITHM_MISMATCH
        assert other.key is rsa.key


@pytest.mark.compliance("8725-8", "9068-23")
class TestSeveralIssuers:
    @pytest.fixture
    def other(self, api, issuer):
        with running_issuer() as other:
            api.AT_JWT = {**api.AT_JWT, "ISSUERS": issuer.settings() | other.settings()}
            yield other

    def test_each_has_keys_of_its_own(self, other, issuer):
        other.publish(NEW)
        assert verify_token(issuer.token(OLD)).issuer == issuer.issuer
        assert verify_token(other.token(NEW)).issuer == other.issuer
        assert reason(issuer.token(NEW)) is RejectionReason.UNKNOWN_KEY
        assert reason(other.token(OLD)) is RejectionReason.UNKNOWN_KEY

    def test_same_kid_for_different_keys(self, other, issuer):
        issuer.publish(OLD.jwk | {"kid": "1"})
        other.publish(NEW.jwk | {"kid": "1"})
        header = {"typ": "at+jwt", "alg": "ES256", "kid": "1"}
        for _ in ("first", "again"):
            assert verify_token(issuer.token(OLD, header=header)).issuer == issuer.issuer
            assert verify_token(other.token(NEW, header=header)).issuer == other.issuer
            assert reason(issuer.token(NEW, header=header)) is RejectionReason.BAD_SIGNATURE
            assert reason(other.token(OLD, header=header)) is RejectionReason.BAD_SIGNATURE

    def test_cached_token_keeps_its_issuer(self, other, issuer, api, monkeypatch):
        token, another = issuer.token(), other.token()
        for _ in ("known", "remembered"):
            assert verify_token(token).issuer == issuer.issuer
            assert verify_token(another).issuer == other.issuer
        read = []
        monkeypatch.setattr(verification, "claimed_issuer", lambda token, **_: read.append(token))
        assert verify_token(token).issuer == issuer.issuer
        assert verify_token(another).issuer == other.issuer
        assert not read
        api.AT_JWT = {**api.AT_JWT, "ISSUERS": issuer.settings()}
        assert verify_token(token).issuer == issuer.issuer
        assert reason(another) in {RejectionReason.WRONG_ISSUER, RejectionReason.UNKNOWN_KEY}

    @pytest.mark.parametrize("iss", ["https://nobody.example.com/", "", 1, None, ["x"], {"x": 1}, True])
    def test_any_other_issuer_is_refused_without_a_request(self, iss, other, issuer):
        assert reason(issuer.token(iss=iss)) is RejectionReason.WRONG_ISSUER
        assert not issuer.requests
        assert not other.requests

    @pytest.mark.parametrize("token", ["x", "a.b", "a.b.c", "a.b.c.d.e", "é.b.c", "A" * 20_000])
    def test_hostile_text(self, token, other, issuer):
        assert reason(token) in {RejectionReason.MALFORMED, RejectionReason.ENCRYPTED, RejectionReason.TOO_LARGE}
        assert not issuer.requests

    def test_one_that_is_down_does_not_affect_the_other(self, other, issuer):
        other.stop()
        with pytest.raises(KeysUnavailable):
            verify_token(other.token())
        assert verify_token(issuer.token())


@pytest.mark.compliance("9068-24")
class TestAudiencesOfEachIssuer:
    """Each issuer is accepted only for the audiences in its settings, whatever the views name."""

    @pytest.fixture
    def partner(self, api, issuer, monkeypatch):
        from django.urls import path
        from rest_framework.response import Response
        from rest_framework.views import APIView

        from django_at_jwt.resource_server import protected_resources
        from django_at_jwt.rest_framework import AccessTokenAuthentication

        monkeypatch.setattr(protected_resources, "_named_by_views", {})

        def view(audience):
            class View(APIView):
                authentication_classes = [AccessTokenAuthentication.for_audience(audience)]

                def get(self, request):
                    return Response(request.auth["iss"])

            return View.as_view()

        class Urls:
            urlpatterns = [path("admin/", view(API)), path("partner/", view(REPORTS)), path("none/", view("x:y"))]

        with running_issuer() as partner:
            partner.publish(NEW)
            api.ROOT_URLCONF = Urls
            api.AT_JWT = {**api.AT_JWT, "ISSUERS": issuer.settings(audience=API) | partner.settings(audience=REPORTS)}
            yield partner

    @pytest.mark.parametrize("aud", [API, REPORTS, [API, REPORTS]], ids=["admin", "partner", "both"])
    @pytest.mark.parametrize("place", ["/admin/", "/partner/"])
    def test_only_an_apis_issuer_is_accepted(self, aud, place, partner, issuer, client):
        api_here = API if place == "/admin/" else REPORTS
        for source, key, its in ((issuer, OLD, API), (partner, NEW, REPORTS)):
            accepted = its == api_here and api_here in aud
            answer = get(client, source.token(key, aud=aud), place)
            assert (answer.status_code, answer.get("WWW-Authenticate")) == ((200, None) if accepted else (401, INVALID))

    def test_token_of_another_issuer_causes_no_request(self, partner, issuer, client):
        assert get(client, partner.token(NEW, aud=API), "/admin/").status_code == 401
        assert not partner.requests
        assert not issuer.requests

    def test_audience_without_issuer_is_reported(self, partner, issuer):
        from django.core.exceptions import ImproperlyConfigured

        with pytest.raises(ImproperlyConfigured, match=r"""No issuer in AT_JWT\["ISSUERS"\] has the audience 'x:y'"""):
            verify_token(issuer.token(OLD, aud="x:y"), audience="x:y")

    def test_both_are_accepted_for_one_api(self, partner, issuer, client, settings):
        settings.AT_JWT = {
            **settings.AT_JWT,
            "ISSUERS": issuer.settings(audience=API) | partner.settings(audience=[API, REPORTS]),
        }
        assert get(client, issuer.token(OLD), "/admin/").status_code == 200
        assert get(client, partner.token(NEW), "/admin/").status_code == 200
        assert get(client, issuer.token(OLD, aud=REPORTS), "/partner/").status_code == 401

    def test_check_reports_audience_without_issuer(self, partner, settings):
        from django_at_jwt.checks.issuers import check_audiences_that_views_name

        settings.ROOT_URLCONF = "tests.site.urls"
        [message] = check_audiences_that_views_name()
        assert message.id == "django_at_jwt.E022"
        assert "'x:y'" in message.msg
        assert '"audience": ["x:y", ...]' in message.hint
        # The local issuer's tokens are accepted for any audience that a view names.
        settings.OAUTH2_PROVIDER = {"OIDC_ISS_ENDPOINT": settings.ISSUER}
        assert check_audiences_that_views_name() == []


@pytest.mark.django_db
def test_with_a_local_issuer(settings, issuer, signing_keys, service, client):
    settings.DEBUG = True
    settings.AT_JWT = {**settings.AT_JWT, "ISSUERS": issuer.settings(), "ISSUER_TIMEOUT": 60}
    caches["default"].clear()
    local = service.token("client_credentials").json()["access_token"]
    assert get(client, local).status_code == 200
    assert get(client, issuer.token()).status_code == 200
    assert reason(issuer.token(iss=settings.ISSUER)) is RejectionReason.UNKNOWN_KEY
    assert issuer.fetches == 1


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


HTML = Page(b"<html>", headers={"Content-Type": "text/html; charset=utf-8"})
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


class TestFreshness:
    def after(self, issuer, clock, seconds):
        """Advance the clock and verify; return the number of requests for the keys."""
        before = issuer.fetches
        clock.pass_by(seconds)
        verify_token(issuer.token())
        return issuer.fetches - before

    @pytest.mark.parametrize(
        ("headers", "lifetime"),
        [
            ({}, 300),
            ({"Cache_Control": "max-age=1000"}, 1000),
            ({"Cache_Control": "public, Max-Age=1000"}, 1000),
            ({"Cache_Control": 'max-age="1000"'}, 1000),
            ({"Cache_Control": "max-age=1000", "Age": "400"}, 600),
            ({"Cache_Control": "max-age=1000", "Age": "5000"}, 60),
            ({"Cache_Control": "max-age=0"}, 60),
            ({"Cache_Control": "no-store"}, 60),
            ({"Cache_Control": "max-age=1000, no-cache"}, 60),
            ({"Cache_Control": "max-age=-1"}, 60),
            ({"Cache_Control": "max-age=soon"}, 60),
            ({"Cache_Control": "max-age=99999999"}, 3600),
            ({"Cache_Control": "max-age=" + "9" * 5000}, 60),
            ({"Cache_Control": "s-maxage=5"}, 300),
            ({"Cache_Control": ',,;="'}, 300),
        ],
    )
    def test_refreshed_before_it_runs_out_and_not_sooner(self, headers, lifetime, api, issuer, clock):
        issuer.publish(OLD, **headers)
        verify_token(issuer.token())
        assert self.after(issuer, clock, lifetime * 0.8 - 2) == 0
        assert self.after(issuer, clock, 4) == 1

    def test_etag_is_sent_back_and_a_304_keeps_the_keys(self, api, issuer, clock):
        issuer.publish(OLD, etag='"one"')
        verify_token(issuer.token())
        ring = remote_key_source(only_issuer()).current()
        assert self.after(issuer, clock, 300) == 1
        assert issuer.seen[-1]["if-none-match"] == '"one"'
        assert remote_key_source(only_issuer()).current() is ring
        assert self.after(issuer, clock, 100) == 0
        issuer.publish(NEW, etag='"two"')
        clock.pass_by(300)
        assert verify_token(issuer.token(NEW))
        assert reason(issuer.token(OLD)) is RejectionReason.UNKNOWN_KEY

    @pytest.mark.parametrize("etag", ["no quotes", '"a\x01b"', '"' + "x" * 300 + '"', '"é"'])
    def test_etag_that_cannot_be_sent_is_not(self, etag, api, issuer, clock):
        issuer.publish(OLD).headers["ETag"] = etag
        verify_token(issuer.token())
        assert self.after(issuer, clock, 300) == 1
        assert "if-none-match" not in issuer.seen[-1]

    def test_metadata_is_asked_for_again_and_may_move_the_keys(self, api, issuer, clock):
        verify_token(issuer.token())
        issuer.pages["/moved"] = Page(json.dumps({"keys": [NEW.jwk]}).encode())
        issuer.describe(jwks_uri=f"{issuer.root}/moved")
        clock.pass_by(301)
        assert verify_token(issuer.token(NEW))
        assert issuer.requests[METADATA] == 2

    @pytest.mark.parametrize("gone", [Page(status=404), HTML, None], ids=["404", "html", "host is gone"])
    def test_keys_that_moved_are_followed_before_the_metadata_runs_out(self, gone, api, issuer, clock):
        with running_issuer() as elsewhere:
            issuer.describe(jwks_uri=f"{elsewhere.root}{KEYS}").headers["Cache-Control"] = "max-age=3600"
            assert verify_token(issuer.token())
            issuer.publish(NEW)
            issuer.describe()
            if gone is None:
                elsewhere.stop()
            else:
                elsewhere.pages[KEYS] = gone
            clock.pass_by(300)
            assert verify_token(issuer.token(NEW))
            assert issuer.requests == {METADATA: 2, KEYS: 1}

    def test_keys_that_did_not_move_are_not_asked_for_twice(self, api, issuer, clock, caplog):
        issuer.describe().headers["Cache-Control"] = "max-age=3600"
        assert verify_token(issuer.token())
        issuer.pages[KEYS] = Page(status=500)
        clock.pass_by(300)
        assert verify_token(issuer.token())
        assert issuer.requests == {METADATA: 2, KEYS: 2}
        assert "status is 500" in caplog.text

    def test_rotation_is_noticed_at_the_first_token_of_the_new_key(self, api, issuer):
        verify_token(issuer.token())
        issuer.publish(OLD, NEW)
        assert verify_token(issuer.token(NEW))
        assert verify_token(issuer.token(OLD))
        assert issuer.fetches == 2

    @pytest.mark.compliance("7009-2")
    def test_revoked_key_is_refused_after_the_next_refresh(self, api, issuer, clock):
        issuer.publish(OLD, NEW)
        token = issuer.token(OLD, exp=int(time.time()) + 7200)
        verify_token(token)
        issuer.publish(NEW)
        clock.pass_by(239)
        assert verify_token(token)
        clock.pass_by(2)
        assert reason(token) is RejectionReason.UNKNOWN_KEY

    def test_clearing_the_cache_and_restarting_drops_a_key_at_once(self, api, issuer):
        issuer.publish(OLD, NEW)
        verify_token(issuer.token(OLD))
        issuer.publish(NEW)
        new_worker()
        assert verify_token(issuer.token(OLD))
        caches["default"].clear()
        new_worker()
        assert reason(issuer.token(OLD)) is RejectionReason.UNKNOWN_KEY


def only_issuer():
    [issuer] = app_settings().issuers
    return issuer


class TestOutage:
    def test_last_good_keys_are_used_for_a_bounded_time_and_the_issuer_comes_back(self, api, issuer, clock, caplog):
        verify_token(issuer.token())
        issuer.stop()
        for _ in range(7):
            clock.pass_by(1000)
            assert verify_token(issuer.token())
        assert "the previous keys stay in use" in caplog.text
        clock.pass_by(201)
        with pytest.raises(KeysUnavailable, match="unconfirmed for too long"):
            verify_token(issuer.token())
        issuer.start()
        clock.pass_by(RETRY_AFTER + 1)
        caches["default"].clear()  # The cache has a clock of its own, which these tests do not move.
        assert verify_token(issuer.token())

    @pytest.mark.parametrize(
        ("max_stale", "headers", "usable"),
        [
            (0, {"Cache_Control": "max-age=1000"}, 1000),
            (0, {"Cache_Control": "max-age=0"}, 60),
            (500, {"Cache_Control": "max-age=1000"}, 1000),
            (500, {"Cache_Control": "max-age=100"}, 500),
            (500, {}, 500),
        ],
    )
    def test_time_may_be_shorter_than_the_longest_answer(self, max_stale, headers, usable, api, issuer, clock):
        api.AT_JWT = {**api.AT_JWT, "ISSUER_MAX_STALE": max_stale}
        issuer.publish(OLD, **headers)
        verify_token(issuer.token())
        issuer.stop()
        clock.pass_by(usable - 2)
        assert verify_token(issuer.token())
        clock.pass_by(3)
        with pytest.raises(KeysUnavailable, match="unconfirmed for too long"):
            verify_token(issuer.token())

    @pytest.mark.parametrize("cache", ["locmem.LocMemCache", "dummy.DummyCache"])
    def test_failing_issuer_is_retried_at_intervals(self, cache, api, issuer, clock):
        api.CACHES = {"default": {"BACKEND": f"django.core.cache.backends.{cache}"}}
        verify_token(issuer.token())
        issuer.pages[KEYS] = Page(status=500)
        clock.pass_by(300)
        for _ in range(20):
            assert verify_token(issuer.token())
        assert issuer.fetches == 2

    def test_issuer_that_is_down_from_the_start_is_retried_at_intervals(self, api, issuer):
        issuer.pages[METADATA] = Page(status=500)
        for _ in range(20):
            with pytest.raises(KeysUnavailable):
                verify_token(issuer.token())
        assert issuer.requests[METADATA] == 1

    def test_setting_the_clock_back_does_not_make_keys_last(self, api, issuer, clock, monkeypatch):
        verify_token(issuer.token())
        issuer.stop()
        wall = time.time
        monkeypatch.setattr(time, "time", lambda: wall() - 100_000)
        token = issuer.token(exp=int(time.time()) + 10_000)
        clock.pass_by(7201)
        with pytest.raises(KeysUnavailable):
            verify_token(token)


HOPELESS = {
    "no token": lambda issuer: "abc",
    "five segments": lambda issuer: "a.b.c.d.e",
    "too long": lambda issuer: "A" * 20_000,
    "alg none": lambda issuer: issuer.token(header=NEW.header(alg="none")),
    "unknown alg": lambda issuer: issuer.token(header=NEW.header(alg="HS256")),
    "typ": lambda issuer: issuer.token(header=NEW.header(typ="JWT")),
    "crit": lambda issuer: issuer.token(header=NEW.header(crit=["x"])),
    "kid is a list": lambda issuer: issuer.token(header=NEW.header(kid=["x"])),
    "no claims": lambda issuer: NEW.token(payload="x"),
    "no sub": lambda issuer: issuer.token(NEW, sub=None),
    "another issuer": lambda issuer: issuer.token(NEW, iss="https://evil.example.com"),
    "another audience": lambda issuer: issuer.token(NEW, aud=REPORTS),
    "expired": lambda issuer: issuer.token(NEW, exp=1),
    "not yet": lambda issuer: issuer.token(NEW, nbf=int(time.time()) + 3600),
    "no signature": lambda issuer: issuer.token(NEW).rpartition(".")[0] + ".",
    "signature that is too short": lambda issuer: issuer.token(NEW)[:-4],
    "signature that is too short for RSA": lambda issuer: issuer.token(NEW, header=NEW.header(alg="RS256")),
    "signature with another spelling": lambda issuer: issuer.token(NEW)[:-1] + "_",
    "empty kid": lambda issuer: issuer.token(NEW, header=NEW.header(kid="")),
    "long kid": lambda issuer: issuer.token(NEW, header=NEW.header(kid="k" * 513)),
}


@pytest.mark.compliance("8725-10")
@pytest.mark.parametrize("hopeless", HOPELESS.values(), ids=HOPELESS)
class TestTokensThatNoKeyCouldHelp:
    """It is rejected without a request to the issuer, without waiting, and without starting the cool-down."""

    def test_before_there_are_keys(self, hopeless, api, issuer, client):
        answer = get(client, hopeless(issuer))
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, INVALID)
        assert not issuer.requests

    def test_while_the_issuer_is_down(self, hopeless, api, issuer, client):
        issuer.stop()
        assert get(client, hopeless(issuer)).status_code == 401
        assert get(client, issuer.token()).status_code == 503
        assert get(client, hopeless(issuer)).status_code == 401

    def test_while_another_request_waits_for_a_slow_issuer(self, hopeless, api, issuer, client):
        # A request that waits for the keys without success gets a 503.
        with remote_key_source(only_issuer())._lock:
            assert get(client, hopeless(issuer)).status_code == 401

    def test_once_there_are_keys(self, hopeless, api, issuer, client, clock):
        assert get(client, issuer.token()).status_code == 200
        token = hopeless(issuer)
        assert get(client, token).status_code == 401
        clock.pass_by(300)
        assert get(client, token).status_code == 401
        assert issuer.fetches == 1
        # The cool-down is still available for a token of the issuer's new key.
        issuer.publish(OLD, NEW)
        assert get(client, issuer.token(NEW)).status_code == 200


def test_cached_token_that_has_expired_causes_no_request(api, issuer, clock):
    token = issuer.token()
    for _ in range(3):
        assert verify_token(token)
    clock.pass_by(700)
    assert reason(token) is RejectionReason.EXPIRED
    assert issuer.fetches == 1


@pytest.mark.compliance("8725-10")
class TestUnknownKids:
    def test_flood_costs_one_fetch_in_a_cool_down(self, api, issuer, clock):
        verify_token(issuer.token())
        for number in range(200):
            header = NEW.header(kid=f"kid {number}")
            assert reason(issuer.token(NEW, header=header)) is RejectionReason.UNKNOWN_KEY
            assert verify_token(issuer.token())
        assert issuer.fetches == 2

    def test_next_cool_down_allows_one_more(self, api, issuer, clock):
        api.AT_JWT = {**api.AT_JWT, "UNKNOWN_KID_COOLDOWN": 1}
        verify_token(issuer.token())
        for number in range(2):
            reason(issuer.token(NEW, header=NEW.header(kid=f"kid {number}")))
            reason(issuer.token(NEW, header=NEW.header(kid=f"another {number}")))
            clock.pass_by(1.1)
        # Without a cool-down there would be five.
        assert issuer.fetches == 3

    def test_kid_that_the_issuer_does_not_know_is_remembered(self, api, issuer, clock):
        verify_token(issuer.token())
        reason(issuer.token(NEW))
        assert issuer.fetches == 2
        clock.pass_by(35)
        caches["default"].delete(next(key for key in cache_keys() if key.endswith("unknown-kid")))
        reason(issuer.token(NEW))
        assert issuer.fetches == 2
        reason(issuer.token(NEW, header=NEW.header(kid="another")))
        assert issuer.fetches == 3
        assert UNKNOWN_KID_MEMORY == 300

    def test_kid_that_another_worker_asked_about_is_remembered_too(self, api, issuer, clock):
        verify_token(issuer.token())
        reason(issuer.token(NEW))
        new_worker()
        clock.pass_by(35)
        caches["default"].delete(next(key for key in cache_keys() if key.endswith("unknown-kid")))
        reason(issuer.token(NEW))
        assert issuer.fetches == 2

    def test_key_that_another_worker_fetched_costs_no_fetch(self, api, issuer):
        verify_token(issuer.token())
        here = remote_key_source(only_issuer())
        issuer.publish(OLD, NEW)
        new_worker()
        assert verify_token(issuer.token(NEW))
        assert issuer.fetches == 2
        assert NEW.kid in here.after_unknown_kid(NEW.kid).public_keys
        assert issuer.fetches == 2

    def test_key_that_another_worker_is_fetching_is_found_a_second_later(self, api, issuer, clock):
        verify_token(issuer.token())
        here, another = remote_key_source(only_issuer()), RemoteKeySource(remote_options(only_issuer()))
        issuer.publish(OLD, NEW)
        assert another._request.claim()
        assert here.after_unknown_kid(NEW.kid) is None
        clock.pass_by(1.1)
        assert another._fetch()
        assert NEW.kid in here.after_unknown_kid(NEW.kid).public_keys
        assert issuer.fetches == 2

    def test_others_do_not_wait_for_it(self, api, issuer):
        verify_token(issuer.token())
        with ThreadPoolExecutor() as threads, issuer.holding(KEYS) as asked:
            waiting = threads.submit(reason, issuer.token(NEW))
            assert asked.wait(PATIENCE_SECONDS)
            for _ in range(10):
                assert verify_token(issuer.token())
                reason(issuer.token(NEW, header=NEW.header(kid="another")))
            assert not waiting.done()
        assert waiting.result() is RejectionReason.UNKNOWN_KEY


def cache_keys():
    return [key.split(":", 2)[2] for key in caches["default"]._cache]


class TestSharing:
    def test_another_worker_sends_no_request(self, api, issuer):
        verify_token(issuer.token())
        new_worker()
        verify_token(issuer.token())
        assert issuer.requests == {METADATA: 1, KEYS: 1}

    def test_many_threads_at_the_start_ask_once(self, api, issuer):
        issuer.pages[KEYS].wait = 0.3
        with ThreadPoolExecutor(8) as threads:
            assert len(list(threads.map(verify_token, [issuer.token() for _ in range(16)]))) == 16
        assert issuer.fetches == 1

    def test_workers_at_the_start_wait_for_the_one_that_asks(self, api, issuer):
        issuer.pages[KEYS].wait = 0.5
        workers = [RemoteKeySource(remote_options(only_issuer())) for _ in range(4)]
        with ThreadPoolExecutor(4) as threads:
            rings = list(threads.map(lambda worker: worker.current(), workers))
        assert [list(ring.public_keys) for ring in rings] == [[OLD.kid]] * 4
        assert issuer.fetches == 1

    def test_worker_that_finishes_between_the_read_and_the_claim_of_another(self, api, issuer, monkeypatch):
        late, quick = (RemoteKeySource(remote_options(only_issuer())) for _ in range(2))
        claim = late._shared.claim

        def claim_late(name, *, seconds):
            quick.current()
            return claim(name, seconds=seconds)

        monkeypatch.setattr(late._shared, "claim", claim_late)
        assert list(late.current().public_keys) == [OLD.kid]
        assert issuer.fetches == 1
        assert not late._shared.is_claimed("refresh")

    def test_no_request_waits_while_there_are_keys(self, api, issuer, clock):
        verify_token(issuer.token())
        clock.pass_by(300)
        with ThreadPoolExecutor() as threads, issuer.holding(KEYS) as asked:
            waiting = threads.submit(verify_token, issuer.token())
            assert asked.wait(PATIENCE_SECONDS)
            assert verify_token(issuer.token())
            assert reason(issuer.token(NEW)) is RejectionReason.UNKNOWN_KEY
            assert not waiting.done()
        assert waiting.result()

    def text(self):
        [key] = [key for key in cache_keys() if key.endswith("snapshot")]
        return key, caches["default"].get(key)

    def test_nothing_but_text_and_public_keys_is_in_the_cache(self, api, issuer):
        verify_token(issuer.token())
        _, text = self.text()
        assert isinstance(text, str)
        document = json.loads(text.rpartition(":")[0])
        assert document["jwk_set"] == {"keys": [OLD.jwk]}

    @pytest.mark.parametrize(
        "entry",
        [5, b"bytes", "", "{}", "text", None, "x" * 2_000_000, "attacker", "future", "other issuer", "no set", "http"],
        ids=str,
    )
    def test_broken_or_hostile_entry_is_ignored(self, entry, api, issuer, caplog):
        from django.core.signing import Signer

        verify_token(issuer.token())
        key, text = self.text()
        document = json.loads(text.rpartition(":")[0])
        sign = Signer(salt="django_at_jwt.issuers").sign
        attackers = json.dumps(document | {"jwk_set": {"keys": [NEW.jwk]}, "confirmed_at": time.time() + 1})
        entry = (
            {
                "attacker": f"{attackers}:{text.rpartition(':')[2]}",
                "future": sign(
                    json.dumps(document | {"confirmed_at": time.time() + 1e6, "fresh_until": time.time() + 1e6})
                ),
                "other issuer": sign(json.dumps(document | {"issuer": "https://as.example.com"})),
                "no set": sign(json.dumps(document | {"jwk_set": {"keys": {}}})),
                "http": sign(json.dumps(document | {"jwks_uri": "http://192.0.2.1/"})),
            }.get(entry, entry)
            if isinstance(entry, str)
            else entry
        )
        caches["default"].set(key, entry)
        new_worker()
        assert verify_token(issuer.token())
        assert reason(issuer.token(NEW)) is RejectionReason.UNKNOWN_KEY
        assert issuer.fetches >= 2
        assert entry is None or "is ignored" in caplog.text

    @pytest.mark.parametrize(
        "number",
        [
            pytest.param("1" + "0" * 400, id="more than a float holds"),
            pytest.param("-1" + "0" * 400, id="less than a float holds"),
            pytest.param("9" * 5000, id="5000 digits"),
            "1e400",
            "-1",
            "true",
            '"1"',
        ],
    )
    @pytest.mark.parametrize("member", ["confirmed_at", "metadata_until", "fresh_until"])
    def test_entry_with_an_absurd_instant_is_ignored(self, member, number, api, issuer, client, caplog):
        from django.core.signing import Signer

        verify_token(issuer.token())
        key, text = self.text()
        document = json.loads(text.rpartition(":")[0])
        absurd = json.dumps(document | {member: "absurd"}).replace('"absurd"', number)
        caches["default"].set(key, Signer(salt="django_at_jwt.issuers").sign(absurd))
        new_worker()
        answer = client.get("/whoami/", headers={"Authorization": f"Bearer {issuer.token()}"})
        assert answer.status_code == 200
        assert issuer.fetches == 2
        assert "is ignored" in caplog.text

    def test_cache_that_never_expires_a_claim(self, api, issuer, clock, caplog):
        verify_token(issuer.token())
        key = next(key for key in cache_keys() if key.endswith("snapshot"))
        caches["default"].set(key.replace("snapshot", "refresh"), "taken", None)
        clock.pass_by(300)
        for _ in range(50):
            assert verify_token(issuer.token())
            clock.pass_by(4)
        assert issuer.fetches == 2

    @pytest.mark.parametrize("fails", [True, False])
    def test_cache_that_hangs_holds_up_one_request_and_not_each(self, fails, api, issuer, clock, monkeypatch, caplog):
        verify_token(issuer.token())
        asked = []

        def hang(cache, key, *_arguments, **_options):
            asked.append(key)
            # A fifth of ISSUER_TIMEOUT is too long.
            clock.pass_by(12.1)
            if fails:
                raise TimeoutError

        for operation in "get", "set", "add", "delete":
            monkeypatch.setattr(type(caches["default"]), operation, hang)
        for number in range(3):
            clock.pass_by(35)
            # The cache is used again after a while, since it may have recovered.
            assert reason(issuer.token(NEW, header=NEW.header(kid=f"kid {number}"))) is RejectionReason.UNKNOWN_KEY
            assert len(asked) == number + 1
        assert verify_token(issuer.token())
        assert "is not used to share" in caplog.text

    @pytest.mark.parametrize("kind", ["away", "dummy", "unknown alias"])
    def test_without_a_cache_that_works(self, kind, api, issuer, caplog, clock):
        api.CACHES = {
            **api.CACHES,
            "dummy": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
            "away": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:9"},
        }
        api.AT_JWT = {**api.AT_JWT, "ISSUER_CACHE": kind}
        for number in range(3):
            assert verify_token(issuer.token())
            reason(issuer.token(NEW, header=NEW.header(kid=f"kid {number}")))
            clock.pass_by(5)
        assert issuer.fetches == 2
        assert caplog.text.count("is not used to share") == (0 if kind == "dummy" else 1)


class TestFigures:
    @pytest.fixture
    def figures(self):
        seen = []

        def receive(sender, **figures):
            seen.append((figures["issuer"], figures["what"], figures["outcome"]))
            assert 0 <= figures["seconds"] <= 60

        issuer_fetched.connect(receive)
        yield seen
        issuer_fetched.disconnect(receive)

    def test_signal_for_each_request(self, figures, api, issuer, clock):
        issuer.publish(OLD, etag='"one"')
        verify_token(issuer.token())
        clock.pass_by(250)
        verify_token(issuer.token())
        issuer.stop()
        clock.pass_by(250)
        verify_token(issuer.token())
        assert [figure[1:] for figure in figures] == [
            ("metadata", "fetched"),
            ("jwk_set", "fetched"),
            ("jwk_set", "unchanged"),
            ("metadata", "failed"),
        ]
        assert {figure[0] for figure in figures} == {issuer.issuer}

    def test_failing_receiver_is_ignored(self, api, issuer, caplog):
        def fail(**_kwargs):
            raise ValueError("a receiver")

        issuer_fetched.connect(fail)
        try:
            assert verify_token(issuer.token())
        finally:
            issuer_fetched.disconnect(fail)

    def test_log_once_for_a_failure(self, api, issuer, caplog):
        caplog.set_level(logging.WARNING)
        issuer.pages[METADATA] = Page(status=500)
        for _ in range(5):
            with pytest.raises(KeysUnavailable):
                verify_token(issuer.token())
        assert caplog.text.count("cannot be asked for keys") == 1
