"""Emit an event: one log record, and one signal."""

from __future__ import annotations

import logging
from dataclasses import fields
from datetime import datetime
from enum import Enum
from typing import Any, ClassVar, Final

from django.dispatch import Signal

event_emitted: Final = Signal(use_caching=True)
"""Sent for each event. The sender is the event's class, ``event`` the event. Receivers' exceptions are only logged.

Connect a receiver with ``sender=AccessTokenIssued`` for one kind of event, or without a sender for all. Receivers run
in the thread of the request: they should be quick.
"""


class Event:
    """The base of all events, which are frozen dataclasses.

    Attributes:
        name: the stable name, such as ``token.issued``. The logger is ``django_at_jwt.`` and its first part.
        message: the text of the log record, with the fields as ``%(field)s``.
        level: the level of the log record. Some events set it by their fields.
    """

    __slots__ = ()
    name: ClassVar[str]
    message: ClassVar[str]
    usual_level: ClassVar[int] = logging.INFO

    @property
    def level(self) -> int:
        """The level of the log record."""
        return self.usual_level

    @property
    def text(self) -> str:
        """The text of the log record, with the fields as ``%(field)s``: usually ``message``."""
        return self.message

    @classmethod
    def logger_name(cls) -> str:
        """Return the name of the logger."""
        return f"django_at_jwt.{cls.name.partition('.')[0]}"

    def fields(self) -> dict[str, Any]:
        """Return the fields by name, as values that JSON has. A datetime is a text in ISO 8601."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}  # type: ignore[arg-type]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    return list(value) if isinstance(value, tuple) else value


def emit(event: Event, *, traceback: bool = False) -> None:
    """Log an event, and send its signal.

    The log record has the attribute ``event``, which is the event's name, and one for each field.

    Args:
        traceback: add the traceback of the current exception to the log record.
    """
    logger = logging.getLogger(event.logger_name())
    if logger.isEnabledFor(event.level):
        values = event.fields()
        extra = {"event": event.name, **values}
        logger.log(event.level, event.text, values, extra=extra, exc_info=traceback, stacklevel=2)
    event_emitted.send_robust(sender=type(event), event=event)
