"""The check of the order of authentication classes, with views as sites write them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.core.checks import run_checks
from django.http import HttpResponse
from django.urls import include, path
from django.views.decorators.cache import cache_page
from oauth2_provider.contrib.rest_framework import OAuth2Authentication
from rest_framework.authentication import (
    BaseAuthentication,
    BasicAuthentication,
    SessionAuthentication,
    TokenAuthentication,
)
from rest_framework.decorators import action, api_view, authentication_classes
from rest_framework.routers import SimpleRouter
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSet

from django_at_jwt.rest_framework import AccessTokenAuthentication
from django_at_jwt.views import access_token_required

pytestmark = pytest.mark.django_db

SECOND = [SessionAuthentication, AccessTokenAuthentication]


def view_of(*classes):
    return type("Tried", (APIView,), {"authentication_classes": list(classes)})


@pytest.fixture
def warned(monkeypatch, settings):
    def run(*patterns, number="W019"):
        urlconf = SimpleNamespace(urlpatterns=list(patterns))
        monkeypatch.setitem(__import__("sys").modules, "tried_urls", urlconf)
        settings.ROOT_URLCONF = "tried_urls"
        return [message for message in run_checks() if message.id == f"django_at_jwt.{number}"]

    return run


def test_view_that_lists_it_behind_another_is_named(warned):
    [warning] = warned(path("tried/", view_of(*SECOND).as_view()))
    assert "tests.checks.test_views.Tried lists SessionAuthentication before" in warning.msg
    assert "Put AccessTokenAuthentication first" in warning.hint


@pytest.mark.parametrize(
    "classes",
    [
        [AccessTokenAuthentication],
        [AccessTokenAuthentication, SessionAuthentication],
        [AccessTokenAuthentication.for_audience("https://api.example.com/"), AccessTokenAuthentication],
        [SessionAuthentication, BasicAuthentication],
        [],
    ],
)
def test_views_with_it_in_front_or_without_it_are_right(classes, warned):
    assert warned(path("tried/", view_of(*classes).as_view())) == []


def test_subclasses_count(warned):
    for_audience = AccessTokenAuthentication.for_audience("https://api.example.com/")
    assert len(warned(path("tried/", view_of(BasicAuthentication, for_audience).as_view()))) == 1


def test_each_kind_of_view_is_found_and_each_is_named_once(warned):
    class Documents(ViewSet):
        authentication_classes = [AccessTokenAuthentication]

        def list(self, request):
            """List."""

        @action(detail=False, authentication_classes=SECOND)
        def drafts(self, request):
            """List drafts."""

    @api_view()
    @authentication_classes(SECOND)
    def function(request):
        """Answer."""

    router = SimpleRouter()
    router.register("documents", Documents, basename="documents")
    warnings = warned(
        path("api/", include([path("v1/", include(router.urls))])),
        path("function/", function),
        path("given/", view_of(AccessTokenAuthentication).as_view(authentication_classes=SECOND)),
        path("cached/", cache_page(60)(view_of(*SECOND).as_view())),
        path("cached-too/", cache_page(60)(view_of(*SECOND).as_view())),
        path("plain/", HttpResponse),
        path("decorated/", access_token_required(scopes=[])(HttpResponse)),
    )
    assert sorted(warning.msg.split(" lists ")[0].rpartition(".")[2] for warning in warnings) == [
        "Documents",
        "Tried",
        "function",
    ]


def test_default_list_is_named_once_and_not_each_view_that_uses_it(warned, monkeypatch):
    monkeypatch.setattr(APIView, "authentication_classes", SECOND)
    inherits = type("Inherits", (APIView,), {})
    [warning] = warned(path("one/", inherits.as_view()), path("other/", inherits.as_view()))
    assert warning.msg.startswith('REST_FRAMEWORK["DEFAULT_AUTHENTICATION_CLASSES"] lists SessionAuthentication')


Shared = AccessTokenAuthentication.for_audience(None, exclusive=False)


class BearerKeys(TokenAuthentication):
    keyword = "Bearer"


class Demanding(BaseAuthentication):
    def authenticate_header(self, request):
        raise RuntimeError("needs more of a request")


class TestOtherBearerTokens:
    @pytest.mark.parametrize(
        ("classes", "unreached"),
        [
            ([AccessTokenAuthentication, BearerKeys], "BearerKeys"),
            ([AccessTokenAuthentication, SessionAuthentication, OAuth2Authentication], "OAuth2Authentication"),
            ([Shared, AccessTokenAuthentication, BearerKeys], "BearerKeys"),
            ([AccessTokenAuthentication, AccessTokenAuthentication], "AccessTokenAuthentication"),
        ],
    )
    def test_a_class_that_never_gets_a_token_is_named(self, classes, unreached, warned):
        [warning] = warned(path("tried/", view_of(*classes).as_view()), number="W037")
        assert warning.msg.startswith(
            f"tests.checks.test_views.Tried lists {unreached} after AccessTokenAuthentication"
        )
        assert "exclusive=False" in warning.hint

    @pytest.mark.parametrize(
        "classes",
        [
            [AccessTokenAuthentication, SessionAuthentication],
            [AccessTokenAuthentication, TokenAuthentication],
            [AccessTokenAuthentication, Demanding],
            [Shared, BearerKeys],
            [Shared, AccessTokenAuthentication],
            [OAuth2Authentication, AccessTokenAuthentication],
            [BearerKeys],
            [],
        ],
    )
    def test_classes_that_get_their_tokens_are_accepted(self, classes, warned):
        assert warned(path("tried/", view_of(*classes).as_view()), number="W037") == []

    @pytest.mark.parametrize("classes", [[Shared], [Shared, SessionAuthentication], [BearerKeys, Shared]])
    def test_list_without_an_exclusive_class_is_reported(self, classes, warned):
        [warning] = warned(path("tried/", view_of(*classes).as_view()), number="W038")
        assert "counts as one without a token" in warning.msg

    @pytest.mark.parametrize("classes", [[AccessTokenAuthentication], [Shared, BearerKeys], [BearerKeys], [Demanding]])
    def test_list_with_an_exclusive_class_is_accepted(self, classes, warned):
        assert warned(path("tried/", view_of(*classes).as_view()), number="W038") == []
