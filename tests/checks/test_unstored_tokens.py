"""The check for parts of a site that look for rows of access tokens."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.urls import path
from oauth2_provider.models import get_access_token_model
from oauth2_provider.views import TokenView as ToolkitTokenView

from django_at_jwt.checks import CheckId
from django_at_jwt.checks.unstored_tokens import check_unstored_tokens
from django_at_jwt.models import ClientOptions
from django_at_jwt.oauth2_views import TokenView

pytestmark = pytest.mark.django_db


class OwnTokenView(ToolkitTokenView):
    def authorization_flow_token_response(self, request, *args, **kwargs):
        return super().authorization_flow_token_response(request, *args, **kwargs)


class Mixed(TokenView, OwnTokenView):
    pass


class Subclass(TokenView):
    def authorization_flow_token_response(self, request, *args, **kwargs):
        return super().authorization_flow_token_response(request, *args, **kwargs)


@pytest.fixture
def found(settings):
    def found(stores):
        settings.AT_JWT = {**settings.AT_JWT, "STORE_ACCESS_TOKENS": stores}
        messages = check_unstored_tokens()
        assert all(message.id == CheckId.UNSTORED_TOKENS for message in messages)
        return [message.msg for message in messages]

    return found


@pytest.mark.parametrize("stores", [True, "users", False])
def test_nothing_is_wrong_with_the_site_as_it_is(stores, found):
    assert found(stores) == []


def test_middleware_is_named(found, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "oauth2_provider.middleware.OAuth2ExtraTokenMiddleware"]
    assert found(stores=True) == []
    [message] = found(stores="users")
    assert "OAuth2ExtraTokenMiddleware does not set request.access_token" in message


def test_client_without_rows_is_enough(found, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "oauth2_provider.middleware.OAuth2ExtraTokenMiddleware"]
    options = ClientOptions.objects.create(client_model="a.B", client_key="1", store_access_tokens=True)
    assert found(stores=True) == []
    options.store_access_tokens = False
    options.save()
    assert len(found(stores=True)) == 1


def test_model_with_its_own_revoke_is_named(found, monkeypatch):
    monkeypatch.setattr(get_access_token_model(), "revoke", lambda self: self.delete())
    [message] = found(stores=False)
    assert "revoke() is not called" in message


def test_validator_that_stores_tokens_is_named(found, settings):
    own = "tests.site.validators.RecordingValidator"
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OAUTH2_VALIDATOR_CLASS": own}
    assert found(stores=True) == []
    [message] = found(stores="users")
    assert "tests.site.validators._Recording._save_bearer_token() is not called" in message


@pytest.mark.parametrize(("view", "is_named"), [(OwnTokenView, True), (Mixed, True), (Subclass, False)])
def test_token_view_that_reads_the_row_is_named(view, is_named, found, settings, monkeypatch):
    urlconf = SimpleNamespace(urlpatterns=[path("token/", view.as_view())])
    monkeypatch.setitem(__import__("sys").modules, "tried_urls", urlconf)
    settings.ROOT_URLCONF = "tried_urls"
    messages = found(stores=False)
    assert len(messages) == is_named
    assert all(view.__qualname__ in message for message in messages)
