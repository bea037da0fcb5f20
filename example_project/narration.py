"""How the demonstration tells what it does, and counts what it checked."""

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
    """Something was not as it has to be."""


class Narration:
    """Writes to standard output, a line at a time."""

    def __init__(self) -> None:
        self.chapters = 0
        self.checks = 0

    def chapter(self, title: str) -> None:
        """Begin a numbered chapter."""
        self.chapters += 1
        _write(f"\n{self.chapters}. {title}")

    def say(self, text: str) -> None:
        """Say something in plain words."""
        _write(textwrap.fill(text, _WIDTH, initial_indent="   ", subsequent_indent="   "))

    def check(self, what: str, *, holds: bool, found: object = None) -> None:
        """Say that something is as it has to be, with what was found.

        Raises:
            UnexpectedResult: it is not.
        """
        said = what if found is None else f"{what}: {found}"
        if not holds:
            raise UnexpectedResult(said)
        self.checks += 1
        _write(f"   ok  {said}")

    def show(self, title: str, members: Mapping[str, Any]) -> None:
        """Show the members of a header, of claims or of another document, one to a line."""
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
