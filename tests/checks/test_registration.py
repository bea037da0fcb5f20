"""System checks of client registration and of scripts in browsers: each is triggered and names the remedy."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.models import ResourceServer
from tests.settings import API

from .test_checks import found

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]

OPEN_API = {API: {"registered_clients": True}}


class TestConflict:
    @pytest.mark.parametrize(
        ("chosen", "name", "value"),
        [
            ("closed", "DCR_ENABLED", True),
            ("open", "DCR_ENABLED", False),
            ("users", "DCR_ENABLED", False),
            ("open", "DCR_REGISTRATION_PERMISSION_CLASSES", ["oauth2_provider.dcr.IsAuthenticatedDCRPermission"]),
        ],
    )
    def test_contradicting_settings_are_reported(self, chosen, name, value, at_jwt, oauth2_provider):
        at_jwt(CLIENT_REGISTRATION=chosen, RESOURCE_SERVERS=OPEN_API)
        assert found() == {}
        oauth2_provider(**{name: value})
        message = found()["django_at_jwt.E029"]
        assert (
            message.msg == f'AT_JWT["CLIENT_REGISTRATION"] is {chosen!r}, but OAUTH2_PROVIDER["{name}"] is {value!r}.'
        )
        assert f'Remove "{name}" from OAUTH2_PROVIDER' in message.hint

    @pytest.mark.parametrize(("chosen", "enabled"), [("closed", False), ("open", True), (None, True), (None, False)])
    def test_agreeing_settings_are_accepted(self, chosen, enabled, at_jwt, oauth2_provider):
        at_jwt(CLIENT_REGISTRATION=chosen, RESOURCE_SERVERS=OPEN_API)
        oauth2_provider(DCR_ENABLED=enabled)
        assert found() == {}


class TestNoApi:
    @pytest.mark.parametrize("how", ["open", "users", "dcr", "cimd"])
    def test_is_reported_if_clients_can_register(self, how, at_jwt, oauth2_provider):
        if how in {"open", "users"}:
            at_jwt(CLIENT_REGISTRATION=how)
        else:
            oauth2_provider(**{f"{how.upper()}_ENABLED": True})
        message = found()["django_at_jwt.W032"]
        assert "no resource server is open to them" in message.msg
        at_jwt(RESOURCE_SERVERS=OPEN_API)
        assert "django_at_jwt.W032" not in found()

    @pytest.mark.parametrize("source", ["dcr", "cimd"])
    def test_is_reported_if_clients_have_registered(self, source, make_client, at_jwt):
        client = make_client(registration_source=source).application
        assert "django_at_jwt.W032" in found()
        at_jwt(RESOURCE_SERVERS={API: {"clients": [client.client_id]}})
        assert found() == {}

    def test_enabled_row_is_enough(self, at_jwt):
        at_jwt(CLIENT_REGISTRATION="open")
        row = ResourceServer.objects.create(identifier="https://mail.example.com/", open_to_registered_clients=True)
        registry.clear()
        assert found() == {}
        row.enabled = False
        row.save()
        registry.clear()
        assert "django_at_jwt.W032" in found()

    def test_is_not_reported_without_such_clients(self, make_client):
        make_client()
        assert found() == {}


class TestCount:
    def deployed(self):
        messages = run_checks(include_deployment_checks=True)
        return {message.id: message for message in messages if message.id == "django_at_jwt.W034"}

    def test_cache_that_processes_do_not_share_is_reported(self, at_jwt):
        at_jwt(CLIENT_REGISTRATION="open", RESOURCE_SERVERS=OPEN_API)
        [message] = self.deployed().values()
        assert "a LocMemCache, which processes do not share" in message.msg
        at_jwt(ATTEMPT_CACHE="missing")
        [message] = self.deployed().values()
        assert "which is not in CACHES" in message.msg

    @pytest.mark.parametrize(
        "values",
        [{"CLIENT_REGISTRATION": "users"}, {"CLIENT_REGISTRATION": "open", "CLIENT_REGISTRATION_RATE": "0/day"}],
    )
    def test_is_not_reported_if_nothing_is_counted(self, values, at_jwt):
        at_jwt(**values)
        assert self.deployed() == {}

    def test_shared_cache_is_accepted(self, at_jwt, settings):
        backend = "django.core.cache.backends.redis.RedisCache"
        settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "redis://127.0.0.1:1/0"}}
        at_jwt(CLIENT_REGISTRATION="open")
        assert self.deployed() == {}


class TestCorsMiddleware:
    @pytest.fixture(autouse=True)
    def _installed(self, settings, at_jwt):
        pytest.importorskip("corsheaders", reason="django-cors-headers is not installed")
        settings.MIDDLEWARE = ["corsheaders.middleware.CorsMiddleware", *settings.MIDDLEWARE]
        at_jwt(CORS_ALLOWED_ORIGINS=["https://a.example.com", "https://b.example.com"])

    def test_origins_that_the_middleware_does_not_allow_are_reported(self, settings):
        settings.CORS_ALLOWED_ORIGINS = ["https://a.example.com"]
        message = found()["django_at_jwt.W033"]
        assert message.msg.endswith('of AT_JWT["CORS_ALLOWED_ORIGINS"]: https://b.example.com.')
        assert "CORS_URLS_REGEX" in message.hint

    def test_all_origins(self, at_jwt, settings):
        at_jwt(CORS_ALLOWED_ORIGINS="*")
        settings.CORS_ALLOWED_ORIGINS = ["https://a.example.com"]
        assert found()["django_at_jwt.W033"].msg.endswith(": *.")
        settings.CORS_ALLOW_ALL_ORIGINS = True
        assert found() == {}

    @pytest.mark.parametrize(
        "values",
        [
            {"CORS_URLS_REGEX": r"^/api/"},
            {"CORS_ALLOWED_ORIGINS": ["https://a.example.com", "https://b.example.com"]},
            {"CORS_ALLOWED_ORIGIN_REGEXES": [r"^https://\w+\.example\.com$"]},
            {"CORS_ALLOW_ALL_ORIGINS": True},
            {"CORS_ORIGIN_WHITELIST": ["https://a.example.com", "https://b.example.com"]},
            {"CORS_ORIGIN_REGEX_WHITELIST": [r"^https://\w+\.example\.com$"]},
            {"CORS_ORIGIN_ALLOW_ALL": True},
            {"MIDDLEWARE": []},
        ],
        ids=lambda values: next(iter(values)),
    )
    def test_middleware_that_allows_the_origins_is_accepted(self, values, settings):
        for name, value in values.items():
            setattr(settings, name, value)
        assert "django_at_jwt.W033" not in found()
