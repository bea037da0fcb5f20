"""Several kinds of bearer tokens in one view: which class takes a token, and who answers 401."""

from __future__ import annotations

import secrets
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.conf import settings as site
from django.test import override_settings
from django.utils import timezone
from oauth2_provider.contrib.rest_framework import OAuth2Authentication
from oauth2_provider.models import get_access_token_model
from rest_framework.authentication import SessionAuthentication, TokenAuthentication
from rest_framework.exceptions import APIException
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory
from rest_framework.views import APIView

from django_at_jwt.events import AccessTokenRejected
from django_at_jwt.rest_framework import AccessTokenAuthentication
from django_at_jwt.testing import InMemoryIssuer

simplejwt = pytest.importorskip("rest_framework_simplejwt.authentication", reason="simplejwt is not installed")
simplejwt_tokens = pytest.importorskip("rest_framework_simplejwt.tokens", reason="simplejwt is not installed")

API, REPORTS = site.API, site.REPORTS
Ours = AccessTokenAuthentication.for_audience(API, exclusive=False)
Last = AccessTokenAuthentication.for_audience(API)
OurReports = AccessTokenAuthentication.for_audience(REPORTS)

pytestmark = pytest.mark.django_db


class Keys:
    """Stands for the table of ``rest_framework.authtoken``, which is not installed here."""

    DoesNotExist = type("DoesNotExist", (Exception,), {})
    known: dict = {}

    @classmethod
    def select_related(cls, _name):
        return cls

    @classmethod
    def get(cls, *, key):
        if key not in cls.known:
            raise cls.DoesNotExist
        return SimpleNamespace(user=cls.known[key])


class BearerKeys(TokenAuthentication):
    keyword = "Bearer"
    model = type("Model", (), {"objects": Keys, "DoesNotExist": Keys.DoesNotExist})


@pytest.fixture
def issuer():
    with InMemoryIssuer(audience=API, algorithm="ES256").installed() as issuer:
        yield issuer


@pytest.fixture
def token(issuer, user):
    """Tokens of each kind, all of them valid."""
    site_settings = {"SIGNING_KEY": secrets.token_hex(32)}
    with override_settings(SIMPLE_JWT=site_settings):
        key, opaque = secrets.token_hex(20), secrets.token_hex(20)
        Keys.known = {key: user}
        get_access_token_model().objects.create(
            user=user, token=opaque, scope="read", expires=timezone.now() + timedelta(hours=1), resource=[]
        )
        yield {
            "at+jwt": issuer.token(sub=str(user.pk)),
            "for reports": issuer.token(sub=str(user.pk), aud=REPORTS),
            "key": key,
            "simplejwt": str(simplejwt_tokens.AccessToken.for_user(user)),
            "opaque": opaque,
        }
        Keys.known = {}


def view_of(*classes, permission=IsAuthenticated):
    class View(APIView):
        authentication_classes = list(classes)
        permission_classes = [permission]

        def get(self, request):
            by = type(request.successful_authenticator).__name__ if request.successful_authenticator else None
            return Response({"user": str(request.user), "by": by})

    return View.as_view()


def call(view, token=None):
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return view(APIRequestFactory().get("/", headers=headers))


@pytest.mark.parametrize(
    ("other", "kind"),
    [(BearerKeys, "key"), (simplejwt.JWTAuthentication, "simplejwt"), (OAuth2Authentication, "opaque")],
)
class TestWithAnotherKind:
    def test_each_class_takes_its_own_tokens(self, other, kind, token, user):
        view = view_of(Ours, other)
        for name in ("at+jwt", kind):
            answer = call(view, token[name])
            assert (answer.status_code, answer.data["user"]) == (200, str(user)), answer.data
            assert answer.data["by"] == (other.__name__ if name == kind else "AccessTokenAuthentication")

    def test_token_that_no_class_accepts_gets_a_bearer_challenge(self, other, kind, token):
        view = view_of(Ours, other)
        for bad in ("x.y.z", secrets.token_hex(20), "a"):
            answer = call(view, bad)
            assert answer.status_code == 401
            assert answer["WWW-Authenticate"].startswith('Bearer error="invalid_token"')

    def test_our_own_invalid_token_is_not_left_to_the_other_class(self, other, kind, token, issuer, events):
        class Accepting(other):
            def authenticate(self, request):
                raise AssertionError("the token was for the first class")

        view = view_of(Ours, Accepting)
        for bad in (
            issuer.token(exp=1),
            issuer.token(sub="999999"),
            token["at+jwt"][:-4] + "AAAA",
            issuer.token(nbf=99999999999),
        ):
            answer = call(view, bad)
            assert (answer.status_code, answer["WWW-Authenticate"][:28]) == (401, 'Bearer error="invalid_token"')
        assert len([event for event in events if isinstance(event, AccessTokenRejected)]) == 4

    def test_without_a_token_the_first_class_asks_for_one(self, other, kind, token):
        answer = call(view_of(Ours, other))
        assert (answer.status_code, answer["WWW-Authenticate"]) == (401, "Bearer")

    def test_an_exclusive_class_rejects_tokens_of_the_other_kind(self, other, kind, token):
        answer = call(view_of(Last, other), token[kind])
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith('Bearer error="invalid_token"')


@pytest.mark.parametrize("other", [BearerKeys, simplejwt.JWTAuthentication])
def test_classes_that_reject_what_is_not_theirs_cannot_come_first(other, token):
    """This is why the order on the page is the only one that works."""
    assert call(view_of(other, Last), token["at+jwt"]).status_code == 401


def test_an_event_of_a_rejection_is_left_to_the_class_that_rejects(token, events):
    assert call(view_of(Ours, simplejwt.JWTAuthentication), token["simplejwt"]).status_code == 200
    assert call(view_of(Ours, OurReports), token["for reports"]).status_code == 200
    assert not [event for event in events if isinstance(event, AccessTokenRejected)]


class TestTwoClassesForAccessTokens:
    def test_each_takes_the_tokens_for_its_audience(self, token, issuer):
        view = view_of(Ours, OurReports)
        for name in ("at+jwt", "for reports"):
            assert call(view, token[name]).status_code == 200
        assert call(view, issuer.token(aud="https://elsewhere.example.com/")).status_code == 401

    def test_two_issuers_can_have_a_class_each(self, token, issuer, settings, user):
        other = InMemoryIssuer(issuer="https://other.example.com", audience=REPORTS, algorithm="ES256")
        with other.installed():
            # Only the class for its audience takes the other issuer's tokens.
            theirs = other.token(sub=str(user.pk))
            assert call(view_of(Ours, OurReports), theirs).status_code == 200
            assert call(view_of(OurReports), theirs).status_code == 200
            assert call(view_of(Last), theirs).status_code == 401

    def test_the_first_with_the_audience_decides(self, issuer, user, events):
        strict = type("Strict", (AccessTokenAuthentication,), {"audience": API, "exclusive": False, "get_user": refuse})
        assert call(view_of(strict, Last), issuer.token(sub=str(user.pk))).status_code == 418

    def test_both_orders_accept_the_tokens(self, token):
        reports = AccessTokenAuthentication.for_audience(REPORTS, exclusive=False)
        for name in ("at+jwt", "for reports"):
            assert call(view_of(reports, Last), token[name]).status_code == 200


class Teapot(APIException):
    status_code = 418


def refuse(self, claims, token):
    raise Teapot


def test_a_class_that_is_not_exclusive_stays_so_for_another_audience():
    again = Ours.for_audience(REPORTS)
    assert (again.exclusive, again.for_audience(None, exclusive=True).exclusive) == (False, True)
    assert AccessTokenAuthentication.exclusive is True


@pytest.mark.parametrize(
    "raw",
    [
        {"iss": 1},
        {"iss": None},
        {"aud": None},
        {"aud": [1, None, {}]},
        {"aud": {API: 1}},
        {"iss": "https://elsewhere.example.com"},
    ],
)
def test_hostile_claims_are_left_to_the_next_class(raw, issuer):
    assert call(view_of(Ours, OurReports), issuer.token(**raw)).status_code == 401
    assert call(view_of(Ours, SessionAuthentication), issuer.token(**raw)).status_code == 401


def test_with_open_permissions_a_token_that_no_class_takes_is_anonymous():
    """As with every class of Django REST framework that returns ``None``; W038 warns of it."""
    assert call(view_of(Ours, permission=AllowAny), "x").data == {"user": "AnonymousUser", "by": None}
    assert call(view_of(Last, permission=AllowAny), "x").status_code == 401
