"""The deny list in this process: read again every few seconds, and shared by all threads."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from django.db import Error as AnyDatabaseError
from django.db.models import Max

from django_at_jwt.authorization_server.row_cache import BoundedRead
from django_at_jwt.conf import app_settings, register_process_cache
from django_at_jwt.core.deny_list import DenyKind, DenyList
from django_at_jwt.core.errors import ReadNeeded, RejectionReason, RevocationUnavailable, TokenRejected
from django_at_jwt.core.quotation import single_line
from django_at_jwt.core.revocation_document import MOST_ENTRIES
from django_at_jwt.events import DenyListFailed, DenyListRead, emit, span
from django_at_jwt.models import DenyListEntry
from django_at_jwt.models.deny_list_entry import as_entry
from django_at_jwt.models.instants import as_datetime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from django.db.models import QuerySet

    from django_at_jwt.core.deny_list import DenyEntry
    from django_at_jwt.core.profile import AccessTokenClaims

    _Row = tuple[int, str, str, datetime | None, datetime]

logger = logging.getLogger("django_at_jwt")

_NEVER: Final = float("-inf")
_ROWS_PER_QUERY: Final = 10_000
# All in seconds. Entries whose transaction takes longer than the overlap are found by the comparison.
_OVERLAP: Final = 60.0
_COMPARE_EVERY: Final = 60.0
_RETRY_AFTER: Final = 1.0
# Ids by which the reads after the first one overlap it, until _OVERLAP has passed.
_FIRST_OVERLAP: Final = 1000
# Entries that expire so soon are not compared: other processes may have deleted them by now.
_COMPARISON_MARGIN: Final = 120
_KINDS: Final = frozenset(DenyKind)


class Reading(NamedTuple):
    """The deny list in memory, and when it was last read.

    Attributes:
        entries: the list, which other threads may change.
        version: the highest id that the read has seen. A later read has the same or a higher one, in any process.
        read_at: when the read began, in seconds since the epoch.
    """

    entries: DenyList
    version: int
    read_at: float


class DenyListCache:
    """The live entries of the deny list, shared by the threads of this process.

    The first use after ``REVOCATION_MAX_AGE`` reads the rows added since, on a connection outside the request's
    transaction, which may see an old snapshot. If a read fails or hangs, the former entries are used for
    ``REVOCATION_MAX_STALE``. No request waits longer than
    :data:`~django_at_jwt.authorization_server.row_cache.READ_PATIENCE` for a read.

    Rows become visible in the order of their commits, not of their ids. So a read starts below the highest id that was
    known :data:`_OVERLAP` seconds before the previous read: rows up to there were inserted before, and visible to the
    previous read, unless their transaction took longer. Once a minute, a comparison of the number of rows finds the
    rest. It runs in a separate thread, and delays no request.
    """

    def __init__(self) -> None:
        self._reader = BoundedRead(DenyListEntry, self._read, self._put_off, outside_transactions=True)
        self._comparison = BoundedRead(DenyListEntry, self._compare, lambda: None, outside_transactions=True)
        # Held while state or entries change, never during a query.
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Discard all entries, as in a new process."""
        self._reader.forget()
        self._comparison.forget()
        with self._lock:
            self._entries = DenyList()
            # When the last successful read began, on both clocks, and the highest id that it has seen.
            self._read_at, self._read_clock = _NEVER, 0.0
            self._version = 0
            # Until when no read is needed, and from when on one may begin.
            self._fresh_until = self._due_at = _NEVER
            # The highest id read so far, when it first was (oldest first), and the id to read from.
            self._highest = self._floor = 0
            self._known: list[tuple[float, int]] = []
            self._compared_at = _NEVER
            # When this process last added the entries that it wrote, and how many since the last read.
            self._added_at = _NEVER
            self._added = 0

    def check(self, claims: AccessTokenClaims) -> None:
        """Check that no entry concerns a verified token of this issuer.

        Args:
            claims: as for :meth:`~django_at_jwt.core.deny_list.DenyList.hit`.

        Raises:
            TokenRejected: an entry concerns it.
            RevocationUnavailable: the entries cannot be read, and were not read within ``REVOCATION_MAX_STALE``.
        """
        if time.monotonic() >= self._fresh_until:
            self.renew()
        self._check_entries(claims)

    def check_in_memory(self, claims: AccessTokenClaims) -> None:
        """Check as :meth:`check`, with the entries in memory.

        Raises:
            TokenRejected: an entry concerns the token.
            ReadNeeded: it is time to read the entries again.
        """
        if time.monotonic() >= self._fresh_until:
            raise ReadNeeded
        self._check_entries(claims)

    def _check_entries(self, claims: AccessTokenClaims) -> None:
        kind = self._entries.hit(claims)
        if kind is not None:
            raise TokenRejected(RejectionReason.REVOKED, f"the deny list names {kind.of_token}")

    def check_authorization(self, read_identifier: Callable[[], str]) -> None:
        """Check that no entry names the authorization of a token whose ``jti`` does not contain it.

        Args:
            read_identifier: returns the authorization's identifier, or an empty string; called only if the list names
                authorizations.

        Raises:
            TokenRejected: an entry names it.
        """
        if self._entries.has_authorizations and self._entries.names_authorization(read_identifier()):
            raise TokenRejected(RejectionReason.REVOKED, f"the deny list names {DenyKind.AUTHORIZATION.of_token}")

    def renew(self) -> None:
        """Read the entries added since the last read, or wait for a thread that does, unless a read just failed.

        Raises:
            RevocationUnavailable: as :meth:`check`.
        """
        try:
            self._reader.run(due=self._is_due, join=True)
        except AnyDatabaseError as error:
            emit(DenyListFailed(detail=single_line(error)), traceback=True)
        if not self._is_usable() and app_settings().revocation_unavailable == "refuse":
            raise RevocationUnavailable(
                "the deny list cannot be read, and was not read within REVOCATION_MAX_STALE"
                if self._read_at > _NEVER
                else "the deny list could not be read since this process started"
            )

    def reading(self) -> Reading:
        """Return the entries for publication, after reading them again if they are due.

        Raises:
            RevocationUnavailable: they could not be read for ``REVOCATION_MAX_STALE``. ``REVOCATION_UNAVAILABLE`` does
                not change this.
        """
        if time.monotonic() >= self._fresh_until:
            self.renew()
        with self._lock:
            if not self._is_usable():
                raise RevocationUnavailable("the deny list cannot be read, so it is not published")
            return Reading(self._entries, self._version, self._read_clock)

    def forget(self) -> None:
        """Read again at the next use."""
        self._reader.forget()
        with self._lock:
            self._fresh_until = self._due_at = _NEVER

    def add(self, entries: Iterable[DenyEntry]) -> None:
        """Add entries whose rows this process has just committed. No read is needed for them."""
        with self._lock:
            before = len(self._entries)
            self._entries.update(entries)
            self._added += len(self._entries) - before
            self._added_at = time.monotonic()

    def remove(self, entries: Iterable[DenyEntry]) -> None:
        """Remove entries of clients or audiences whose rows this process has just deleted."""
        with self._lock:
            self._entries.remove(entries)

    def age(self) -> float | None:
        """Return the seconds since the last successful read began, or ``None`` before it."""
        return None if self._read_at == _NEVER else time.monotonic() - self._read_at

    def __len__(self) -> int:
        return len(self._entries)

    def _is_usable(self) -> bool:
        return time.monotonic() <= self._usable_until()

    def _usable_until(self) -> float:
        settings = app_settings()
        return self._read_at + max(settings.revocation_max_stale, settings.revocation_max_age)

    def _is_due(self) -> bool:
        return time.monotonic() >= self._due_at

    def _put_off(self) -> None:
        with self._lock:
            self._count_as_tried(time.monotonic())

    def _count_as_tried(self, at: float) -> None:
        usable_until = self._usable_until()
        is_usable = at <= usable_until
        self._due_at = at + (app_settings().revocation_max_age if is_usable else _RETRY_AFTER)
        self._fresh_until = min(self._due_at, usable_until)

    def _read(self, database: str, is_latest: Callable[[], bool]) -> None:
        began, clock = time.monotonic(), time.time()
        publishes = app_settings().publish_revocations
        with self._lock:
            entries, is_first, added = self._entries, self._read_at == _NEVER, self._added
            # After a mass revocation, the overlap is not read again and again, but compared.
            above = max(self._floor, self._highest - _ROWS_PER_QUERY)
            is_comparison_due = above > self._floor or began - self._compared_at >= _COMPARE_EVERY
            if is_first and publishes and not self._highest:
                # Not again after a read that failed: the next one does not begin with the first row.
                entries.keep(MOST_ENTRIES)
        newest = 0
        try:
            with span("read_deny_list"):
                if is_first and publishes:
                    # The first read leaves out expired rows, which the version of other processes may have counted.
                    newest = DenyListEntry.objects.using(database).aggregate(newest=Max("pk"))["newest"] or 0
                self._fill(entries, _rows(database, above=above, live_at=time.time() if is_first else None))
        except AnyDatabaseError:
            with self._lock:
                if is_latest():
                    self._count_as_tried(time.monotonic())
            raise
        emit(DenyListRead(entries=len(entries), seconds=time.monotonic() - began))
        with self._lock:
            if entries is not self._entries:
                return
            # What was added during the read may have been read or not, so that nothing can be compared.
            self._added -= added
            is_comparison_due = is_comparison_due and not (is_first or self._added)
            if is_first:
                self._floor = max(0, self._highest - _FIRST_OVERLAP)
                self._compared_at = began
            self._note_highest(began)
            if is_latest():
                self._read_at, self._read_clock = began, clock
                self._version = max(self._version, self._highest, newest)
                self._count_as_tried(began)
        if is_comparison_due:
            self._comparison.start()

    def _fill(self, entries: DenyList, batches: Iterable[list[_Row]]) -> int:
        """Add rows that have not expired, and return the highest id, or 0."""
        highest, now = 0, as_datetime(int(time.time()))
        for rows in batches:
            # A newer version of this app may have more kinds.
            found = [
                as_entry(kind, value, issued_until, expires_at)
                for _, kind, value, issued_until, expires_at in rows
                if kind in _KINDS and expires_at > now
            ]
            highest = rows[-1][0]
            with self._lock:
                entries.update(found)
                if entries is self._entries:
                    self._highest = max(self._highest, highest)
        return highest

    def _note_highest(self, began: float) -> None:
        if self._highest > (self._known[-1][1] if self._known else self._floor):
            self._known.append((time.monotonic(), self._highest))
        while self._known and self._known[0][0] <= began - _OVERLAP:
            self._floor = max(self._floor, self._known.pop(0)[1])

    def _compare(self, database: str, _is_latest: Callable[[], bool]) -> None:
        """Compare the number of rows with that of the entries.

        Rows are only added, and deleted once expired or if an API was enabled again.
        """
        now = time.time()
        after = int(now) // 60 * 60 + _COMPARISON_MARGIN
        with self._lock:
            self._compared_at = time.monotonic()
            entries, highest = self._entries, self._highest
            entries.drop_expired(now)
            # The ids of this process's own entries since the last read are not known; they are above the highest.
            known = entries.count(expiring_after=after) - self._added
        try:
            live = _live_rows(database, after).filter(pk__lte=highest, kind__in=_KINDS).count()
            if live > known:
                logger.warning("%s entries of the deny list were committed late; all are read again", live - known)
                self._fill(entries, _rows(database, above=0, live_at=now))
            elif live < known:
                self._replace(database, entries, now, version=0)
            elif self._can_keep_again(entries):
                self._replace(database, entries, now, version=self._version)
        except AnyDatabaseError:
            logger.exception("The deny list could not be compared with the database")

    def _can_keep_again(self, entries: DenyList) -> bool:
        """Return whether the number of entries has fallen below the limit for publication."""
        too_many = app_settings().publish_revocations and entries.kept() is None
        return too_many and len(entries) <= MOST_ENTRIES

    def _replace(self, database: str, former: DenyList, now: float, *, version: int) -> None:
        """Read all rows into a new list.

        This is needed if unexpired rows were deleted, for instance by restoring a backup, or if there are few enough
        to publish again.

        Args:
            version: the lowest version of the new list. Expired rows, which it leaves out, may have counted.
        """
        began = time.monotonic()
        entries = DenyList()
        if app_settings().publish_revocations:
            entries.keep(MOST_ENTRIES)
        highest = self._fill(entries, _rows(database, above=0, live_at=now))
        with self._lock:
            if former is self._entries and self._added_at < began:
                # Rows that were added in the meantime may be missing.
                self._fresh_until = self._due_at = _NEVER
                self._known, self._highest, self._floor = [], highest, max(0, highest - _FIRST_OVERLAP)
                self._version = max(version, highest)
                self._note_highest(began)
                self._entries = entries


def _live_rows(database: str, now: float) -> QuerySet[DenyListEntry]:
    return DenyListEntry.objects.using(database).filter(expires_at__gt=as_datetime(int(now)))


def _rows(database: str, *, above: int, live_at: float | None) -> Iterator[list[_Row]]:
    """Yield the rows above an id in batches, in the order of their ids; if ``live_at`` is given, those not expired."""
    rows = DenyListEntry.objects.using(database) if live_at is None else _live_rows(database, live_at)
    columns = rows.order_by("pk").values_list("pk", "kind", "value", "issued_until", "expires_at")
    while batch := list(columns.filter(pk__gt=above)[:_ROWS_PER_QUERY]):
        yield batch
        if len(batch) < _ROWS_PER_QUERY:
            return
        above = batch[-1][0]


deny_list: Final = DenyListCache()
register_process_cache(deny_list.clear)
