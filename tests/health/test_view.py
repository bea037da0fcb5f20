"""The health view: 200 or 503 for load balancers, details for those who may see them."""

from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import Permission
from django.db import OperationalError, connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_at_jwt.authorization_server.keys.rotation_run import record_run
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.authorization_server.revocation.deny_list import deny_list
from django_at_jwt.health_urls import HealthView
from django_at_jwt.models import SigningKey
from tests.conftest import captured_statements

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls("tests.health.urls"),
    pytest.mark.usefixtures("keys_made_quickly"),
]
URL = "/health/"


@pytest.fixture
def administrator(user):
    user.user_permissions.add(Permission.objects.get(codename="view_signingkey"))
    browser = Client()
    browser.force_login(user)
    return browser


def test_sound_process(signing_keys, client):
    answer = client.get(URL)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "no-store" in answer["Cache-Control"]
    assert reverse("django_at_jwt_health:health") == URL


def test_process_that_cannot_sign(client):
    answer = client.get(URL)
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})


def test_keys_that_cannot_be_read(client, monkeypatch):
    def fail(_database):
        raise OperationalError("connection refused")

    monkeypatch.setattr(key_store._rows, "_read", fail)
    answer = client.get(URL)
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})


def test_warning_takes_no_process_out_of_service(signing_keys, client, administrator):
    record_run(timezone.now(), problem="The lock is taken.")
    assert (client.get(URL).status_code, client.get(URL).json()) == (200, {"status": "ok"})
    answer = administrator.get(URL)
    assert (answer.status_code, answer.json()["status"]) == (200, "warning")
    assert answer.json()["problems"][0]["name"] == "rotation_failed"


def test_details_need_the_permission(signing_keys, administrator, user, client):
    kid = json.dumps(sorted(row.kid for row in signing_keys))
    assert {*administrator.get(URL).json()} == {
        *("status", "problems", "at", "algorithms", "next_transition", "rotation", "deny_list", "issuers"),
    }
    user.user_permissions.clear()
    answer = administrator.get(URL)
    assert answer.json() == {"status": "ok"}
    assert not any(each in answer.text for each in json.loads(kid))


def test_details_never_contain_a_private_key(signing_keys, administrator):
    text = administrator.get(URL).text
    assert all(row.kid in text or row.private_jwe for row in signing_keys)
    assert not any(row.private_jwe in text for row in SigningKey.objects.all())


def test_details_by_a_header_of_the_site(signing_keys, client):
    assert client.get("/health-by-header/").json() == {"status": "ok"}
    assert "algorithms" in client.get("/health-by-header/", headers={"X-Monitor": "a secret"}).json()


def test_probe_makes_no_query_while_rows_in_memory_are_recent(signing_keys, client):
    client.get(URL)
    with captured_statements() as statements:
        client.get(URL)
    assert statements == []


def test_probe_writes_nothing(signing_keys, client):
    deny_list.clear()
    key_store.clear()
    with captured_statements() as statements:
        client.get(URL)
    assert statements
    assert all(statement.startswith("SELECT") for statement in statements)


def test_any_address_may_ask(signing_keys, client, settings):
    # A probe names the address of a container.
    settings.ALLOWED_HOSTS = ["www.example.com"]
    assert client.get(URL, headers={"Host": "10.1.2.3:8000"}).status_code == 200


@pytest.mark.parametrize(("method", "status"), [("head", 200), ("post", 405), ("delete", 405)])
def test_methods(method, status, signing_keys, client):
    assert getattr(client, method)(URL).status_code == status


def test_session_that_cannot_be_read(signing_keys, administrator, monkeypatch):
    def fail(*_arguments):
        raise OperationalError("connection refused")

    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore.load", fail)
    assert administrator.get(URL).json() == {"status": "ok"}


def test_runs_outside_the_transaction_of_a_request():
    assert HealthView.as_view()._non_atomic_requests == set(connections)


def test_is_not_among_the_issuers_urls(client):
    assert client.get("/o/health/").status_code == 404
