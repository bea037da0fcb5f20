"""``check --database`` reports clients and scopes in the settings that match nothing."""

from __future__ import annotations

import pytest
from django.core.checks import run_checks
from django.db import OperationalError
from oauth2_provider.models import get_application_model

from django_at_jwt.checks import unknown_names
from django_at_jwt.checks.unknown_names import check_names_in_settings

pytestmark = pytest.mark.django_db

MAIL = "https://mail.example.com/"
CIMD = "https://app.example.com/client.json"


def mapper(**conditions):
    return {"name": "mail", "claim": "mail", "source": {"kind": "user", "path": "email"}, "conditions": conditions}


@pytest.fixture
def named(settings):
    def set_names(*, clients=(), mapped=(), scopes=()):
        settings.AT_JWT = {
            **settings.AT_JWT,
            "RESOURCE_SERVERS": {MAIL: {"clients": list(clients)}},
            "CLAIM_MAPPERS": [mapper(clients=list(mapped), scopes=list(scopes))],
        }

    return set_names


def texts():
    messages = run_checks(tags=["security"], databases=["default"])
    return [message.msg for message in messages if message.id == "django_at_jwt.W049"]


def test_each_unknown_name_has_a_warning(named, make_client):
    make_client(client_id="webshop")
    named(clients=["ghost", "webshop", "WEBSHOP"], mapped=["webshop", "phantom"], scopes=["read", "raed"])
    assert texts() == [
        f'AT_JWT["RESOURCE_SERVERS"]["{MAIL}"] names the client \'WEBSHOP\', which does not exist.',
        f'AT_JWT["RESOURCE_SERVERS"]["{MAIL}"] names the client \'ghost\', which does not exist.',
        "AT_JWT[\"CLAIM_MAPPERS\"]: the mapper 'mail' names the client 'phantom', which does not exist.",
        "AT_JWT[\"CLAIM_MAPPERS\"]: the mapper 'mail' names the scope 'raed', which does not exist.",
    ]


def test_known_names_and_metadata_documents_have_none(named, make_client):
    make_client(client_id="webshop")
    named(clients=["webshop", CIMD], mapped=["webshop", CIMD], scopes=["read"])
    assert texts() == []


def test_site_without_clients_has_none(named):
    named(clients=["ghost"])
    assert not get_application_model().objects.exists()
    assert texts() == []


def test_without_a_database_nothing_is_queried(named, make_client, django_assert_num_queries):
    make_client(client_id="webshop")
    named(clients=["ghost"], mapped=["ghost"], scopes=["raed"])
    with django_assert_num_queries(0):
        assert check_names_in_settings(databases=None) == []
        assert check_names_in_settings() == []


def test_before_migrate(named, monkeypatch):
    def fail(_client_ids):
        raise OperationalError("no such table")

    named(clients=["ghost"])
    monkeypatch.setattr(unknown_names, "_stored_clients", fail)
    assert texts() == []
