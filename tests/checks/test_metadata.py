"""A site that serves its own metadata document (RFC 8414): the check, and the function to build the document."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import path

from django_at_jwt.oauth2_views import issuer_metadata
from tests.own_views import metadata as views

from .test_checks import found

pytestmark = pytest.mark.django_db

PATH = "/.well-known/oauth-authorization-server/o"


@pytest.fixture
def site(monkeypatch, settings, signing_keys):
    def use(patterns):
        monkeypatch.setitem(sys.modules, "tried_metadata_urls", SimpleNamespace(urlpatterns=list(patterns)))
        settings.ROOT_URLCONF = "tried_metadata_urls"

    return use


class TestDocumentInFront:
    def test_of_another_issuer_is_reported(self, site):
        site(views.first(views.of_another_issuer))
        messages = found()
        text = messages["django_at_jwt.W036"].msg
        assert f"The metadata document of tests.own_views.metadata.of_another_issuer at {PATH} hides" in text
        assert "its issuer is 'https://as.example.com', not 'https://as.example.com/o'" in text
        assert "its jwks_uri is 'https://as.example.com/keys', not 'https://as.example.com/o/.well-known/jwks" in text
        assert "issuer_metadata()" in messages["django_at_jwt.W036"].hint
        assert "django_at_jwt.W002" not in messages

    def test_without_keys_is_reported(self, site):
        site(views.first(views.without_keys))
        assert "and it has no jwks_uri, so" in found()["django_at_jwt.W036"].msg

    @pytest.mark.parametrize("view", [views.merged, views.merged_in_an_event_loop])
    def test_built_on_the_function_is_accepted(self, site, view):
        site(views.first(view))
        assert found() == {}

    def test_of_a_subclass_of_the_view_is_accepted(self, site):
        site([path(f"{views.WELL_KNOWN}/<path:issuer_path>", views.Subclass.as_view()), *views.without()])
        assert found() == {}
        assert Client().get(PATH).json()["service_documentation"] == "https://www.example.com/help"

    @pytest.mark.parametrize("view", [views.failing, views.not_a_document])
    def test_view_without_a_document_counts_as_missing_metadata(self, site, view):
        site(views.first(view))
        messages = found()
        assert "django_at_jwt.W036" not in messages
        assert "django_at_jwt.W002" in messages

    def test_at_the_address_below_the_issuer_is_checked(self, site):
        site([path(f"o/{views.WELL_KNOWN}", views.without_keys), *views.last(views.merged)[:-1]])
        assert "/o/.well-known/oauth-authorization-server hides" in found()["django_at_jwt.W036"].msg

    def test_of_another_issuer_at_another_address_is_accepted(self, site):
        site([path(views.WELL_KNOWN, views.of_another_issuer), *views.last(views.merged)[:-1]])
        assert found() == {}


class TestDocumentBehind:
    def test_is_reported_as_never_served(self, site):
        site(views.last(views.of_another_issuer))
        message = found()["django_at_jwt.W036"]
        assert f"tests.own_views.metadata.of_another_issuer at {PATH} is never served" in message.msg
        assert ".well-known/oauth-authorization-server/<path:issuer_path> comes first" in message.msg

    def test_catch_all_view_is_not_called(self, site):
        site(views.catching_all(views.single_page_application))
        assert found() == {}
        site([*views.without(), *views.catching_all(views.single_page_application)[-1:]])
        assert set(found()) == {"django_at_jwt.W002"}


class TestFunction:
    def test_returns_the_served_document(self, settings):
        site_document = Client().get("/o/.well-known/oauth-authorization-server").json()
        assert issuer_metadata() == site_document
        assert site_document["issuer"] == settings.ISSUER

    def test_result_can_be_merged(self, site):
        site(views.first(views.merged))
        document = Client().get(PATH).json()
        assert document == {**issuer_metadata(), "service_documentation": "https://www.example.com/help"}

    def test_raises_without_an_issuer(self, settings):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": ""}
        with pytest.raises(ImproperlyConfigured, match="OIDC_ISS_ENDPOINT"):
            issuer_metadata()
