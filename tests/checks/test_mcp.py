"""``check`` explains which settings MCP clients miss."""

from __future__ import annotations

import pytest
from django.core.checks import ERROR, WARNING, run_checks
from django.core.exceptions import ImproperlyConfigured
from oauth2_provider.settings import DEFAULTS

from django_at_jwt import oauth2_provider_settings
from django_at_jwt.conf import MCP_PROFILE

pytestmark = pytest.mark.django_db

IDS = {f"django_at_jwt.{each}" for each in ("E028", "W044", "W045", "W046", "W047")}
SITE_FETCHER = "tests.client_documents.LibraryFetcher"


@pytest.fixture
def reported(settings):
    def run(*, deploy=False, profile=None, **later):
        helper = oauth2_provider_settings(**(profile or {"profile": "rfc9700", "mcp": True}))
        written = {"OIDC_ISS_ENDPOINT": settings.ISSUER, "SCOPES": settings.OAUTH2_PROVIDER["SCOPES"]}
        settings.OAUTH2_PROVIDER = {**helper, **written, **later}
        messages = run_checks(tags=["security"], include_deployment_checks=deploy)
        return [message for message in messages if message.id in IDS]

    return run


@pytest.mark.parametrize(
    "later",
    [
        {},
        {"CIMD_METADATA_FETCHER": SITE_FETCHER},
        {"PKCE_REQUIRED": lambda client_id: True},
        {"CIMD_ALLOWED_HOSTS": ["claude.ai"]},
        {"OIDC_ISS_ENDPOINT": "http://127.0.0.1:8000/o"},
        {"ALLOWED_REDIRECT_URI_SCHEMES": ["https", "http", "cursor"]},
    ],
    ids=["nothing", "own fetcher", "callable", "hosts", "loopback", "scheme"],
)
def test_profile_leaves_nothing_to_report(later, reported):
    assert reported(deploy=True, **later) == []


@pytest.mark.parametrize("profile", [{"profile": None}, {"profile": "rfc9700"}], ids=["none", "RFC 9700"])
def test_site_without_mcp_is_not_bothered(profile, reported):
    assert reported(deploy=True, profile=profile) == []


@pytest.mark.parametrize(
    ("later", "check_id", "level", "text"),
    [
        ({"CIMD_ENABLED": False}, "W045", WARNING, '["CIMD_ENABLED"] is off'),
        (
            {"CIMD_METADATA_FETCHER": DEFAULTS["CIMD_METADATA_FETCHER"]},
            "W045",
            WARNING,
            "VS Code with the device grant",
        ),
        ({"CIMD_METADATA_FETCHER": "nowhere.Fetcher"}, "W045", WARNING, "is not a fetcher of this app"),
        ({"PKCE_REQUIRED": False}, "W046", WARNING, "leave out PKCE"),
        ({"COMPLIANT_BCP_RFC9700_PKCE_METHOD": False}, "W046", WARNING, '"plain" is accepted'),
        ({"COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": False}, "W046", WARNING, 'no "iss"'),
        ({"ROTATE_REFRESH_TOKEN": False}, "W046", WARNING, "do not rotate"),
        ({"ALLOW_LOCALHOST_LOOPBACK": False}, "W046", WARNING, "Claude Code"),
        ({"OAUTH2_TOKEN_ENDPOINT_AUTH_METHODS_SUPPORTED": ["client_secret_basic"]}, "W046", WARNING, "public clients"),
        ({"OIDC_TOKEN_ENDPOINT_AUTH_METHODS_SUPPORTED": ["client_secret_basic"]}, "W046", WARNING, "public clients"),
        ({"ALLOWED_REDIRECT_URI_SCHEMES": ["https"]}, "E028", ERROR, "does not list http, so every native client"),
        ({"ALLOWED_REDIRECT_URI_SCHEMES": ["http"]}, "E028", ERROR, "on the web, whose redirect URI needs it"),
        ({"ALLOWED_REDIRECT_URI_SCHEMES": ["https", "http", "JavaScript"]}, "E028", ERROR, "allows javascript"),
        ({"CIMD_REGISTRATION_PERMISSION_CLASSES": ()}, "E028", ERROR, "is empty"),
        ({"OAUTH2_GRANT_TYPES_SUPPORTED": ["client_credentials"]}, "E028", ERROR, "no MCP client can log a user in"),
        ({"OAUTH2_RESPONSE_TYPES_SUPPORTED": ["token"]}, "E028", ERROR, "no MCP client can log a user in"),
        ({"OIDC_ISS_ENDPOINT": "http://www.example.com/o"}, "W046", WARNING, "not an https URL"),
    ],
)
def test_each_later_key_that_breaks_clients_has_one_message(later, check_id, level, text, reported):
    [message] = reported(**later)
    assert (message.id, message.level) == (f"django_at_jwt.{check_id}", level)
    assert text in message.msg
    assert message.hint.endswith((".", ")"))


def test_option_for_development_is_reported_in_production(reported, settings):
    settings.AT_JWT = {**settings.AT_JWT, "LOOPBACK_CLIENT_METADATA": True}
    assert reported() == []
    [message] = reported(deploy=True)
    assert message.id == "django_at_jwt.W047"
    assert "LOOPBACK_CLIENT_METADATA" in message.msg


def test_helper_that_is_last_overwrites_the_schemes_of_the_site(settings):
    settings.OAUTH2_PROVIDER = {
        "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],
        "OIDC_ISS_ENDPOINT": settings.ISSUER,
        **oauth2_provider_settings(profile="rfc9700", mcp=True, redirect_schemes=["cursor"]),
    }
    [message] = [each for each in run_checks(tags=["security"]) if each.id in IDS]
    assert message.id == "django_at_jwt.W044"
    assert "has ALLOWED_REDIRECT_URI_SCHEMES before" in message.msg


class TestHelper:
    def test_adds_the_settings_to_the_profile(self):
        profile = oauth2_provider_settings(profile="rfc9700")
        assert oauth2_provider_settings(profile="rfc9700", mcp=True) == {**profile, **MCP_PROFILE}

    def test_lists_private_use_schemes(self):
        written = oauth2_provider_settings(profile="rfc9700", mcp=True, redirect_schemes=("cursor", "com.example.app"))
        assert written["ALLOWED_REDIRECT_URI_SCHEMES"] == ["https", "http", "cursor", "com.example.app"]

    def test_returns_lists_that_the_site_can_change(self):
        written = oauth2_provider_settings(profile="rfc9700", mcp=True)
        for value in written.values():
            if isinstance(value, list):
                value.append("changed")
        assert "changed" not in str(oauth2_provider_settings(profile="rfc9700", mcp=True))

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            ({"mcp": True}, 'needs profile="rfc9700"'),
            ({"profile": "rfc9700", "redirect_schemes": ["cursor"]}, "needs mcp=True"),
            ({"profile": "rfc9700", "mcp": True, "redirect_schemes": "cursor"}, "must be a list"),
            *(
                ({"profile": "rfc9700", "mcp": True, "redirect_schemes": [scheme]}, "must list schemes of apps")
                for scheme in ("cursor://", "Cursor", "javascript", "data", "file", "http", "", "a b", None)
            ),
        ],
    )
    def test_refuses_arguments_that_cannot_work(self, arguments, text):
        with pytest.raises(ImproperlyConfigured, match=text):
            oauth2_provider_settings(**arguments)
