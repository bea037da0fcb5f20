"""What is done to a value between its source and its claim.

Each transform of a text does the same to the entries of a list, and leaves out those for which it gives nothing.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable, Sequence  # singledispatch reads the annotations.
from datetime import date, datetime, time
from decimal import Decimal
from functools import singledispatch
from typing import Any, Final
from uuid import UUID

from .errors import FailureReason, MapperFailure, gettext_noop, refuse
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
    divided,
)
from .values import LARGEST_VALUE, ValueType, is_missing, wrong_type

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


_LONGEST_NUMBER: Final = 40


def _to_string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        return _number_as_text(value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (date, time)):  # A datetime is a date.
        return value.isoformat()
    raise _not_castable(value, ValueType.STRING)


def _number_as_text(value: float | Decimal) -> str:
    if isinstance(value, int):
        if abs(value) >= 10**_LONGEST_NUMBER:
            raise _out_of_range()
        return str(int(value))
    _refuse_what_is_no_number(value)
    return f"{value:f}" if isinstance(value, Decimal) else repr(float(value))


def _refuse_what_is_no_number(value: float | Decimal) -> None:
    """Refuse NaN, infinity, and decimals of a size at which arithmetic with them raises or takes long."""
    is_finite = value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)
    if not is_finite:
        raise MapperFailure(FailureReason.NOT_JSON, "JSON has no NaN and no Infinity")
    if isinstance(value, Decimal) and abs(value.adjusted()) > _LONGEST_NUMBER:
        raise _out_of_range()


def _to_integer(value: Any) -> int:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise MapperFailure(FailureReason.WRONG_TYPE, "a datetime without time zone names no instant")
        return int(value.timestamp())
    if isinstance(value, (float, Decimal)):
        _refuse_what_is_no_number(value)
        if value != int(value):
            raise MapperFailure(FailureReason.WRONG_TYPE, "the number is not whole")
        return int(value)
    if isinstance(value, str):
        digits = value.strip().removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST_NUMBER:
            return int(value)
        raise _not_written_as(ValueType.INTEGER)
    raise _not_castable(value, ValueType.INTEGER)


def _to_number(value: Any) -> int | float:
    if isinstance(value, float):
        return value
    if isinstance(value, Decimal):
        _refuse_what_is_no_number(value)
        return float(value)
    if isinstance(value, str):
        text = value.strip()
        if not text.isascii() or "_" in text or len(text) > _LONGEST_NUMBER:
            raise _not_written_as(ValueType.NUMBER)
        try:
            return float(text)
        except ValueError:
            raise _not_written_as(ValueType.NUMBER) from None
    if isinstance(value, (int, datetime)):
        return _to_integer(value)
    raise _not_castable(value, ValueType.NUMBER)


_WORDS: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def _to_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    # What is longer than the longest word is none; there is no need to fold a megabyte.
    word = str(value).strip().lower() if isinstance(value, str) and len(value) <= _LONGEST_NUMBER else value
    if isinstance(word, str) and word in _WORDS:
        return _WORDS[word]
    if isinstance(value, int) and value in {0, 1}:
        return value == 1
    raise _not_written_as(ValueType.BOOLEAN)


# For each type that a value can be cast to. What cannot be cast is a MapperFailure.
CASTS: Final[dict[ValueType, Callable[[Any], Any]]] = {
    ValueType.STRING: _to_string,
    ValueType.INTEGER: _to_integer,
    ValueType.NUMBER: _to_number,
    ValueType.BOOLEAN: _to_boolean,
}


def _not_castable(value: object, wanted: ValueType) -> MapperFailure:
    return wrong_type(value, f"anything that can be cast to {wanted.value}")


def _not_written_as(wanted: ValueType) -> MapperFailure:
    return MapperFailure(FailureReason.WRONG_TYPE, f"the value is not written as {wanted.value}")


def _out_of_range() -> MapperFailure:
    return MapperFailure(FailureReason.TOO_LARGE, f"the number has more than {_LONGEST_NUMBER} digits")


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
