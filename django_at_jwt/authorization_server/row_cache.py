"""A cache of database rows. No request waits longer than ``READ_PATIENCE`` for a read, however slow the database is."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from django.db import Error as AnyDatabaseError
from django.db import OperationalError, connections, router, transaction
from django.db.models.signals import post_delete, post_save

from django_at_jwt.conf import app_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

    from django.db.models import Model

logger = logging.getLogger("django_at_jwt")

READ_PATIENCE: Final = 2.0
"""Seconds for which a request waits for a read."""

# Seconds after which a hanging read no longer prevents another one. A lost connection can hang for hours.
_ABANDONED_AFTER: Final = 60.0


class BoundedRead:
    """Read in a separate thread, one read at a time, and stop waiting for it after ``READ_PATIENCE``.

    With an in-memory database, and by default inside a transaction, the read runs in the calling thread, since no other
    connection sees the same rows. Not bounded: such a read takes as long as the database.
    """

    def __init__(
        self,
        model: type[Model],
        read: Callable[[str, Callable[[], bool]], None],
        put_off: Callable[[], None],
        *,
        outside_transactions: bool = False,
    ) -> None:
        """Make a reader of the rows of ``model``.

        Args:
            read: reads and stores the rows. It is called with the alias of the primary database, and a function that
                returns whether the read is still the latest: not after :meth:`forget`, or when it was abandoned.
            put_off: called if a read takes too long, to postpone the next attempt.
            outside_transactions: read on a separate connection inside a transaction, too: the rows that the transaction
                sees may be old, or not committed.
        """
        self._model, self._read, self._put_off = model, read, put_off
        self._outside_transactions = outside_transactions
        self._lock = threading.Lock()
        self._latest: _Read | None = None

    def run(self, *, due: Callable[[], bool], join: bool) -> bool:
        """Start a read unless one is running, and wait for at most ``READ_PATIENCE``.

        Args:
            due: returns whether a read is needed; called while no other thread can start one.
            join: wait for a read that another thread started, too, until ``READ_PATIENCE`` after its start.

        Returns:
            Whether the read ended, or was not due. It is not waited for if another thread started it and ``join`` is
            false.

        Raises:
            Exception: what ``read`` raised.
        """
        read, begins = self._begin(due)
        if read is None:
            return True
        remaining = max(0.0, read.began + READ_PATIENCE - time.monotonic())
        if (begins or join) and read.done.wait(remaining):
            if read.error is not None:
                raise read.error
            return True
        if begins:
            name = self._model.__name__
            logger.error("Reading the rows of %s takes longer than %s s; it continues separately", name, READ_PATIENCE)
        if begins or not remaining:
            with self._lock:
                if read is self._latest and not read.done.is_set():
                    self._put_off()
        return False

    def start(self) -> None:
        """Start a read unless one is running, and don't wait for it."""
        self._begin(lambda: True)

    def _begin(self, due: Callable[[], bool]) -> tuple[_Read | None, bool]:
        """Return the running read, and whether it was started here; no read if none runs and none is due."""
        database = router.db_for_write(self._model)
        inline = (_is_in_memory if self._outside_transactions else _is_bound_to_its_connection)(database)
        with self._lock:
            read = self._latest
            begins = read is None or read.is_over()
            if read is None or begins:
                if not due():
                    return None, False
                read = self._latest = _Read(self, database, inline=inline)
                if not inline:
                    read.thread.start()
        if begins and inline:
            read.work()
        return read, begins

    def forget(self) -> None:
        """Start a new read at the next use, even if one is running: it may have read the rows before a change."""
        with self._lock:
            self._latest = None


class _Read:
    """One read, its thread and its outcome."""

    def __init__(self, reader: BoundedRead, database: str, *, inline: bool) -> None:
        self._reader, self._database, self._inline = reader, database, inline
        self.began: Final = time.monotonic()
        self.done: Final = threading.Event()
        self.error: Exception | None = None
        # A daemon thread, so that a hanging read does not prevent the process from exiting.
        self.thread = threading.Thread(target=self._work_in_thread, name="django-at-jwt-read", daemon=True)

    def is_over(self) -> bool:
        """Return whether the next read can start. After a fork, the thread no longer exists."""
        if self.done.is_set() or time.monotonic() >= self.began + _ABANDONED_AFTER:
            return True
        return not (self._inline or self.thread.is_alive())

    def work(self) -> None:
        """Read in this thread."""
        try:
            self._reader._read(self._database, self._is_latest)
        except Exception as error:  # noqa: BLE001 - raised in each thread that waits
            self.error = error
        finally:
            self.done.set()

    def _work_in_thread(self) -> None:
        try:
            _use_no_pool(self._database)
            self.work()
        finally:
            connections.close_all()

    def _is_latest(self) -> bool:
        return self._reader._latest is self


def _use_no_pool(database: str) -> None:
    """Connect outside the pool in this thread: requests that wait for it may hold all connections of the pool."""
    connection = connections[database]
    options = connection.settings_dict["OPTIONS"]
    if options.get("pool"):
        connection.settings_dict = {**connection.settings_dict, "OPTIONS": {**options, "pool": None}}


def _is_bound_to_its_connection(database: str) -> bool:
    return connections[database].in_atomic_block or _is_in_memory(database)


def _is_in_memory(database: str) -> bool:
    in_memory = getattr(connections[database], "is_in_memory_db", None)
    return in_memory is not None and in_memory()


_NEVER: Final = float("-inf")
_LEAST_AGE: Final = 1.0

ValueT = TypeVar("ValueT")


def _usual_max_age(_value: object) -> float:
    return app_settings().key_ring_max_age


def usual_age_unless_empty(rows: Sized) -> float:
    """Return the usual maximum age, or a second if there are no rows: the first one is about to be created."""
    return app_settings().key_ring_max_age if rows else _LEAST_AGE


class RowCache(Generic[ValueT]):
    """A value made from rows, read again when it is older than its maximum age or after a change in this process.

    If a read fails or hangs, the former value is used for ``KEY_RING_MAX_STALE``, and the next attempt waits for the
    maximum age. No request waits longer than :data:`READ_PATIENCE` for a read.
    """

    def __init__(
        self,
        model: type[Model],
        read: Callable[[str], ValueT],
        *,
        max_age: Callable[[ValueT], float] = _usual_max_age,
        retry_after: float = 0.0,
        keep_after_change: bool = False,
    ) -> None:
        """Make an empty cache of the rows of ``model``.

        Args:
            read: returns the value, which must not be ``None``; called with the alias of the primary database.
            max_age: returns the seconds after which a value is read again, by default ``KEY_RING_MAX_AGE``.
            retry_after: seconds without another attempt after a failed read, if no former value can be used.
            keep_after_change: whether the former value may be used if the read after a change fails or hangs.
        """
        self._model, self._read, self._max_age = model, read, max_age
        self._retry_after, self._keep_after_change = retry_after, keep_after_change
        self._reader = BoundedRead(model, self._refresh, self._put_off)
        # Held while state changes, never while rows are read.
        self._lock = threading.Lock()
        self.clear()
        for signal in (post_save, post_delete):
            signal.connect(self._changed, sender=model)

    def clear(self) -> None:
        """Discard the value, as in a new process."""
        self._reader.forget()
        with self._lock:
            self._value: ValueT | None = None
            self._value_began = _NEVER
            # When the last read began or was put off.
            self._tried_at = _NEVER
            # When the last read began whose value may be used: see _is_usable.
            self._succeeded_at = _NEVER
            # Until when the value needs no read, by the settings at the last read.
            self._at_hand_until = _NEVER

    @property
    def last_read(self) -> ValueT | None:
        """The value that was read last, however old, or ``None``."""
        return self._value

    def at_hand(self) -> ValueT | None:
        """Return the value if it is not time to read it again, else ``None``."""
        return self._value if time.monotonic() < self._at_hand_until else None

    def current(self) -> ValueT:
        """Return the value, read again if it is older than its maximum age.

        Raises:
            django.db.Error: it cannot be read, and no former value can be used.
        """
        value = self.at_hand()
        if value is not None:
            return value
        value = self._value
        return self._younger_than(_LEAST_AGE if value is None else self._max_age(value))

    def latest(self) -> ValueT:
        """Return the value, read again if it is older than a second.

        Raises:
            django.db.Error: as :meth:`current`.
        """
        return self._younger_than(_LEAST_AGE)

    def reread(self) -> ValueT | None:
        """Read the value now. Return ``None`` if another thread is reading, or the read takes too long.

        A former value is returned if the read fails.

        Raises:
            django.db.Error: as :meth:`current`.
        """
        return self._value if self._reader.run(due=lambda: True, join=False) else None

    def forget(self) -> None:
        """Read again at the next use."""
        self._reader.forget()
        with self._lock:
            self._tried_at = self._at_hand_until = _NEVER
            if not self._keep_after_change:
                self._succeeded_at = _NEVER

    def _younger_than(self, seconds: float) -> ValueT:
        name = self._model.__name__
        if self._is_due(seconds):
            # While another thread reads, use the current value, unless none was read yet or this process changed it.
            join = _NEVER in (self._tried_at, self._succeeded_at)
            ended = self._reader.run(due=lambda: self._is_due(seconds), join=join)
            if not ended and not self._is_usable():
                raise OperationalError(f"the rows of {name} could not be read within {READ_PATIENCE} seconds")
        value = self._value
        # If a change came during the read, it is due again, but its value is good for this call.
        if value is None or not (self._is_usable() or self._tried_at == _NEVER):
            raise OperationalError(f"the rows of {name} could not be read a moment ago")
        return value

    def _is_usable(self) -> bool:
        return time.monotonic() <= self._usable_until()

    def _usable_until(self) -> float:
        settings = app_settings()
        return self._succeeded_at + max(settings.key_ring_max_stale, settings.key_ring_max_age)

    def _is_due(self, seconds: float) -> bool:
        return time.monotonic() - self._tried_at >= (seconds if self._is_usable() else self._retry_after)

    def _put_off(self) -> None:
        # The next attempt comes with the first request after the usual age, not with every request.
        with self._lock:
            self._count_as_tried(time.monotonic())

    def _count_as_tried(self, at: float) -> None:
        self._tried_at = at
        if self._value is not None:
            self._at_hand_until = min(at + self._max_age(self._value), self._usable_until())

    def _refresh(self, database: str, is_latest: Callable[[], bool]) -> None:
        began = time.monotonic()
        try:
            value = self._read(database)
        except AnyDatabaseError:
            with self._lock:
                if is_latest():
                    self._count_as_tried(time.monotonic())
            if not self._is_usable():
                raise
            logger.exception("The rows of %s could not be read; those read before are used", self._model.__name__)
            return
        with self._lock:
            if began < self._value_began:
                return
            self._value, self._value_began = value, began
            if is_latest():
                self._succeeded_at = began
                self._count_as_tried(began)
            elif self._keep_after_change:
                # A change that came while the rows were read may be missing, so the next read stays due.
                self._succeeded_at = began

    def _changed(self, using: str, **_kwargs: object) -> None:
        self.forget()
        # Another thread may read the old rows before this transaction ends.
        transaction.on_commit(self.forget, using=using)
