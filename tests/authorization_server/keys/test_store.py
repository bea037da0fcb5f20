"""The key ring of the local issuer: rarely read, and on time at every transition."""

from __future__ import annotations

import json
import logging
import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import OperationalError
from django.utils import timezone

from django_at_jwt.authorization_server import row_cache
from django_at_jwt.authorization_server.keys import store as keystore
from django_at_jwt.authorization_server.keys.encryption import decrypt_private_key
from django_at_jwt.authorization_server.keys.rotation import rotate_signing_keys
from django_at_jwt.authorization_server.keys.store import KeyStore, key_store
from django_at_jwt.core.errors import KeysUnavailable, NoSigningKey
from django_at_jwt.models import SigningKey
from tests.core.token_factory import TokenFactory
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when told to, for the age of the rows and the times of the keys."""

    class Clock:
        ahead = timedelta(0)

        def now(self):
            return began_now + self.ahead

        def time(self):
            return began_time + self.ahead.total_seconds()

        def monotonic(self):
            return began_monotonic + self.ahead.total_seconds()

    began_now, began_time, began_monotonic = timezone.now(), keystore.time.time(), keystore.time.monotonic()
    clock = Clock()
    monkeypatch.setattr(keystore.timezone, "now", clock.now)
    monkeypatch.setattr(keystore.time, "time", clock.time)
    monkeypatch.setattr(keystore.time, "monotonic", clock.monotonic)
    return clock


def test_read_once_and_again_at_the_maximum_age(signing_keys, clock, django_assert_num_queries):
    store = KeyStore()
    with django_assert_num_queries(1):
        for _ in range(5):
            assert len(store.current().public_keys) == 2
    clock.ahead = timedelta(seconds=31)
    with django_assert_num_queries(1):
        store.current()
        store.current()


def test_ring_at_hand_is_the_current_ring_while_it_is_valid(signing_keys, clock, django_assert_num_queries):
    store = KeyStore()
    assert store.at_hand() is None
    ring = store.current()
    with django_assert_num_queries(0):
        assert store.at_hand() is ring
        clock.ahead = timedelta(seconds=29)
        assert store.at_hand() is ring
        clock.ahead = timedelta(seconds=31)
        assert store.at_hand() is None
    assert store.current() is store.at_hand() is not ring
    store.forget()
    assert store.at_hand() is None


def test_changed_settings_apply_without_a_read(signing_keys, settings, django_assert_num_queries):
    store = KeyStore()
    assert store.current().algorithms == ("RS256",)
    settings.AT_JWT = {**settings.AT_JWT, "SIGNING_ALGORITHMS": ["ES256", "RS256"]}
    with django_assert_num_queries(0):
        assert store.at_hand() is None
        assert store.current().algorithms == ("ES256", "RS256")
        assert store.at_hand() is store.current()


def test_ring_is_at_hand_while_the_database_is_down_until_it_is_too_old(signing_keys, clock, monkeypatch, settings):
    settings.AT_JWT = {**settings.AT_JWT, "KEY_RING_MAX_STALE": 70}
    store = KeyStore()
    ring = store.current()
    monkeypatch.setattr(keystore, "primary_rows", down)
    clock.ahead = timedelta(seconds=31)
    assert store.at_hand() is None
    assert store.current() is ring
    clock.ahead = timedelta(seconds=60)
    assert store.at_hand() is ring
    clock.ahead = timedelta(seconds=71)
    assert store.at_hand() is None
    with pytest.raises(KeysUnavailable):
        store.current()


def test_empty_table_is_read_again_soon(clock, django_assert_num_queries):
    store = KeyStore()
    with django_assert_num_queries(1):
        for _ in range(5):
            with pytest.raises(NoSigningKey, match="no signing key"):
                store.current().signing_key()
    rotate_signing_keys()
    clock.ahead = timedelta(seconds=2)
    assert store.current().signing_key()


def test_transitions_happen_on_time_without_a_read(signing_keys, clock, django_assert_num_queries, settings):
    settings.AT_JWT = {**settings.AT_JWT, "KEY_RING_MAX_AGE": timedelta(days=365)}
    first, second = sorted(signing_keys, key=lambda key: key.signing_at)
    store = KeyStore()
    assert store.current().signing_key().kid == first.kid
    with django_assert_num_queries(0):
        clock.ahead = second.signing_at - timezone.now() + timedelta(seconds=1)
        ring = store.current()
        assert ring.signing_key().kid == second.kid
        assert set(ring.public_keys) == {first.kid, second.kid}
        clock.ahead += timedelta(hours=2)
        assert set(store.current().public_keys) == {second.kid}


def test_old_keys_are_used_while_the_database_is_down(signing_keys, clock, monkeypatch, caplog):
    store = KeyStore()
    before = store.current()
    monkeypatch.setattr(keystore, "primary_rows", down)
    clock.ahead = timedelta(seconds=31)
    assert store.current() is before
    assert "could not be read" in caplog.text
    assert store.current() is before
    clock.ahead = timedelta(hours=1, minutes=1)
    with pytest.raises(KeysUnavailable):
        store.current()
    monkeypatch.undo()


def test_never_read_and_the_database_is_down(monkeypatch, client, service, settings):
    monkeypatch.setattr(keystore, "primary_rows", down)
    with pytest.raises(KeysUnavailable):
        KeyStore().current()
    # Not the client's fault: no 401.
    factory, now = TokenFactory("RS256"), int(time.time())
    token = factory.with_claims(iss=settings.ISSUER, aud=settings.API, iat=now, exp=now + 600)
    assert client.get("/whoami/", headers={"Authorization": f"Bearer {token}"}).status_code == 503
    # No key could make this token acceptable.
    assert client.get("/whoami/", headers={"Authorization": "Bearer a.b.c"}).status_code == 401
    answer = client.get("/o/.well-known/jwks.json")
    assert answer.status_code == 503
    assert answer.json()["error"] == "temporarily_unavailable"
    refused = service.token("client_credentials")
    assert refused.status_code == 503
    assert refused.json()["error"] == "server_error"


def test_failed_first_read_is_retried_after_a_second(signing_keys, clock, monkeypatch):
    store, reads = KeyStore(), []
    with monkeypatch.context() as outage:
        outage.setattr(keystore, "primary_rows", lambda model: reads.append(model) or down(model))
        for _ in range(3):
            with pytest.raises(KeysUnavailable):
                store.current()
    assert len(reads) == 1
    clock.ahead = timedelta(seconds=1)
    assert store.current().signing_key()


def test_former_keys_are_used_if_the_read_after_a_change_fails(signing_keys, clock, monkeypatch):
    store = KeyStore()
    ring = store.current()
    monkeypatch.setattr(keystore, "primary_rows", down)
    store.forget()
    assert store.current() is store.at_hand() is ring


def down(_model):
    raise OperationalError("the database is down")


def test_private_keys_are_decrypted_once_when_first_used(signing_keys, monkeypatch):
    opened = []
    open_key = keystore.open_signing_key
    monkeypatch.setattr(
        keystore,
        "open_signing_key",
        lambda encrypted, public, *, kid: opened.append(kid) or open_key(encrypted, public, kid=kid),
    )
    store = KeyStore()
    store.current().jwk_set()
    assert opened == []
    for _ in range(3):
        store.current().signing_key()
        store.forget()
    assert len(opened) == 1


@pytest.mark.parametrize(
    "damage",
    [
        {"private_jwe": ""},
        {"private_jwe": "not a JWE"},
        {"private_jwe": "a.b.c.d.e"},
    ],
)
def test_private_key_that_cannot_be_decrypted(damage, signing_keys):
    SigningKey.objects.update(**damage)
    store = KeyStore()
    with pytest.raises(NoSigningKey, match="signing key"):
        store.current().signing_key()
    assert len(store.current().jwk_set()["keys"]) == 2


def test_wrapped_keys_swapped_between_rows(signing_keys):
    first, second = signing_keys
    SigningKey.objects.filter(pk=first.pk).update(private_jwe=second.private_jwe)
    SigningKey.objects.filter(pk=second.pk).update(private_jwe=first.private_jwe)
    with pytest.raises(NoSigningKey, match="belongs to another key"):
        KeyStore().current().signing_key()


def test_public_half_of_another_key(signing_keys):
    first, second = signing_keys
    SigningKey.objects.filter(pk=first.pk).update(public_jwk=second.public_jwk)
    SigningKey.objects.filter(pk=second.pk).update(public_jwk=first.public_jwk)
    ring = KeyStore().current()
    # The kid is the thumbprint of the public half, so neither is published under the other's kid.
    for kid, key in ring.public_keys.items():
        assert key.kid == kid
    with pytest.raises(NoSigningKey):
        ring.signing_key()


def test_unusable_row_is_ignored_and_logged(signing_keys, caplog):
    first, second = signing_keys
    SigningKey.objects.filter(pk=second.pk).update(public_jwk={"kty": "oct", "k": "AAAA"})
    assert set(KeyStore().current().public_keys) == {first.kid}
    assert second.kid in caplog.text


def test_row_of_a_key_that_retired_long_ago_is_not_read(signing_keys, caplog):
    now, day = timezone.now(), timedelta(days=1)
    retired = {"announced_at": now - 90 * day, "signing_at": now - 80 * day, "retained_at": now - 20 * day}
    SigningKey.objects.create(kid="long ago", algorithm="RS256", public_jwk={}, **retired, retired_at=now - 8 * day)
    usual = signing_keys[0]
    SigningKey.objects.create(
        kid="lately", algorithm=usual.algorithm, public_jwk=usual.public_jwk, **retired, retired_at=now - 6 * day
    )
    store = KeyStore()
    assert set(store.current().public_keys) == {key.kid for key in signing_keys}
    # Processes report that it retired.
    assert {times.kid for times in store.times()} == {"lately", *(key.kid for key in signing_keys)}
    assert not caplog.records


def test_revoked_key_is_not_published_and_does_not_sign(signing_keys, clock):
    first, second = signing_keys
    store = KeyStore()
    store.current()
    SigningKey.objects.filter(pk=first.pk).update(revoked_at=timezone.now())
    clock.ahead = timedelta(seconds=31)
    assert set(store.current().public_keys) == {second.kid}


@pytest.mark.parametrize("mode", ["list", "detail"])
@pytest.mark.usefixtures("signing_keys")
def test_no_private_member_in_pages_logs_or_reprs(mode, admin_client, caplog, service, client):
    caplog.set_level(logging.DEBUG)
    row = SigningKey.objects.first()
    address = "/admin/django_at_jwt/signingkey/" + ("" if mode == "list" else f"{row.pk}/change/")
    page = admin_client.get(address)
    service.token("client_credentials")
    private = decrypt_private_key(row.private_jwe, kid=row.kid).export_private(as_dict=True)
    secrets = [row.private_jwe, *(private[name] for name in ("d", "p", "q", "dp", "dq", "qi"))]
    shown = [
        page.content.decode(),
        client.get("/o/.well-known/jwks.json").content.decode(),
        caplog.text,
        repr(row),
        str(row),
        repr(key_store.current()),
        repr(key_store.current().signing_key()),
    ]
    for text in shown:
        assert not any(secret in text for secret in secrets)


@pytest.fixture
def hang(monkeypatch, signing_keys):
    """Make reads of signing keys hang, in a separate thread, until ``answer`` is set."""
    answer, reads = threading.Event(), []
    rows = list(SigningKey.objects.order_by("signing_at", "kid"))

    class Rows:
        def filter(self, _condition):
            return self

        def order_by(self, *_names):
            reads.append(threading.current_thread())
            answer.wait(PATIENCE_SECONDS)
            return rows

    def hang():
        answer.clear()
        monkeypatch.setattr(row_cache, "_is_bound_to_its_connection", lambda database: False)
        monkeypatch.setattr(row_cache, "READ_PATIENCE", 0.05)
        monkeypatch.setattr(keystore, "primary_rows", lambda model: Rows())
        return SimpleNamespace(answer=answer, reads=reads)

    yield hang
    answer.set()
    for thread in reads:
        thread.join()


def test_the_former_keys_are_used_while_a_read_hangs(hang, clock):
    store = KeyStore()
    ring = store.current()
    hung = hang()
    clock.ahead = timedelta(seconds=31)
    for _ in range(5):
        assert store.current() is ring
    # The next attempt is put off until the usual age is reached again.
    assert store.at_hand() is ring
    assert store.after_unknown_kid("a kid") is None
    clock.ahead = timedelta(minutes=59)
    assert store.current() is ring
    clock.ahead = timedelta(minutes=61)
    with pytest.raises(KeysUnavailable):
        store.current()
    assert all(thread is not threading.current_thread() for thread in hung.reads)


def test_a_hanging_read_is_not_started_twice_and_is_abandoned_in_the_end(hang, clock):
    store = KeyStore()
    store.current()
    hung = hang()
    for seconds in (31, 62, 89):
        clock.ahead = timedelta(seconds=seconds)
        store.current()
    assert len(hung.reads) == 1
    clock.ahead = timedelta(seconds=123)
    store.current()
    assert len(hung.reads) == 2


def test_a_late_answer_is_used(hang, clock):
    store = KeyStore()
    hung = hang()
    with pytest.raises(KeysUnavailable):
        store.current()
    hung.answer.set()
    hung.reads[0].join()
    assert store.current().signing_key()
    assert len(hung.reads) == 1


def test_rows_read_before_a_change_are_read_again(hang, clock):
    store = KeyStore()
    store.current()
    hung = hang()
    clock.ahead = timedelta(seconds=31)
    store.current()
    store.forget()
    hung.answer.set()
    hung.reads[0].join()
    assert store.at_hand() is None
    store.current()
    assert len(hung.reads) == 2


def test_all_wait_for_the_first_read(hang, clock, monkeypatch):
    store = KeyStore()
    hung = hang()
    monkeypatch.setattr(row_cache, "READ_PATIENCE", PATIENCE_SECONDS)
    rings = []
    threads = [threading.Thread(target=lambda: rings.append(store.current())) for _ in range(4)]
    for thread in threads:
        thread.start()
    hung.answer.set()
    for thread in threads:
        thread.join()
    assert len(hung.reads) == 1
    assert [len(ring.public_keys) for ring in rings] == [2] * 4


def test_readers_never_see_an_incomplete_ring(signing_keys):
    import sys

    store = KeyStore()
    store.current()
    # Nothing is read: the test is about readers between two changes of state.
    store._rows._reader.run = lambda **_options: True
    seen, stop, interval = [], threading.Event(), sys.getswitchinterval()

    def read():
        while True:
            seen.append(len(store.current().public_keys))
            if stop.is_set():
                return

    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(2000):
            store.forget()
        stop.set()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert set(seen) == {2}


def test_unknown_kid_on_a_view_of_dot_while_the_database_is_down(signing_keys, client, service, monkeypatch):
    token = service.token("client_credentials").json()["access_token"]
    header, rest = token.split(".", 1)
    import base64

    decoded = json.loads(base64.urlsafe_b64decode(header + "=="))
    forged = base64.urlsafe_b64encode(json.dumps({**decoded, "kid": "x"}).encode()).rstrip(b"=").decode()
    monkeypatch.setattr(keystore, "primary_rows", down)
    answer = client.get("/toolkit-challenge/", headers={"Authorization": f"Bearer {forged}.{rest}"})
    assert answer.status_code == 401
