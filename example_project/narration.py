"""Output of the demonstration, with a count of its checks."""

from __future__ import annotations

import json
import sys
import textwrap
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_WIDTH: Final = 110
_INSTANTS: Final = frozenset({"exp", "iat", "nbf", "auth_time"})


class UnexpectedResult(Exception):
    """A check of the demonstration failed."""


class Narration:
    """Writes to standard output, line by line."""

    def __init__(self) -> None:
        self.chapters = 0
        self.checks = 0

    def chapter(self, title: str) -> None:
        """Begin a numbered chapter."""
        self.chapters += 1
        _write(f"\n{self.chapters}. {title}")

    def say(self, text: str) -> None:
        """Write a paragraph."""
        _write(textwrap.fill(text, _WIDTH, initial_indent="   ", subsequent_indent="   "))

    def check(self, what: str, *, holds: bool, found: object = None) -> None:
        """Write that a check passed, and what was found.

        Raises:
            UnexpectedResult: ``holds`` is false.
        """
        text = what if found is None else f"{what}: {found}"
        if not holds:
            raise UnexpectedResult(text)
        self.checks += 1
        _write(f"   ok  {text}")

    def show(self, title: str, members: Mapping[str, Any]) -> None:
        """Write the members of a header, of claims or of another document, one per line."""
        width = max(map(len, members))
        for number, (name, value) in enumerate(members.items()):
            _write(f"   {'' if number else title:8} {name:{width}}  {_readable(name, value)}")


def _readable(name: str, value: Any) -> str:
    if name in _INSTANTS:
        return f"{value} ({datetime.fromtimestamp(value, tz=UTC):%Y-%m-%d %H:%M:%S} UTC)"
    return value if isinstance(value, str) else json.dumps(value)


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
