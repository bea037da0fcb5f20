"""Texts that a special character divides, where a backslash before it makes it an ordinary one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .problems import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence


def divided(text: str, at: str, *, where: str, problem: str) -> Sequence[str]:
    r"""Divide a text at each ``at`` that has no backslash before it, and take the backslashes away.

    Args:
        at: one character. Only it and the backslash may have a backslash before them.
        where, problem: what to refuse any other text with, as for :func:`~.problems.refuse`.

    Raises:
        UnusableRule: a backslash stands before another character, or at the end.
    """
    parts, letters, escaped = [], [], False
    for letter in text:
        if escaped:
            if letter not in (at, "\\"):
                raise refuse(where, problem)
            letters.append(letter)
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == at:
            parts.append("".join(letters))
            letters = []
        else:
            letters.append(letter)
    if escaped:
        raise refuse(where, problem)
    return [*parts, "".join(letters)]
