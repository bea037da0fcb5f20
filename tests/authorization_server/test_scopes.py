"""Scopes that resource servers add to those of the settings."""

from __future__ import annotations

import pytest
from django.core.management import call_command

from django_at_jwt.models import ResourceServer
from tests.conftest import decoded

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]

MAIL = "https://mail.example.com/"


@pytest.fixture(autouse=True)
def _backend(settings):
    backend = "django_at_jwt.scopes.ResourceServerScopes"
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES_BACKEND_CLASS": backend}


def register(**values):
    scopes = {"mail:send": "Send mail", "read": "Read mail"}
    values = {"identifier": MAIL, "name": "Mail", "scopes": scopes, "open_to_all_clients": True, **values}
    return ResourceServer.objects.create(**values)


def test_scope_of_a_resource_server_can_be_requested_for_it(service):
    register()
    answer = service.token("client_credentials", scope="mail:send").json()
    claims = decoded(answer["access_token"])[1]
    assert (claims["aud"], claims["scope"]) == (MAIL, "mail:send")


def test_refused_without_the_backend_and_while_the_api_is_disabled(service, settings):
    row = register(enabled=False)
    assert service.token("client_credentials", scope="mail:send").json()["error"] == "invalid_scope"
    row.enabled = True
    row.save()
    assert service.token("client_credentials", scope="mail:send").status_code == 200
    del settings.OAUTH2_PROVIDER["SCOPES_BACKEND_CLASS"]
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER}
    assert service.token("client_credentials", scope="mail:send").json()["error"] == "invalid_scope"


def test_default_scopes_remain_those_of_the_settings(service, settings):
    register(scopes={"mail:send": ""})
    granted = service.token("client_credentials").json()["scope"].split()
    assert "mail:send" not in granted


def test_description_of_the_settings_is_preferred(settings):
    from django_at_jwt.authorization_server.toolkit import get_scopes_backend

    register()
    scopes = get_scopes_backend().get_all_scopes()
    assert scopes["mail:send"] == "Send mail"
    assert scopes["read"] == settings.OAUTH2_PROVIDER["SCOPES"]["read"]
    assert list(get_scopes_backend().get_available_scopes()) == list(scopes)


def test_metadata_and_checks_know_the_scope(client, capsys):
    register()
    assert "mail:send" in client.get("/.well-known/oauth-authorization-server/o").json()["scopes_supported"]
    call_command("check")
    assert "W013" not in capsys.readouterr().err
