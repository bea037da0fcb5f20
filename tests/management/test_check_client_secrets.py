"""The report of how client secrets are stored."""

from __future__ import annotations

import pytest
from django.core.management import CommandError
from django.db import OperationalError
from django.db.models.query import QuerySet
from oauth2_provider.generators import generate_client_secret
from oauth2_provider.models import get_application_model

from tests.client_secret_fixtures import COUNTING
from tests.commands import run

pytestmark = pytest.mark.django_db


def report():
    return run("check_client_secrets").splitlines()


def test_no_client(keyed_hasher):
    assert report() == ["No client secret needs this app."]


def test_each_kind(keyed_hasher, make_client, settings):
    for name in ("one", "two\nlines"):
        make_client(client_id=name, client_secret=generate_client_secret())
    make_client()
    make_client(hash_client_secret=False, client_secret=generate_client_secret())
    lost = make_client(client_id="lost").application
    get_application_model().objects.filter(pk=lost.pk).update(client_secret="lost$salt$0123456789abcdef")
    assert report() == [
        "1 client: hash whose hasher is not in PASSWORD_HASHERS; the client is refused",
        "  'lost'",
        "2 clients: keyed hash, which only this app can verify",
        "  'one'",
        "  'two\\nlines'",
        "1 client: password hash, counted",
        "1 client: plain text",
    ]


def test_after_the_hasher_was_removed_too_early(keyed_hasher, make_client, settings):
    make_client(client_id="one", client_secret=generate_client_secret())
    settings.PASSWORD_HASHERS = [COUNTING]
    assert report() == ["1 client: keyed hash, which only this app can verify", "  'one'"]


def test_clients_that_cannot_be_read(monkeypatch):
    def fail(_query_set):
        raise OperationalError("away")

    monkeypatch.setattr(QuerySet, "_fetch_all", fail)
    with pytest.raises(CommandError, match="The clients were not read: away"):
        report()
