"""What is made of rows is read seldom, at once after a change, and not at all while the database is down."""

from __future__ import annotations

import threading

import pytest
from django.db import OperationalError, transaction

from django_at_jwt.authorization_server import row_cache as bounded_read
from django_at_jwt.authorization_server import row_cache as module
from django_at_jwt.authorization_server.row_cache import RowCache
from django_at_jwt.models import ResourceServer
from tests.patience import PATIENCE_SECONDS


class Rows:
    """A source that counts how often it was read."""

    def __init__(self):
        self.reads = 0
        self.fails = False

    def __call__(self, database):
        self.reads += 1
        if self.fails:
            raise OperationalError("the database is down")
        return f"{database} {self.reads}"


@pytest.fixture
def rows():
    return Rows()


@pytest.fixture
def snapshot(rows):
    return RowCache(ResourceServer, rows)


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

    monkeypatch.setattr(module.time, "monotonic", lambda: Clock.now)
    return Clock


def test_is_read_again_when_it_is_old(snapshot, rows, clock):
    assert snapshot.current() == snapshot.current() == "default 1"
    clock.now += 29.9
    assert snapshot.current() == "default 1"
    clock.now += 0.1
    assert snapshot.current() == "default 2"


def test_latest_is_a_second_old_at_most(snapshot, rows, clock):
    assert snapshot.latest() == snapshot.latest() == "default 1"
    clock.now += 1
    assert snapshot.latest() == "default 2"


def test_database_that_is_down(snapshot, rows, clock, settings, caplog):
    rows.fails = True
    with pytest.raises(OperationalError):
        snapshot.current()
    rows.fails = False
    assert snapshot.current() == "default 2"
    rows.fails = True
    clock.now += 30
    assert snapshot.current() == "default 2"
    assert "those read before are used" in caplog.text
    # It is asked again after the usual time, not by each request.
    assert (snapshot.current(), rows.reads) == ("default 2", 3)
    clock.now += 3600
    with pytest.raises(OperationalError):
        snapshot.current()


def test_change_in_this_process(db, rows, snapshot):
    assert snapshot.current() == "default 1"
    row = ResourceServer.objects.create(identifier="https://api.example.com/", name="x")
    assert snapshot.current() == "default 2"
    row.delete()
    assert snapshot.current() == "default 3"


@pytest.mark.django_db(transaction=True)
def test_change_that_another_thread_could_not_see_yet(rows, snapshot):
    with transaction.atomic():
        ResourceServer.objects.create(identifier="https://api.example.com/", name="x")
        snapshot.current()
        read = rows.reads
    snapshot.current()
    assert rows.reads == read + 1


def test_change_while_it_is_read(snapshot, rows, monkeypatch):
    monkeypatch.setattr(snapshot, "_read", lambda database: (snapshot.forget(), rows(database))[1])
    assert snapshot.current() == "default 1"
    # What was read may be from before the change.
    assert snapshot.current() == "default 2"


def test_nobody_waits_for_a_read_that_is_under_way(snapshot, rows, clock):
    assert snapshot.current() == "default 1"
    clock.now += 30
    asked, go_on = threading.Event(), threading.Event()

    def slow(database):
        asked.set()
        go_on.wait(PATIENCE_SECONDS)
        return "new"

    snapshot._read = slow
    reader = threading.Thread(target=snapshot.current)
    reader.start()
    assert asked.wait(PATIENCE_SECONDS)
    assert snapshot.current() == "default 1"
    go_on.set()
    reader.join(PATIENCE_SECONDS)
    assert snapshot.current() == "new"


def test_a_read_that_hangs(rows, clock, monkeypatch):
    monkeypatch.setattr(bounded_read, "_is_bound_to_its_connection", lambda database: False)
    monkeypatch.setattr(bounded_read, "READ_PATIENCE", 0.05)
    answers = iter([threading.Event() for _ in range(3)])
    asked = []

    def slow(database):
        asked.append(next(answers))
        asked[-1].wait(PATIENCE_SECONDS)
        return rows(database)

    snapshot = RowCache(ResourceServer, slow)
    for _ in range(3):
        with pytest.raises(OperationalError, match="within"):
            snapshot.current()
    assert len(asked) == 1
    _answer(snapshot, asked[0])
    assert snapshot.current() == "default 1"
    clock.now += 30
    # What was read before is used while the database hangs, but not after a change in this process.
    assert snapshot.current() == snapshot.current() == "default 1"
    snapshot.forget()
    with pytest.raises(OperationalError, match="within"):
        snapshot.current()
    assert len(asked) == 3
    asked[1].set()
    _answer(snapshot, asked[2])
    assert snapshot.current().startswith("default")


def _answer(snapshot, event):
    hanging = snapshot._reader._latest
    event.set()
    assert hanging.done.wait(PATIENCE_SECONDS)
