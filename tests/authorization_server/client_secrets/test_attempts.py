"""The limit of password hashes per client."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from django_at_jwt.authorization_server.client_secrets import attempts
from django_at_jwt.authorization_server.client_secrets.attempts import MOST_FAILURES, SecretAttempts
from tests.patience import PATIENCE_SECONDS


class Clock:
    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(attempts, "time", SimpleNamespace(monotonic=lambda: self.now))


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


class Guarded:
    def __init__(self):
        self.attempts = SecretAttempts()
        self.hashed = []

    def send(self, secret, stored="the hash"):
        def verify():
            self.hashed.append(secret)
            return secret == "right"

        return self.attempts.check(secret, stored, client_id="web", verify=verify)


@pytest.fixture
def guarded(clock):
    return Guarded()


def test_right_secret_is_hashed_once(guarded):
    assert all(guarded.send("right") for _ in range(100))
    assert guarded.hashed == ["right"]


def test_wrong_secrets_are_hashed_up_to_the_limit(guarded, caplog):
    assert not any(guarded.send(f"wrong {number}") for number in range(1000))
    assert len(guarded.hashed) == MOST_FAILURES
    [record] = caplog.records
    assert "Client 'web' sent 10 wrong secrets" in record.message
    assert "For 60 s" in record.message


def test_right_secret_is_refused_too_until_the_window_ends(guarded, clock):
    for number in range(MOST_FAILURES):
        guarded.send(f"wrong {number}")
    assert not guarded.send("right")
    clock.now += attempts.WINDOW_SECONDS - 1
    assert not guarded.send("right")
    clock.now += 1
    assert guarded.send("right")


def test_client_that_was_accepted_before_is_not_locked_out(guarded):
    guarded.send("right")
    for number in range(1000):
        guarded.send(f"wrong {number}")
    assert guarded.send("right")
    assert len(guarded.hashed) == 1 + MOST_FAILURES


def test_other_client_or_new_secret_has_its_own_limit(guarded):
    for number in range(1000):
        guarded.send(f"wrong {number}")
    assert guarded.send("right", stored="another hash")


def test_remembered_secret_is_that_of_one_hash(guarded):
    guarded.send("right")
    guarded.send("right", stored="another hash")
    assert guarded.hashed == ["right", "right"]


def test_memory_is_bounded(guarded):
    for number in range(3000):
        guarded.send("wrong", stored=f"hash {number}")
    assert len(guarded.attempts._attempts) == 1024


def test_simultaneous_requests_hash_once(clock):
    guarded = SecretAttempts()
    hashing, go_on = threading.Event(), threading.Event()
    hashed, results = [], []

    def verify():
        hashed.append(1)
        hashing.set()
        assert go_on.wait(PATIENCE_SECONDS)
        return True

    def send():
        results.append(guarded.check("right", "the hash", client_id="web", verify=verify))

    threads = [threading.Thread(target=send) for _ in range(20)]
    threads[0].start()
    assert hashing.wait(PATIENCE_SECONDS)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert results == [True] * 20
    assert len(hashed) == 1


def test_lone_surrogate_is_not_an_error(guarded):
    assert not guarded.send("\ud800")
