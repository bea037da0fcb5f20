r"""Patterns that an administrator can read: ``*`` is any text, also none; everything else is itself; ``\*`` is a star.

A pattern describes a whole text. Matching takes time in proportion to the text, whatever the pattern: each literal
between two stars is looked for from where the one before it ended, once. There is nothing to go back for, since the
leftmost place for a literal leaves the most room for those after it.
"""

from __future__ import annotations

from typing import Final

from .escaping import divided
from .problems import gettext_noop, refuse

LONGEST_PATTERN: Final = 200


class Pattern:
    """A compiled pattern."""

    __slots__ = ("_first", "_last", "_middle", "_shortest")

    def __init__(self, text: object, *, where: str = "transforms") -> None:
        """Compile ``text``.

        Raises:
            UnusableRule: it is no text, empty, too long, or ends in the middle of an escape.
        """
        if not isinstance(text, str) or not text or len(text) > LONGEST_PATTERN:
            raise refuse(
                where, gettext_noop("A pattern is a text of 1 to %(longest)d characters."), longest=LONGEST_PATTERN
            )
        problem = gettext_noop(r"In a pattern a backslash stands before a star or a backslash.")
        self._first, *rest = divided(text, "*", where=where, problem=problem)
        # Without a star the pattern is the text itself.
        self._last = rest.pop() if rest else None
        self._middle = tuple(literal for literal in rest if literal)
        self._shortest = len(self._first) + len(self._last or "")

    @property
    def literals(self) -> int:
        """How many texts a match looks for, at the most."""
        return len(self._middle) + 1 + (self._last is not None)

    @property
    def reads_whole_texts(self) -> bool:
        """Whether a match may read a text from end to end, and not its beginning and its end alone."""
        return bool(self._middle)

    def matches(self, text: str) -> bool:
        """Tell whether the pattern describes the whole of ``text``."""
        if self._last is None:
            return text == self._first
        if len(text) < self._shortest or not text.startswith(self._first) or not text.endswith(self._last):
            return False
        start, end = len(self._first), len(text) - len(self._last)
        for literal in self._middle:
            found = text.find(literal, start, end)
            if found < 0:
                return False
            start = found + len(literal)
        return True
