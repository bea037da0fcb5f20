"""Invalid rows of resource servers, from code or a fixture: they block their own tokens only."""

from __future__ import annotations

import json

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.urls import reverse
from oauth2_provider.models import get_access_token_model, get_grant_model

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.models import ResourceServer
from tests.admin.pages import confirm, fill_in
from tests.checks.test_checks import found
from tests.conftest import decoded

pytestmark = pytest.mark.django_db

MAIL = "https://mail.example.com/"
NOT_OPEN = {"open_to_all_clients": False}
UNREADABLE = [
    ({"scopes": 5}, "scopes"),
    ({"scopes": "read"}, "scopes"),
    ({"scopes": {"read": 1}}, "scopes"),
    ({"scopes": [["read"]]}, "scopes"),
    ({"lifetime": 0}, "lifetime"),
    ({"algorithm": "HS256"}, "algorithm"),
    ({"token_format": "jwt"}, "format"),
    ({"token_format": ""}, "format"),
    ({"clients": "abc", **NOT_OPEN}, "clients"),
    ({"clients": 5, **NOT_OPEN}, "clients"),
    ({"clients": [1], **NOT_OPEN}, "clients"),
    ({"clients": {"a": 1}, **NOT_OPEN}, "clients"),
]
STORED_BOTH_WAYS = pytest.mark.parametrize("store", ["by code", "as a fixture"])


@pytest.fixture
def stored(store, tmp_path):
    def stored(**fields):
        values = {"identifier": MAIL, "name": "Mail", **fields}
        if store == "by code":
            ResourceServer.objects.create(**values)
        else:
            fixture = tmp_path / "resource_servers.json"
            fixture.write_text(json.dumps([{"model": "django_at_jwt.resourceserver", "fields": values}]))
            call_command("loaddata", str(fixture), database=ResourceServer.objects.db, verbosity=0)
        return ResourceServer.objects.get(identifier=MAIL)

    return stored


def audience(answer):
    assert answer.status_code == 200, answer.content
    return decoded(answer.json()["access_token"])[1]["aud"]


@STORED_BOTH_WAYS
def test_scopes_can_be_a_list_as_in_the_settings(stored, store, signing_keys, service):
    row = stored(scopes=["read", "write"], open_to_all_clients=True)
    assert row.scopes == ({"read": "", "write": ""} if store == "by code" else ["read", "write"])
    answer = service.token("client_credentials", resource=MAIL, scope="read openid")
    assert (audience(answer), answer.json()["scope"]) == (MAIL, "read openid")
    assert found() == {}


@pytest.mark.parametrize("store", ["as a fixture"])
@pytest.mark.parametrize(("fields", "option"), UNREADABLE, ids=json.dumps)
def test_other_tokens_are_still_issued(stored, fields, option, signing_keys, service, web, user, client, caplog):
    row = stored(**fields)
    assert audience(service.token("client_credentials")) == settings.API
    assert audience(web.code_flow(user, scope="read")) == settings.API

    refused = service.token("client_credentials", resource=MAIL)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
    assert web.authorize(user, resource=MAIL)["error"] == "invalid_target"
    assert get_access_token_model().objects.count() == 2
    assert not get_grant_model().objects.exists()

    problem = f"has a '{option}' for {MAIL} that"
    assert problem in caplog.text
    message = found()["django_at_jwt.E016"]
    assert problem in message.msg
    assert "in the admin" in message.hint

    client.force_login(get_user_model().objects.create_superuser("admin"))
    assert problem.replace("'", "&#x27;") in client.get(reverse("admin:django_at_jwt_resourceserver_changelist")).text
    address = reverse("admin:django_at_jwt_resourceserver_change", args=[row.pk])
    repaired = {"scopes": "read", "lifetime": "", "algorithm": "", "token_format": "at+jwt", "clients": []}
    sent = {**fill_in(client, address, **repaired), "open_to_all_clients": "on"}
    assert confirm(client, client.post(address, sent)).status_code == 302
    assert found() == {}
    assert audience(service.token("client_credentials", resource=MAIL)) == MAIL


@STORED_BOTH_WAYS
def test_unreadable_default_is_not_opened_to_all_clients(stored, signing_keys, service, settings):
    settings.AT_JWT = {"AUDIENCE": MAIL}
    stored(clients="abc", is_default=True, **NOT_OPEN)
    refused = service.token("client_credentials")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_target")
    settings.AT_JWT = {"DEFAULT_RESOURCE": MAIL}
    assert service.token("client_credentials").json()["error"] == "invalid_target"


def test_keys_are_still_rotated(signing_keys, capsys):
    ResourceServer.objects.create(identifier=MAIL, name="Mail", lifetime=0, scopes=[["read"]])
    call_command("rotate_signing_keys")
    assert "othing" in capsys.readouterr().out


@pytest.mark.parametrize("identifier", ["mail", f"{MAIL}#part"])
def test_invalid_identifier(identifier, signing_keys, service, settings):
    settings.AT_JWT = {"AUDIENCE": MAIL}
    ResourceServer.objects.create(identifier=identifier, name="Mail", is_default=True)
    assert service.token("client_credentials").json()["error"] == "invalid_target"
    assert "absolute URI" in found()["django_at_jwt.E016"].msg


def test_settings_override_an_unreadable_row(signing_keys, service):
    ResourceServer.objects.create(identifier=settings.REPORTS, name="Reports", scopes=5)
    assert audience(service.token("client_credentials", resource=settings.REPORTS)) == settings.REPORTS
    assert registry.current().by_identifier[settings.REPORTS].enabled


@pytest.mark.parametrize("clients", ["abc", 5, [1], {"a": 1}], ids=str)
def test_validation_refuses_an_invalid_list_of_clients(clients):
    from django.core.exceptions import ValidationError

    with pytest.raises(ValidationError) as refused:
        ResourceServer(identifier=MAIL, name="Mail", clients=clients).full_clean()
    assert set(refused.value.message_dict) == {"clients"}
