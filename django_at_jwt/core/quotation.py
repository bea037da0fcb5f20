"""Quoting what somebody else chose, for a log or a terminal."""

from __future__ import annotations

from typing import Final

_MOST_SHOWN: Final = 100


def shown(value: object) -> str:
    """Give a value that somebody else chose as short text in one line, for a log or a terminal."""
    if value is None:
        return "missing"
    text = ascii(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."
