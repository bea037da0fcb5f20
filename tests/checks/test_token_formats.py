"""The check W039: opaque tokens that the project issues for its own views, which refuse them."""

from __future__ import annotations

import pytest
from django.db import DatabaseError

from django_at_jwt.authorization_server.registration import RegistrationSource
from django_at_jwt.checks import CheckId
from django_at_jwt.checks.token_formats import check_opaque_tokens_are_accepted
from django_at_jwt.models import ClientOptions
from tests.authorization_server.test_token_format_report import AT_JWT, OPAQUE, choose, servers
from tests.settings import API, REPORTS

pytestmark = pytest.mark.django_db


def found():
    messages = check_opaque_tokens_are_accepted()
    assert all(message.id == CheckId.OPAQUE_TOKENS_REFUSED for message in messages)
    return [message.msg.partition(", which")[0] for message in messages]


def accept(settings):
    settings.AT_JWT = {**settings.AT_JWT, "ACCEPT_OPAQUE_TOKENS": True}


def test_nothing_is_reported_without_opaque_tokens(service):
    choose(service, AT_JWT)
    assert found() == []


@pytest.mark.parametrize("identifier", [API, REPORTS], ids=["of the settings", "named by a view"])
def test_opaque_api_of_this_project_is_reported(identifier, settings):
    servers(settings, **{identifier: {"scopes": ["x"], "format": "opaque"}})
    assert found() == [f"Clients get opaque tokens for {identifier}"]
    servers(settings, **{identifier: {"scopes": ["x"], "format": "opaque", "enabled": False}})
    assert found() == []
    servers(settings, **{identifier: {"scopes": ["x"], "format": "opaque"}})
    accept(settings)
    assert found() == []


def test_client_that_registered_itself_gets_tokens_for_apis_that_are_open_to_such_clients(service, settings):
    choose(service, OPAQUE)
    service.application.registration_source = RegistrationSource.DCR
    service.application.save()
    assert found() == []
    servers(settings, **{API: {"clients": [], "registered_clients": True}})
    assert found() == [f"Client '{service.application.client_id}' gets opaque tokens for {API}"]


def test_opaque_api_of_another_project_is_not_reported(settings):
    servers(settings, **{"https://elsewhere.example.com/": {"scopes": ["x"], "format": "opaque"}})
    assert found() == []


def test_clients_with_opaque_tokens_are_named(service, web, make_client, settings):
    choose(service, OPAQUE)
    name = service.application.client_id
    assert sorted(found()) == [f"Client '{name}' gets opaque tokens for {each}" for each in (API, REPORTS)]
    servers(settings, **{REPORTS: {"scopes": ["x"], "clients": ["another"]}})
    assert found() == [f"Client '{name}' gets opaque tokens for {API}"]
    servers(settings, **{REPORTS: {"scopes": ["x"], "isolated": True}})
    assert found() == [f"Client '{name}' gets opaque tokens for {API}"]
    for number in range(4):
        choose(make_client(client_id=f"0000{number}"), OPAQUE)
    assert found() == [f"Clients '00000', '00001', '00002' and 2 more get opaque tokens for {API}"]
    accept(settings)
    assert found() == []


def test_options_of_a_deleted_client_are_ignored():
    ClientOptions.objects.create(client_model="oauth2_provider.Application", client_key="987", token_format="opaque")
    assert found() == []


def test_nothing_is_reported_if_the_database_fails(settings, monkeypatch):
    def fail():
        raise DatabaseError

    monkeypatch.setattr("django_at_jwt.authorization_server.client_options.token_formats_by_key", fail)
    assert found() == []
