"""An API that only knows the URLs of its issuers: their options, several of them, and their audiences."""

from __future__ import annotations

import time

import pytest
from django.core.cache import caches

from django_at_jwt.core.errors import KeysUnavailable, RejectionReason
from django_at_jwt.resource_server import verification
from django_at_jwt.resource_server.verification import verify_token
from tests.core.token_factory import API, REPORTS, TokenFactory

from .api_process import get, reason
from .issuer_process import KEYS, METADATA, running_issuer

OLD, NEW = TokenFactory("ES256"), TokenFactory("ES256", "a newer key")
INVALID = 'Bearer error="invalid_token", error_description="The access token is invalid."'


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
    def test_audience_that_is_not_a_url(self, name, api, issuer, client):
        self.options(api, issuer, audience=name)
        assert get(client, issuer.token(aud=name)).status_code == 200
        answer = get(client, issuer.token())
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, INVALID)

    def test_issuer_can_have_its_leeway(self, api, issuer, clock):
        token = issuer.token(exp=int(time.time()) - 10)
        assert verify_token(token)
        self.options(api, issuer, leeway=5)
        assert reason(token) is RejectionReason.EXPIRED

    @pytest.mark.parametrize("claims", [{}, {"tenant": None}])
    def test_required_claims(self, claims, api, issuer):
        self.options(api, issuer, required_claims=["tenant"])
        assert reason(issuer.token(**claims)) is RejectionReason.MISSING_CLAIM
        assert verify_token(issuer.token(tenant="")).raw["tenant"] == ""

    def test_issuer_can_be_limited_to_algorithms(self, api, issuer):
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

    def test_each_has_separate_keys(self, other, issuer):
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
