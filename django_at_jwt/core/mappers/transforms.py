"""What is done to a value between its source and its claim.

Each transform of a text does the same to the entries of a list, and leaves out those for which it gives nothing.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence  # singledispatch reads the annotations.
from functools import singledispatch
from typing import Any, Final

from .casting import CASTS
from .patterns import Pattern
from .problems import FailureReason, MapperFailure
from .rules import (
    Cast,
    Default,
    Filter,
    Hash,
    Join,
    Lower,
    Others,
    Pick,
    Place,
    Prefix,
    Rename,
    Split,
    Strip,
    Wrap,
)
from .values import LARGEST_VALUE, is_missing, wrong_type

_MOST_ENTRIES: Final = 10_000
_MOST_TEXT: Final = 16 * LARGEST_VALUE  # Many groups may come in, of which a filter leaves a few.
# In all filters of one mapper together, for the texts between the stars of their patterns: a fifth of a second.
_MOST_SEARCHES: Final = 100_000
_CHARACTERS_PER_SEARCH: Final = 500  # Reading so many takes as long as a search that ends at once.


@singledispatch
def compile_transform(transform: Any) -> Callable[[Any], Any]:
    """Give the function that does to a value what a transform says.

    The function raises :class:`MapperFailure` for a value that it cannot work on, and passes on what counts as none.
    """
    raise TypeError(f"{type(transform).__name__} is no transform")


def _each(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def apply(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [changed for entry in value if (changed := change(entry)) is not None]
        return value if is_missing(value) else change(value)

    return apply


def _each_text(change: Callable[[str], Any]) -> Callable[[Any], Any]:
    def apply(value: Any) -> Any:
        if not isinstance(value, str):
            raise wrong_type(value, "a text; cast it first")
        return change(value)

    return _each(apply)


@compile_transform.register
def _(transform: Prefix) -> Callable[[Any], Any]:
    return _each_text(transform.text.__add__)


@compile_transform.register
def _(transform: Strip) -> Callable[[Any], Any]:
    return _each_text(lambda text: text.removeprefix(transform.prefix).removesuffix(transform.suffix))


@compile_transform.register
def _(transform: Lower) -> Callable[[Any], Any]:  # noqa: ARG001 - its type says all
    return _each_text(str.lower)


@compile_transform.register
def _(transform: Rename) -> Callable[[Any], Any]:
    table = dict(transform.table)
    return _each_text(table.get if transform.others is Others.DROP else lambda text: table.get(text, text))


class _CompiledFilter:
    """A filter, which knows how much it would have to compare."""

    __slots__ = ("_keep_each", "_literals", "_reading")

    def __init__(self, transform: Filter) -> None:
        patterns = [Pattern(text) for text in transform.patterns]

        def keep(text: str) -> str | None:
            return None if any(pattern.matches(text) for pattern in patterns) is transform.drop else text

        self._keep_each = _each_text(keep)
        self._literals = sum(pattern.literals for pattern in patterns)
        self._reading = sum(pattern.reads_whole_texts for pattern in patterns)

    def __call__(self, value: Any) -> Any:
        return self._keep_each(value)

    def searches(self, value: Any) -> int:
        """Return how many searches this value takes at most."""
        entries = value if isinstance(value, (list, tuple)) else [value]
        characters = sum(len(entry) for entry in entries if isinstance(entry, str)) if self._reading else 0
        return len(entries) * self._literals + characters * self._reading // _CHARACTERS_PER_SEARCH


@compile_transform.register
def _(transform: Filter) -> Callable[[Any], Any]:
    return _CompiledFilter(transform)


@compile_transform.register
def _(transform: Hash) -> Callable[[Any], Any]:
    key = transform.key.encode()

    def digest(text: str) -> str:
        try:
            return hmac.digest(key, text.encode(), "sha256").hex()
        except UnicodeEncodeError:
            raise MapperFailure(FailureReason.NOT_JSON, "the text holds half of a surrogate pair") from None

    return _each_text(digest)


@compile_transform.register
def _(transform: Wrap) -> Callable[[Any], Any]:
    return _each(lambda value: {transform.member: value})


@compile_transform.register
def _(transform: Default) -> Callable[[Any], Any]:
    return lambda value: transform.value if is_missing(value) else value


@compile_transform.register
def _(transform: Pick) -> Callable[[Any], Any]:
    place = 0 if transform.which is Place.FIRST else -1

    def pick(value: Any) -> Any:
        if is_missing(value):
            return value
        if not isinstance(value, (list, tuple)):
            raise wrong_type(value, "a list to pick from")
        return value[place]

    return pick


@compile_transform.register
def _(transform: Join) -> Callable[[Any], Any]:
    def join(value: Any) -> Any:
        if is_missing(value):
            return value
        if not isinstance(value, (list, tuple)):
            raise wrong_type(value, "a list to join")
        for entry in value:
            if not isinstance(entry, str):
                raise wrong_type(entry, "a text; cast it first")
        return transform.separator.join(value)

    return join


@compile_transform.register
def _(transform: Split) -> Callable[[Any], Any]:
    def split(value: Any) -> Any:
        if is_missing(value):
            return value
        if not isinstance(value, str):
            raise wrong_type(value, "a text to split")
        return [stripped for entry in value.split(transform.separator) if (stripped := entry.strip())]

    return split


@compile_transform.register
def _(transform: Cast) -> Callable[[Any], Any]:
    return _each(CASTS[transform.to])


def apply_transforms(transforms: Sequence[Callable[[Any], Any]], value: Any) -> Any:
    """Return what the compiled transforms of one mapper make of a value, one after the other.

    Raises:
        MapperFailure: a transform cannot work on what it gets, or the work is too much: for one transform, or for all
            filters together.
    """
    left = _MOST_SEARCHES
    for transform in transforms:
        refuse_immense(value)
        if isinstance(transform, _CompiledFilter):
            left -= transform.searches(value)
            if left < 0:
                raise MapperFailure(
                    FailureReason.TOO_LARGE, "the value has too many entries or too much text for these filter patterns"
                )
        value = transform(value)
    return value


def refuse_immense(value: Any) -> None:
    """Refuse what would take a transform long, or more memory than any claim is worth.

    Raises:
        MapperFailure: a text, or a list or the texts in it together, beyond these bounds.
    """
    if isinstance(value, str):
        immense = len(value) > LARGEST_VALUE
    elif isinstance(value, (list, tuple)):
        immense = len(value) > _MOST_ENTRIES or sum(len(each) for each in value if isinstance(each, str)) > _MOST_TEXT
    else:
        return
    if immense:
        raise MapperFailure(FailureReason.TOO_LARGE, "the value has more text or entries than a mapper works on")
