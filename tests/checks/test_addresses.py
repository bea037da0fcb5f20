"""Checks of addresses: each reports a setting with which tokens or metadata fail silently."""

from __future__ import annotations

import pytest

from django_at_jwt import oauth2_provider_settings

from .test_checks import found

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]


@pytest.fixture
def hosts(settings):
    def allow(*names):
        settings.ALLOWED_HOSTS = [*names]

    return allow


class TestDefaultResource:
    def test_on_another_host_than_the_views(self, hosts):
        hosts("as.example.com", "www.example.com")
        message = found()["django_at_jwt.W041"]
        assert "https://api.example.com/" in message.msg
        assert "/toolkit-view/" in message.msg
        hosts(".example.com")
        assert found() == {}

    def test_with_a_longer_path_than_the_views(self, settings):
        settings.AT_JWT = {**settings.AT_JWT, "DEFAULT_RESOURCE": "https://api.example.com/v2/"}
        assert "/toolkit-drf/" in found()["django_at_jwt.W041"].msg

    def test_validator_that_names_its_audience(self, settings, hosts):
        from django_at_jwt.validators import OAuth2Validator

        class SiteValidator(OAuth2Validator):
            audience = settings.API

        hosts("as.example.com")
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OAUTH2_VALIDATOR_CLASS": SiteValidator}
        assert found() == {}


def test_audience_that_no_token_has(settings):
    settings.AT_JWT = {**settings.AT_JWT, "AUDIENCE": "https://typo.example.com/"}
    assert "https://typo.example.com/" in found()["django_at_jwt.W042"].msg
    settings.AT_JWT = {**settings.AT_JWT, "AUDIENCE": settings.REPORTS}
    assert found() == {}


def test_audience_that_only_tokens_from_before_a_move_have(settings):
    old, new = "https://old.example.com/", "https://new.example.com/"
    settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {new: {"aliases": [old]}}, "AUDIENCE": old}
    assert new in found()["django_at_jwt.W042"].hint
    settings.AT_JWT = {**settings.AT_JWT, "AUDIENCE": [old, new]}
    assert found() == {}


class TestIssuer:
    def test_on_a_host_that_is_not_allowed(self, hosts):
        hosts("api.example.com")
        assert "api.example.com" in found()["django_at_jwt.W043"].msg
        hosts("api.example.com", "as.example.com")
        assert found() == {}

    def test_while_developing(self, settings, hosts):
        hosts()
        settings.DEBUG = True
        assert "127.0.0.1" in found()["django_at_jwt.W043"].msg
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": "http://[::1]:8000/o"}
        assert "django_at_jwt.W043" not in found()

    def test_hosts_that_only_the_test_runner_allows(self, hosts):
        hosts("testserver")
        assert "django_at_jwt.W043" not in found()


class TestHelper:
    @pytest.mark.parametrize("profile", [None, "rfc9700"])
    def test_last(self, profile, settings):
        rest = {"OIDC_ISS_ENDPOINT": settings.ISSUER, "ALWAYS_RELOAD_OAUTHLIB_CORE": True}
        settings.OAUTH2_PROVIDER = {
            **rest,
            "OAUTH2_VALIDATOR_CLASS": "mysite.validators.SiteValidator",
            **oauth2_provider_settings(profile=profile),
        }
        message = found()["django_at_jwt.W044"]
        assert message.msg.startswith("OAUTH2_PROVIDER has OAUTH2_VALIDATOR_CLASS before oauth2_provider_settings()")

    @pytest.mark.parametrize("profile", [None, "rfc9700"])
    def test_first_or_last_without_an_effect(self, profile, settings):
        rest = {"OIDC_ISS_ENDPOINT": settings.ISSUER, "SCOPES": settings.OAUTH2_PROVIDER["SCOPES"]}
        for order in ({**oauth2_provider_settings(profile=profile), **rest}, {**rest, **oauth2_provider_settings()}):
            settings.OAUTH2_PROVIDER = {**order, "ALWAYS_RELOAD_OAUTHLIB_CORE": True}
            assert "django_at_jwt.W044" not in found()


@pytest.mark.parametrize("path", ["/o/.well-known/oauth-authorization-server", "/o/.well-known/openid-configuration"])
def test_metadata_without_an_issuer_names_none(path, settings, client):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": "", "OIDC_ENABLED": True}
    assert client.get(path).status_code == 404
