"""The row cache: reads by age, after a change, and while the database is down or hangs."""

from __future__ import annotations

import threading

import pytest
from django.db import OperationalError, connections, transaction

from django_at_jwt.authorization_server import row_cache
from django_at_jwt.authorization_server.row_cache import RowCache
from django_at_jwt.models import ResourceServer
from tests.patience import PATIENCE_SECONDS


class Rows:
    """Rows that count how often they are read."""

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
def cache(rows):
    return RowCache(ResourceServer, rows)


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

    monkeypatch.setattr(row_cache.time, "monotonic", lambda: Clock.now)
    return Clock


def test_is_read_again_at_its_maximum_age(cache, rows, clock):
    assert cache.current() == cache.current() == "default 1"
    clock.now += 29.9
    assert cache.current() == "default 1"
    clock.now += 0.1
    assert cache.current() == "default 2"


def test_latest_is_at_most_a_second_old(cache, rows, clock):
    assert cache.latest() == cache.latest() == "default 1"
    clock.now += 1
    assert cache.latest() == "default 2"


def test_database_that_is_down(cache, rows, clock, settings, caplog):
    rows.fails = True
    with pytest.raises(OperationalError):
        cache.current()
    rows.fails = False
    assert cache.current() == "default 2"
    rows.fails = True
    clock.now += 30
    assert cache.current() == "default 2"
    assert "those read before are used" in caplog.text
    # The next attempt comes after the usual age, not with each request.
    assert (cache.current(), rows.reads) == ("default 2", 3)
    clock.now += 3600
    with pytest.raises(OperationalError):
        cache.current()


def test_value_at_hand(cache, rows, clock):
    assert cache.at_hand() is cache.last_read is None
    assert cache.current() == cache.at_hand() == "default 1"
    rows.fails = True
    clock.now += 30
    assert cache.at_hand() is None
    assert cache.current() == cache.at_hand() == "default 1"
    cache.forget()
    assert (cache.at_hand(), cache.last_read) == (None, "default 1")
    cache.clear()
    assert cache.last_read is None


def test_reread_ignores_the_age(cache, rows, clock):
    assert cache.current() == "default 1"
    assert cache.reread() == "default 2"
    rows.fails = True
    assert cache.reread() == "default 2"
    cache.clear()
    with pytest.raises(OperationalError):
        cache.reread()


def test_maximum_age_of_a_value(rows, clock):
    cache = RowCache(ResourceServer, rows, max_age=lambda value: 5 if value == "default 1" else 50)
    assert cache.current() == "default 1"
    clock.now += 5
    assert cache.current() == "default 2"
    clock.now += 49
    assert cache.current() == cache.at_hand() == "default 2"


def test_retry_after_a_failure_without_a_former_value(rows, clock):
    cache = RowCache(ResourceServer, rows, retry_after=1.0)
    rows.fails = True
    for _ in range(3):
        with pytest.raises(OperationalError):
            cache.current()
    assert rows.reads == 1
    rows.fails = False
    clock.now += 1
    assert cache.current() == "default 2"


def test_former_value_after_a_change(rows, clock):
    cache = RowCache(ResourceServer, rows, keep_after_change=True)
    assert cache.current() == "default 1"
    cache.forget()
    rows.fails = True
    assert cache.current() == "default 1"
    assert (cache.current(), rows.reads) == ("default 1", 2)
    rows.fails = False
    cache.forget()
    assert cache.current() == "default 3"


def test_change_in_this_process(db, rows, cache):
    assert cache.current() == "default 1"
    row = ResourceServer.objects.create(identifier="https://api.example.com/", name="x")
    assert cache.current() == "default 2"
    row.delete()
    assert cache.current() == "default 3"


@pytest.mark.django_db(transaction=True)
def test_rows_read_before_a_commit_are_read_again_after_it(rows, cache):
    with transaction.atomic():
        ResourceServer.objects.create(identifier="https://api.example.com/", name="x")
        cache.current()
        read = rows.reads
    cache.current()
    assert rows.reads == read + 1


def test_change_while_it_is_read(cache, rows, monkeypatch):
    monkeypatch.setattr(cache, "_read", lambda database: (cache.forget(), rows(database))[1])
    assert cache.current() == "default 1"
    # The value may be from before the change.
    assert cache.current() == "default 2"


def test_other_threads_use_the_former_value_during_a_read(cache, rows, clock):
    assert cache.current() == "default 1"
    clock.now += 30
    asked, go_on = threading.Event(), threading.Event()

    def slow(database):
        asked.set()
        go_on.wait(PATIENCE_SECONDS)
        return "new"

    cache._read = slow
    reader = threading.Thread(target=cache.current)
    reader.start()
    assert asked.wait(PATIENCE_SECONDS)
    assert cache.current() == "default 1"
    go_on.set()
    reader.join(PATIENCE_SECONDS)
    assert cache.current() == "new"


def test_a_read_that_hangs(rows, clock, monkeypatch):
    monkeypatch.setattr(row_cache, "_is_bound_to_its_connection", lambda database: False)
    monkeypatch.setattr(row_cache, "READ_PATIENCE", 0.05)
    answers = iter([threading.Event() for _ in range(3)])
    asked = []

    def slow(database):
        asked.append(next(answers))
        asked[-1].wait(PATIENCE_SECONDS)
        return rows(database)

    cache = RowCache(ResourceServer, slow)
    for _ in range(3):
        with pytest.raises(OperationalError, match="within"):
            cache.current()
    assert len(asked) == 1
    _answer(cache, asked[0])
    assert cache.current() == "default 1"
    clock.now += 30
    # The former value is used while the database hangs, but not after a change in this process.
    assert cache.current() == cache.current() == "default 1"
    cache.forget()
    with pytest.raises(OperationalError, match="within"):
        cache.current()
    assert len(asked) == 3
    asked[1].set()
    _answer(cache, asked[2])
    assert cache.current().startswith("default")


def test_a_read_does_not_wait_for_a_connection_of_the_pool(rows, monkeypatch):
    monkeypatch.setattr(row_cache, "_is_bound_to_its_connection", lambda database: False)
    options = {**connections["default"].settings_dict["OPTIONS"], "pool": {"max_size": 1}}
    monkeypatch.setitem(connections.settings["default"], "OPTIONS", options)
    used = []

    def read(database):
        used.append(connections[database].settings_dict["OPTIONS"])
        return rows(database)

    assert RowCache(ResourceServer, read).current() == "default 1"
    assert used == [{**options, "pool": None}]
    assert connections.settings["default"]["OPTIONS"] == options


def _answer(cache, event):
    hanging = cache._reader._latest
    event.set()
    assert hanging.done.wait(PATIENCE_SECONDS)
