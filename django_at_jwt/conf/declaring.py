"""Settings as fields of a dataclass: each with its default, and the function that reads what the site wrote."""

from __future__ import annotations

import difflib
from dataclasses import Field, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# What a setting's value is looked at by: ``read`` refuses that with which nothing works, ``examine`` all that is wrong.
Reader = Literal["read", "examine"]


def setting(
    default: Any, read: Callable[[object], Any], *, examine: Callable[[object], Any] | None = None, **options: Any
) -> Any:
    """Declare a setting.

    Args:
        read: makes the typed value of what the site wrote, or raises a ValueError; then nothing works.
        examine: raises the ValueError in its place, for ``manage.py check``, where ``read`` lets pass what only some of
            the work needs.
    """
    return field(default=default, metadata={"read": read, "examine": examine or read}, **options)


def problems_among(
    values: Mapping[Any, object],
    known: Mapping[str, Field[Any]],
    where: str,
    *,
    by: Reader = "examine",
    unknown: str = "is no setting of this app",
) -> list[tuple[str, str]]:
    """Return what is wrong with some values: pairs of a setting's name and a sentence.

    ``by`` is ``"read"`` for that alone with which nothing works. ``unknown`` is said of a name that is not known.
    """
    problems = []
    for name, value in values.items():
        if name not in known:
            nearest = difflib.get_close_matches(str(name), known, n=1)
            meant = f"{nearest[0]!r} is the nearest" if nearest else f"there are {', '.join(sorted(known))}"
            problems.append((f"{where}[{name!r}]", f"{unknown}; {meant}"))
            continue
        try:
            known[name].metadata[by](value)
        except ValueError as error:
            problems.append((f"{where}[{name!r}]", str(error)))
    return problems
