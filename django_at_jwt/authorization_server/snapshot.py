"""What is made of rows that seldom change: read from the primary database, kept in this process, and never written."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from django.db import Error as AnyDatabaseError
from django.db import router, transaction
from django.db.models.signals import post_delete, post_save

from django_at_jwt.conf import app_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import Model

logger = logging.getLogger("django_at_jwt")

_NEVER: Final = float("-inf")
_LEAST_AGE: Final = 1.0

ValueT = TypeVar("ValueT")


class Snapshot(Generic[ValueT]):
    """A value that is read again when it is older than ``KEY_RING_MAX_AGE``, or after a change in this process.

    If a read fails, the value that was read before goes on being used, for ``KEY_RING_MAX_STALE``.
    """

    def __init__(self, model: type[Model], read: Callable[[str], ValueT]) -> None:
        """Make a snapshot of the rows of ``model``; ``read`` is given the name of the primary database."""
        self._model, self._read = model, read
        self._lock = threading.Lock()
        self._value: ValueT | None = None
        self._read_at = self._succeeded_at = _NEVER
        self._changes = 0
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
        self._changes += 1
        self._read_at = self._succeeded_at = _NEVER

    def _younger_than(self, seconds: float) -> ValueT:
        value = self._value
        if value is not None and time.monotonic() - self._read_at < seconds:
            return value
        # Whoever finds the lock taken goes on with the value that there is: one read at a time is enough.
        if self._lock.acquire(blocking=self._succeeded_at == _NEVER):
            try:
                if time.monotonic() - self._read_at >= seconds:
                    self._refresh()
            finally:
                self._lock.release()
        value = self._value
        assert value is not None  # noqa: S101 - a read that fails with nothing to go on with has raised
        return value

    def _refresh(self) -> None:
        started_at, changes = time.monotonic(), self._changes
        try:
            self._value = self._read(router.db_for_write(self._model))
            if changes == self._changes:
                # A change that came while the rows were read may be missing from them.
                self._succeeded_at = self._read_at = started_at
        except AnyDatabaseError:
            if started_at - self._succeeded_at > app_settings().key_ring_max_stale:
                raise
            logger.exception("The rows of %s could not be read; those read before are used", self._model.__name__)
            self._read_at = started_at

    def _changed(self, using: str, **_kwargs: object) -> None:
        self.forget()
        # Another thread may read the old rows before this transaction ends.
        transaction.on_commit(self.forget, using=using)
