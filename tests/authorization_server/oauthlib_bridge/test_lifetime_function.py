"""Lifetimes that a function of the site decides for each request, as DOT after 3.4 and oauthlib's servers allow."""

from __future__ import annotations

from datetime import timedelta

import pytest
from oauth2_provider.models import get_access_token_model
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.conf import access_token_lifetime, has_lifetime_function
from django_at_jwt.core.errors import IssuanceUnavailable
from django_at_jwt.issuance import issue_access_token
from tests.conftest import decoded

pytestmark = pytest.mark.django_db

HOUR = 3600
# Version 3.4 has them only by EXTRA_SERVER_KWARGS.
in_setting = pytest.mark.skipif(
    not hasattr(oauth2_settings, "access_token_expires_in"),
    reason="the installed django-oauth-toolkit takes no function for ACCESS_TOKEN_EXPIRE_SECONDS",
)


def by_grant(request):
    return 120 if request.grant_type == "client_credentials" else 300


def by_grant_as_timedelta(request):
    return timedelta(seconds=by_grant(request))


def too_long(request):
    return 2 * HOUR


PLACES = {
    "token_expires_in": lambda function: {"EXTRA_SERVER_KWARGS": {"token_expires_in": function}},
    "setting": lambda function: {"ACCESS_TOKEN_EXPIRE_SECONDS": function},
    "path": lambda function: {"ACCESS_TOKEN_EXPIRE_SECONDS": f"{__name__}.{function.__name__}"},
}


@pytest.fixture(
    params=["token_expires_in", pytest.param("setting", marks=in_setting), pytest.param("path", marks=in_setting)]
)
def decided_by(request, settings, signing_keys):
    def decide(function):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **PLACES[request.param](function)}

    return decide


def lifetime_of(answer):
    """Return the lifetime of a token, after checking that the response, the token and the row agree about it."""
    assert answer.status_code == 200, answer.content
    _, claims = decoded(answer.json()["access_token"])
    lifetime = claims["exp"] - claims["iat"]
    assert answer.json()["expires_in"] == lifetime
    row = get_access_token_model().objects.latest("pk")
    assert int(row.expires.timestamp()) == claims["exp"]
    return lifetime


class TestToken:
    def test_lives_as_long_as_the_function_says(self, decided_by, service, web, user):
        decided_by(by_grant)
        assert lifetime_of(service.token("client_credentials")) == 120
        answer = web.code_flow(user)
        assert lifetime_of(answer) == 300
        assert lifetime_of(web.token("refresh_token", refresh_token=answer.json()["refresh_token"])) == 300

    def test_lives_for_an_hour_at_most(self, decided_by, service, caplog):
        decided_by(too_long)
        assert lifetime_of(service.token("client_credentials")) == HOUR
        assert "The lifetime of an access token is shortened from 7200 to 3600 seconds" in caplog.text

    def test_has_the_lifetime_of_its_resource_server(self, decided_by, service, settings):
        decided_by(by_grant)
        api = settings.REPORTS
        settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": {api: {"lifetime": 2 * HOUR}}}
        assert lifetime_of(service.token("client_credentials", resource=api)) == 2 * HOUR

    def test_of_code_of_the_site_lives_as_long(self, decided_by, web, user):
        decided_by(by_grant)
        assert issue_access_token(client=web.application, user=user).lifetime == 300

    def test_is_refused_without_a_lifetime(self, settings, signing_keys, service):
        settings.OAUTH2_PROVIDER = {
            **settings.OAUTH2_PROVIDER,
            "EXTRA_SERVER_KWARGS": {"token_expires_in": lambda request: 0},
        }
        answer = service.token("client_credentials")
        assert (answer.status_code, answer.json()["error"]) == (503, "server_error")
        with pytest.raises(IssuanceUnavailable, match="at least 1 second"):
            issue_access_token(client=service.application)


@in_setting
def test_result_may_be_a_timedelta(settings, signing_keys, service):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ACCESS_TOKEN_EXPIRE_SECONDS": by_grant_as_timedelta}
    assert lifetime_of(service.token("client_credentials")) == 120


@in_setting
def test_setting_may_be_a_timedelta(settings, signing_keys, service):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ACCESS_TOKEN_EXPIRE_SECONDS": timedelta(minutes=10)}
    assert lifetime_of(service.token("client_credentials")) == 600
    assert (access_token_lifetime(), has_lifetime_function()) == (600, False)


class TestLongestLifetime:
    @pytest.mark.parametrize(
        ("written", "seconds", "is_function"),
        [
            (600, 600, False),
            (600.5, 601, False),
            (timedelta(hours=2), 2 * HOUR, False),
            (by_grant, HOUR, True),
            (f"{__name__}.by_grant", HOUR, True),
        ],
        ids=["number", "fraction", "timedelta", "function", "path"],
    )
    def test_is_read_from_the_setting(self, settings, written, seconds, is_function):
        settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "ACCESS_TOKEN_EXPIRE_SECONDS": written}
        assert (access_token_lifetime(), has_lifetime_function()) == (seconds, is_function)
