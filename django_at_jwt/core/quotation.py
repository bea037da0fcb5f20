"""Quoting what somebody else chose or wrote, for a log or a terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_MOST_SHOWN: Final = 100


def quote(value: object) -> str:
    """Give a value that somebody else chose as short text in one line, for a log or a terminal."""
    if value is None:
        return "missing"
    text = ascii(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def single_line(error: Exception) -> str:
    """Give an exception's text in one line, or its type where it has none.

    A database driver's text may have several lines, and so may what somebody typed and is told of.
    """
    return " ".join(str(error).split()) or type(error).__name__


def format_instant(instant: datetime) -> str:
    """Return an aware datetime in UTC for people, such as ``2026-01-01 04:17:00 UTC``."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
