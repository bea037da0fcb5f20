"""What is made of rows that seldom change: read from the primary database, kept in this process, and never written."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from django.db import Error as AnyDatabaseError
from django.db import OperationalError, transaction
from django.db.models.signals import post_delete, post_save

from django_at_jwt.conf import app_settings

from .bounded_read import READ_PATIENCE, BoundedRead

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.db.models import Model

logger = logging.getLogger("django_at_jwt")

_NEVER: Final = float("-inf")
_LEAST_AGE: Final = 1.0

ValueT = TypeVar("ValueT")


class Snapshot(Generic[ValueT]):
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
