"""Keys are read and written on the primary database, even if a router sends reads to a replica."""

from __future__ import annotations

import pytest
from django.db import router

from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.authorization_server.keys.store import KeyStore
from django_at_jwt.models import SigningKey

pytestmark = pytest.mark.django_db


class StaleReplica:
    """Route every read to a replica that lags."""

    def db_for_read(self, model, **_hints):
        return "replica"

    def db_for_write(self, model, **_hints):
        return "default"


def test_a_replica_is_never_read(settings, monkeypatch, service, client):
    settings.DATABASE_ROUTERS = ["tests.authorization_server.keys.test_replica.StaleReplica"]
    asked = []
    using = type(SigningKey.objects).using
    monkeypatch.setattr(
        type(SigningKey.objects), "using", lambda self, alias: asked.append((self.model, alias)) or using(self, alias)
    )
    made = rotate_signing_keys()
    # The tests have no database called "replica", so reading from it fails.
    ring = KeyStore().current()
    assert set(ring.public_keys) == {row.kid for row in made.made}
    assert ring.signing_key()
    assert {alias for model, alias in asked if model is SigningKey} == {"default"}
    assert router.db_for_read(SigningKey) == "replica"
