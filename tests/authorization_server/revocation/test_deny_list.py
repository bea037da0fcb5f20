"""The deny list of a process: when it is read, what is read, and what happens while the database is away."""

from __future__ import annotations

import logging
import threading
from datetime import timedelta

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from django_at_jwt.authorization_server import row_cache
from django_at_jwt.authorization_server.revocation import deny_list as module
from django_at_jwt.authorization_server.revocation.deny_list import DenyListCache, deny_list
from django_at_jwt.authorization_server.revocation.entries import deny_client, deny_tokens
from django_at_jwt.core.errors import RevocationUnavailable, TokenRejected
from django_at_jwt.core.profile import parse_claims
from django_at_jwt.models import DenyListEntry
from tests.conftest import captured_statements
from tests.patience import PATIENCE_SECONDS

in_memory = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="another connection does not see the rows of this test's transaction"
)


def claims(number=1):
    raw = {"iss": "x", "sub": "a", "aud": "x", "client_id": "c", "iat": 1, "exp": 2, "jti": jti(number)}
    return parse_claims(raw)


def jti(number):
    return f".{number:032x}.1"


def insert(*numbers, hours=1.0, **fields):
    """Insert rows as another process does: this one does not know."""
    expires_at = timezone.now() + timedelta(hours=hours)
    for number in numbers:
        DenyListEntry.objects.create(kind="token", value=jti(number), expires_at=expires_at, **fields)


def is_denied(cache, number=1):
    try:
        cache.check(claims(number))
    except TokenRejected:
        return True
    return False


@pytest.fixture(autouse=True)
def max_age(settings):
    settings.AT_JWT = {**settings.AT_JWT, "REVOCATION_MAX_AGE": 5}


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

    for each in (module, row_cache):
        monkeypatch.setattr(each.time, "monotonic", lambda: Clock.now)
    return Clock


@pytest.fixture
def cache():
    return DenyListCache()


@in_memory
@pytest.mark.django_db
class TestAge:
    def test_one_query_when_due_and_none_in_between(self, cache, clock, django_assert_num_queries):
        for _ in range(3):
            with django_assert_num_queries(1):
                assert not is_denied(cache)
            insert(len(DenyListEntry.objects.all()) + 10)
            clock.now += 4.9
            with django_assert_num_queries(0):
                assert not is_denied(cache)
            clock.now += 0.1

    def test_entry_of_another_process_is_known_after_the_maximum_age(self, cache, clock):
        assert not is_denied(cache)
        insert(1)
        clock.now += 4.9
        assert not is_denied(cache)
        clock.now += 0.1
        assert is_denied(cache)
        assert not is_denied(cache, 2)

    def test_forgotten_list_is_read_again_at_the_next_use(self, cache, clock):
        assert not is_denied(cache)
        insert(1)
        cache.forget()
        assert is_denied(cache)

    def test_no_age_at_all(self, cache, settings):
        settings.AT_JWT = {**settings.AT_JWT, "REVOCATION_MAX_AGE": 0}
        assert not is_denied(cache)
        insert(1)
        assert is_denied(cache)


@pytest.mark.django_db
def test_this_process_knows_on_commit(cache, django_capture_on_commit_callbacks, django_assert_num_queries):
    deny_list.renew()
    with django_capture_on_commit_callbacks() as callbacks:
        deny_tokens([(jti(1), timezone.now())], reason="test")
        assert not is_denied(deny_list)
    with django_assert_num_queries(0):
        callbacks[0]()
        assert is_denied(deny_list)


@pytest.mark.django_db(transaction=True)
def test_entry_that_is_rolled_back_denies_nothing():
    with transaction.atomic():
        deny_tokens([(jti(1), timezone.now())], reason="test")
        transaction.set_rollback(True)
    assert not is_denied(deny_list)


@in_memory
@pytest.mark.django_db
class TestWhatIsRead:
    def test_only_rows_above_the_ids_of_a_minute_ago(self, cache, clock):
        insert(*range(3))
        is_denied(cache)
        clock.now += module._OVERLAP
        is_denied(cache)
        insert(3)
        clock.now += 5
        is_denied(cache)
        clock.now += 5
        last = DenyListEntry.objects.order_by("pk")[2].pk
        with captured_statements() as statements:
            assert is_denied(cache, 3)
        assert len(statements) == 1
        assert f'"id" > {last}' in statements[0]

    def test_expired_rows_are_not_read_at_the_start(self, cache):
        insert(1, hours=-1)
        insert(2)
        assert is_denied(cache, 2)
        assert len(cache) == 1

    def test_kind_of_a_newer_version_is_skipped(self, cache):
        DenyListEntry.objects.create(kind="family", value="x", expires_at=timezone.now() + timedelta(hours=1))
        insert(1)
        assert is_denied(cache)

    def test_more_rows_than_one_query_takes(self, cache, monkeypatch):
        monkeypatch.setattr(module, "_ROWS_PER_QUERY", 2)
        insert(*range(5))
        assert [is_denied(cache, number) for number in range(6)] == [True] * 5 + [False]

    def test_the_same_entry_twice(self, cache):
        until = timezone.now()
        for _ in range(2):
            deny_client("c", issued_until=until, expires_at=until, reason="test")
        assert is_denied(cache)
        assert len(cache) == DenyListEntry.objects.count() == 1


@in_memory
@pytest.mark.django_db
class TestLateCommits:
    """Rows that appear below an id that was read before, as those of a long transaction do."""

    @pytest.fixture
    def late(self, cache, clock, monkeypatch):
        """Read an entry, read again some seconds later, and then insert an entry below it."""

        def late(number, *, after):
            insert(50, pk=4000)
            is_denied(cache)
            for _ in range(2):
                clock.now += 100
                is_denied(cache)
            insert(100, pk=5000)
            cache.forget()
            assert is_denied(cache, 100)
            clock.now += after
            is_denied(cache)
            insert(number, pk=4999)
            cache.forget()

        return late

    @pytest.mark.parametrize("after", [0, 30, 59])
    def test_within_the_overlap_the_next_read_finds_it(self, cache, late, after):
        late(1, after=after)
        assert is_denied(cache)

    def test_beyond_the_overlap_the_comparison_finds_it(self, cache, clock, late, caplog):
        late(1, after=200)
        # This read starts the comparison, which with a database in memory runs in the same thread, after the answer.
        clock.now += module._COMPARE_EVERY
        cache.renew()
        assert is_denied(cache)
        assert "1 entries of the deny list were committed late" in caplog.text

    @pytest.mark.parametrize("before", [1, 999])
    def test_right_after_the_start(self, cache, clock, before):
        insert(100, pk=5000)
        is_denied(cache)
        insert(1, pk=5000 - before)
        cache.forget()
        assert is_denied(cache)

    def test_comparison_of_equal_lists_reads_no_entry(self, cache, clock):
        insert(1, 2)
        insert(3, hours=0.01)
        is_denied(cache)
        clock.now += module._COMPARE_EVERY
        with captured_statements() as statements:
            is_denied(cache)
        assert len(statements) == 2
        assert "COUNT" in statements[1]

    def test_rows_that_were_deleted_deny_nothing_after_the_comparison(self, cache, clock):
        insert(1, 2)
        assert is_denied(cache)
        DenyListEntry.objects.filter(value=jti(1)).delete()
        clock.now += module._COMPARE_EVERY
        is_denied(cache)
        assert [is_denied(cache), is_denied(cache, 2)] == [False, True]

    def test_expired_entries_leave_the_memory(self, cache, clock, monkeypatch):
        insert(1, hours=0.1)
        insert(2)
        is_denied(cache)
        assert len(cache) == 2
        now = module.time.time()
        monkeypatch.setattr(module.time, "time", lambda: now + 600)
        clock.now += module._COMPARE_EVERY
        is_denied(cache)
        assert len(cache) == 1

    def test_own_entries_that_were_not_read_yet_do_not_disturb_it(self, cache, late, caplog):
        late(1, after=200)
        cache.renew()
        insert(7, 8)
        # An entry that exists is added again.
        cache.add([row.entry for row in DenyListEntry.objects.filter(value__in=[jti(7), jti(8), jti(100)])])
        cache._compare("default", lambda: True)
        assert [is_denied(cache, number) for number in (1, 7, 8)] == [True] * 3
        assert "1 entries of the deny list were committed late" in caplog.text

    def test_entries_that_this_process_adds_all_the_time(self, cache, clock, late):
        late(1, after=200)
        for number in range(10, 30):
            clock.now += 4
            insert(number)
            cache.add([DenyListEntry.objects.get(value=jti(number)).entry])
            cache.check(claims(0))
        assert is_denied(cache)

    def test_overlap_after_a_mass_revocation_is_compared_and_not_read_again(self, cache, clock, late, monkeypatch):
        late(1, after=30)
        insert(2, pk=99_999)
        is_denied(cache)
        insert(3, pk=50_000)
        cache.forget()
        with captured_statements() as statements:
            is_denied(cache)
        assert '"id" > 89999' in statements[0]
        assert "COUNT" in statements[1]
        assert is_denied(cache, 3)


@pytest.fixture
def down(monkeypatch):
    """A database that fails for as long as it is told to."""

    class Down:
        is_down = True

    rows = module._rows

    def fail(*arguments, **options):
        if Down.is_down:
            raise OperationalError("the database is down")
        return rows(*arguments, **options)

    monkeypatch.setattr(module, "_rows", fail)
    return Down


@in_memory
@pytest.mark.django_db
@pytest.mark.parametrize(("most", "published"), [(100, 6), (3, None)], ids=["few", "too many"])
def test_first_read_that_fails_halfway_leaves_nothing_out_of_publication(
    cache, clock, monkeypatch, settings, most, published
):
    settings.AT_JWT = {**settings.AT_JWT, "PUBLISH_REVOCATIONS": True}
    monkeypatch.setattr(module, "_ROWS_PER_QUERY", 2)
    monkeypatch.setattr(module, "MOST_ENTRIES", most)
    for number in range(6):
        # The second read begins as many ids before the highest one as a query has rows.
        insert(number, pk=1000 * (number + 1))
    rows = module._rows

    def fail_after_four(*arguments, **options):
        batches = rows(*arguments, **options)
        yield next(batches)
        yield next(batches)
        raise OperationalError("the connection is lost")

    with monkeypatch.context() as failing:
        failing.setattr(module, "_rows", fail_after_four)
        with pytest.raises(RevocationUnavailable):
            cache.reading()
    clock.now += 1.1
    kept = cache.reading().entries.kept()
    assert (None if kept is None else len(kept)) == published


@in_memory
@pytest.mark.django_db
class TestDatabaseThatIsAway:
    def test_process_that_never_read_it(self, cache, clock, down):
        with pytest.raises(RevocationUnavailable, match="could not be read"):
            cache.check(claims())
        down.is_down = False
        clock.now += 0.9
        with pytest.raises(RevocationUnavailable):
            cache.check(claims())
        clock.now += 0.1
        assert not is_denied(cache)

    def test_last_state_for_a_while(self, cache, clock, down, caplog):
        down.is_down = False
        insert(1)
        assert is_denied(cache)
        down.is_down = True
        clock.now += 300
        assert [is_denied(cache), is_denied(cache, 2)] == [True, False]
        assert "The deny list could not be read" in caplog.text
        clock.now += 0.1
        with pytest.raises(RevocationUnavailable, match="REVOCATION_MAX_STALE"):
            cache.check(claims())
        down.is_down = False
        clock.now += 5
        assert [is_denied(cache), is_denied(cache, 2)] == [True, False]

    def test_failing_reads_are_rare(self, cache, clock, down, caplog):
        down.is_down = False
        is_denied(cache)
        down.is_down = True
        clock.now += 5
        for _ in range(10):
            is_denied(cache)
        assert caplog.text.count("The deny list could not be read") == 1

    def test_accepting_in_the_meantime(self, cache, clock, down, settings, caplog):
        settings.AT_JWT = {**settings.AT_JWT, "REVOCATION_UNAVAILABLE": "accept"}
        assert not is_denied(cache)
        assert "could not be read" in caplog.text
        down.is_down = False
        insert(1)
        clock.now += 1
        assert is_denied(cache)
        down.is_down = True
        clock.now += 10_000
        # Known revocations stay in force.
        assert [is_denied(cache), is_denied(cache, 2)] == [True, False]

    def test_comparison_that_fails(self, cache, clock, monkeypatch, caplog):
        def fail(*_arguments):
            raise OperationalError("the database is down")

        is_denied(cache)
        monkeypatch.setattr(module, "_live_rows", fail)
        clock.now += module._COMPARE_EVERY
        assert not is_denied(cache)
        assert "could not be compared" in caplog.text

    def test_error_of_the_code_is_not_an_outage(self, cache, monkeypatch):
        monkeypatch.setattr(module, "_rows", lambda *_arguments, **_options: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            cache.check(claims())


def test_read_that_hangs(clock, monkeypatch, caplog, settings):
    monkeypatch.setattr(row_cache, "_is_in_memory", lambda database: False)
    monkeypatch.setattr(row_cache, "READ_PATIENCE", 0.05)
    answer, asked = threading.Event(), []

    def hang(*_arguments, **_options):
        asked.append(None)
        answer.wait(PATIENCE_SECONDS)
        return []

    monkeypatch.setattr(module, "_rows", hang)
    caplog.set_level(logging.ERROR, "django_at_jwt")
    cache = DenyListCache()
    for _ in range(3):
        with pytest.raises(RevocationUnavailable):
            cache.check(claims())
    hanging = cache._reader._latest
    answer.set()
    assert hanging.done.wait(PATIENCE_SECONDS)
    assert not is_denied(cache)
    assert len(asked) == 1
    # The former state is used while the next read hangs.
    answer.clear()
    clock.now += 5
    assert not is_denied(cache)
    assert not is_denied(cache)
    assert len(asked) == 2
    hanging = cache._reader._latest
    answer.set()
    assert hanging.done.wait(PATIENCE_SECONDS)


def test_other_threads_wait_for_a_running_read(clock, monkeypatch):
    monkeypatch.setattr(row_cache, "_is_in_memory", lambda database: False)
    asked, go_on = threading.Event(), threading.Event()
    cache, found = DenyListCache(), []
    monkeypatch.setattr(module, "_rows", lambda *_arguments, **_options: [])
    assert not is_denied(cache)

    def slow(*_arguments, **_options):
        asked.set()
        go_on.wait(PATIENCE_SECONDS)
        yield [(1, "token", jti(1), None, timezone.now() + timedelta(hours=1))]

    monkeypatch.setattr(module, "_rows", slow)
    clock.now += 5
    threads = [threading.Thread(target=lambda: found.append(is_denied(cache))) for _ in range(2)]
    threads[0].start()
    assert asked.wait(PATIENCE_SECONDS)
    threads[1].start()
    threads[1].join(0.05)
    go_on.set()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert found == [True, True]
