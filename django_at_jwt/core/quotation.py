"""Texts for messages: translatable ones, untrusted values, instants, suggestions; and which texts can be stored."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta

_MOST_SHOWN: Final = 100
_UNITS: Final = ((3600, "hour"), (60, "minute"), (1, "second"))


def gettext_noop(text: str) -> str:
    """Mark a text for translation by the page that displays it. ``makemessages`` looks for this name."""
    return text


@dataclass(frozen=True, slots=True)
class Message:
    """A text to be translated and formatted with ``parameters``; ``str()`` returns it in English."""

    text: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text % self.parameters


def sentence(text: str) -> str:
    """Return a text with a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}."


def quote(value: object) -> str:
    """Return an untrusted value as short ASCII text on one line; ``None`` is ``missing``."""
    if value is None:
        return "missing"
    text = ascii(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def printable(text: str) -> str:
    """Return a text for a terminal, with escapes in place of unprintable characters other than line feeds."""
    return "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)


def single_line(error: Exception) -> str:
    """Return an exception's message on one line, or its type if it has no message.

    Messages of database drivers, and those that quote input, may have several lines.
    """
    return " ".join(str(error).split()) or type(error).__name__


def format_instant(instant: datetime) -> str:
    """Return an aware datetime in UTC for people, such as ``2026-01-01 04:17:00 UTC``."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def format_end(instant: datetime | None) -> str:
    """Return an instant in UTC for people; ``None`` means without end."""
    return format_instant(instant) if instant else "further notice"


def format_duration(duration: timedelta) -> str:
    """Return a duration for people, in hours, minutes or seconds, such as ``36 hours`` or ``90 minutes``."""
    seconds = int(duration.total_seconds())
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    number = seconds // size
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def iso(instant: datetime | None) -> str | None:
    """Return an instant for programs."""
    return instant.isoformat() if instant else None


def nearest_names(name: object, known: Iterable[str]) -> list[str]:
    """Return the known name that is nearest to an unknown one, or, if none is near, all of them."""
    names = sorted(known)
    return difflib.get_close_matches(str(name), names, n=1) or names


def storable(text: str) -> str:
    """Return a text that every database can store, with question marks for what :func:`is_storable` refuses."""
    return text.encode(errors="replace").decode().replace("\x00", "?")


def is_storable(text: str) -> bool:
    """Return whether every database can store a text: no NUL character and no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text
