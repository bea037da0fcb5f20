"""Reading rows without holding a request longer than a stated time, however long the database takes."""

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
    from collections.abc import Callable

    from django.db.models import Model

logger = logging.getLogger("django_at_jwt")

READ_PATIENCE: Final = 2.0
"""Seconds for which a request waits for such a read."""

# Seconds after which a read that hangs no longer keeps others from trying. A connection that was lost without a word
# can hang for hours.
_ABANDONED_AFTER: Final = 60.0


class BoundedRead:
    """One read at a time, in a thread of its own, which goes on when the request no longer waits for it.

    Inside a transaction the read uses the transaction's connection, and so do databases in memory: no other connection
    sees the same rows. Only then is a read as slow as its database.
    """

    def __init__(
        self, model: type[Model], read: Callable[[str, Callable[[], bool]], None], put_off: Callable[[], None]
    ) -> None:
        """Make a reader of the rows of ``model``.

        Args:
            read: reads and keeps the rows. It gets the name of the primary database, and a function that returns
                whether the read is still the latest: not after :meth:`forget` or when it was given up as hanging.
            put_off: lets the rows count as read just now, since a read takes too long.
        """
        self._model, self._read, self._put_off = model, read, put_off
        self._lock = threading.Lock()
        self._latest: _Read | None = None

    def run(self, *, due: Callable[[], bool], join: bool) -> bool:
        """Read, unless a read is under way already, and wait for at most ``READ_PATIENCE``.

        Args:
            due: whether a read is needed, asked again when no other thread can begin one.
            join: wait for another thread's read too, for what is left of its time.

        Returns:
            Whether the read ended. It was not waited for if another thread began it and ``join`` is false.

        Raises:
            Exception: what ``read`` raised.
        """
        database = router.db_for_write(self._model)
        inline = _is_bound_to_its_connection(database)
        with self._lock:
            read = self._latest
            begins = read is None or read.is_over()
            if read is None or begins:
                if not due():
                    return True
                read = self._latest = _Read(self, database, inline=inline)
                if not inline:
                    read.thread.start()
        if begins and inline:
            read.work()
        remaining = max(0.0, read.began + READ_PATIENCE - time.monotonic())
        if (begins or join) and read.done.wait(remaining):
            if read.error is not None:
                raise read.error
            return True
        if begins:
            name = self._model.__name__
            logger.error("Reading the rows of %s takes longer than %s s and goes on apart", name, READ_PATIENCE)
        if begins or not remaining:
            with self._lock:
                if read is self._latest and not read.done.is_set():
                    self._put_off()
        return False

    def forget(self) -> None:
        """Begin a new read at the next use, even if one is under way: it may have read the rows as they were before."""
        with self._lock:
            self._latest = None


class _Read:
    """One read: its thread, and what it ended with."""

    def __init__(self, reader: BoundedRead, database: str, *, inline: bool) -> None:
        self._reader, self._database, self._inline = reader, database, inline
        self.began: Final = time.monotonic()
        self.done: Final = threading.Event()
        self.error: Exception | None = None
        # A daemon, so that a read that hangs does not keep the process from ending.
        self.thread = threading.Thread(target=self._work_apart, name="django-at-jwt-read", daemon=True)

    def is_over(self) -> bool:
        """Return whether the next read can begin. In a process forked meanwhile, the thread no longer runs."""
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

    def _work_apart(self) -> None:
        try:
            self.work()
        finally:
            connections.close_all()

    def _is_latest(self) -> bool:
        return self._reader._latest is self


def _is_bound_to_its_connection(database: str) -> bool:
    connection = connections[database]
    in_memory = getattr(connection, "is_in_memory_db", None)
    return connection.in_atomic_block or (in_memory is not None and in_memory())


_NEVER: Final = float("-inf")
_LEAST_AGE: Final = 1.0

ValueT = TypeVar("ValueT")


class RowCache(Generic[ValueT]):
    """A value that is read again when it is older than ``KEY_RING_MAX_AGE``, or after a change in this process.

    If a read fails or hangs, the value that was read before is used for ``KEY_RING_MAX_STALE``. No request waits longer
    than :data:`~.bounded_read.READ_PATIENCE` for a read.
    """

    def __init__(self, model: type[Model], read: Callable[[str], ValueT]) -> None:
        """Make a snapshot of the rows of ``model``; ``read`` is given the name of the primary database."""
        self._model, self._read = model, read
        self._reader = BoundedRead(model, self._refresh, self._put_off)
        self._value: ValueT | None = None
        self._read_at = self._succeeded_at = self._value_began = _NEVER
        for signal in (post_save, post_delete):
            signal.connect(self._changed, sender=model)

    def current(self) -> ValueT:
        """Give the value as it is now.

        Raises:
            django.db.Error: it cannot be read, and was not for ``KEY_RING_MAX_STALE`` or ever.
        """
        return self._younger_than(app_settings().key_ring_max_age)

    def latest(self) -> ValueT:
        """Give a value that is no older than a second, for whoever misses something in the current one.

        Raises:
            django.db.Error: as :meth:`current`.
        """
        return self._younger_than(_LEAST_AGE)

    def forget(self) -> None:
        """Read again at the next use."""
        self._reader.forget()
        self._read_at = self._succeeded_at = _NEVER

    def _younger_than(self, seconds: float) -> ValueT:
        value = self._value
        if value is not None and time.monotonic() - self._read_at < seconds:
            return value
        # If another thread is reading, use the current value, unless there is none yet or it was changed here.
        ended = self._reader.run(
            due=lambda: time.monotonic() - self._read_at >= seconds, join=self._succeeded_at == _NEVER
        )
        value = self._value
        if not ended:
            too_old_at = self._succeeded_at + app_settings().key_ring_max_stale
            if value is None or time.monotonic() > too_old_at:
                raise OperationalError(
                    f"the rows of {self._model.__name__} could not be read within {READ_PATIENCE} seconds"
                )
        assert value is not None  # noqa: S101 - a read that fails with nothing to go on with has raised
        return value

    def _put_off(self) -> None:
        # The next attempt comes with the next request after the usual age, not with each one. After a change here, the
        # value from before must not be used meanwhile.
        if self._succeeded_at != _NEVER:
            self._read_at = time.monotonic()

    def _refresh(self, database: str, is_latest: Callable[[], bool]) -> None:
        began = time.monotonic()
        try:
            value = self._read(database)
        except AnyDatabaseError:
            if began - self._succeeded_at > app_settings().key_ring_max_stale:
                raise
            logger.exception("The rows of %s could not be read; those read before are used", self._model.__name__)
            if is_latest():
                self._put_off()
            return
        if began >= self._value_began:
            self._value, self._value_began = value, began
        if is_latest():
            # Otherwise a change that came while the rows were read may be missing, so they are read again.
            self._succeeded_at = self._read_at = began

    def _changed(self, using: str, **_kwargs: object) -> None:
        self.forget()
        # Another thread may read the old rows before this transaction ends.
        transaction.on_commit(self.forget, using=using)
