"""Transforms of values between source and claim.

A transform of a text applies to each entry of a list, and omits the entries for which it returns ``None``.
"""

from __future__ import annotations

import hmac
import math
from datetime import date, datetime, time
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django_at_jwt.core.quotation import gettext_noop

from .errors import FailureReason, MapperFailure, refuse
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
    split_escaped,
)
from .values import LARGEST_VALUE, ValueType, is_missing, wrong_type

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONGEST_PATTERN: Final = 200


class Pattern:
    """A compiled pattern; a star matches any text."""

    __slots__ = ("_first", "_last", "_middle", "_shortest")

    def __init__(self, text: object, *, where: str = "transforms") -> None:
        """Compile ``text``.

        Raises:
            UnusableRule: it is not a text, empty, too long, or has an invalid escape.
        """
        if not isinstance(text, str) or not text or len(text) > LONGEST_PATTERN:
            raise refuse(
                where, gettext_noop("A pattern must be a text of 1 to %(longest)d characters."), longest=LONGEST_PATTERN
            )
        problem = gettext_noop(r"In a pattern, a backslash must be followed by a star or a backslash.")
        self._first, *rest = split_escaped(text, "*", where=where, problem=problem)
        # Without a star, only the text itself matches.
        self._last = rest.pop() if rest else None
        self._middle = tuple(literal for literal in rest if literal)
        self._shortest = len(self._first) + len(self._last or "")

    @property
    def literals(self) -> int:
        """The maximum number of literals that a match searches for."""
        return len(self._middle) + 1 + (self._last is not None)

    @property
    def reads_whole_texts(self) -> bool:
        """Whether a match may read the whole text and not only its beginning and end."""
        return bool(self._middle)

    def matches(self, text: str) -> bool:
        """Return whether the pattern matches the whole of ``text``."""
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
    if isinstance(value, (date, time)):  # datetime is a subclass of date.
        return value.isoformat()
    raise _not_castable(value, ValueType.STRING)


def _number_as_text(value: float | Decimal) -> str:
    if isinstance(value, int):
        if abs(value) >= 10**_LONGEST_NUMBER:
            raise _out_of_range()
        return str(int(value))
    _check_finite(value)
    return f"{value:f}" if isinstance(value, Decimal) else repr(float(value))


def _check_finite(value: float | Decimal) -> None:
    """Check that a number is finite, and that a decimal is small enough for arithmetic not to raise or be slow.

    Raises:
        MapperFailure: it is not.
    """
    is_finite = value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)
    if not is_finite:
        raise MapperFailure(FailureReason.NOT_JSON, "JSON does not support NaN and Infinity")
    if isinstance(value, Decimal) and abs(value.adjusted()) > _LONGEST_NUMBER:
        raise _out_of_range()


def _to_integer(value: Any) -> int:
    if isinstance(value, int):
        return int(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise MapperFailure(FailureReason.WRONG_TYPE, "the datetime has no time zone")
        return int(value.timestamp())
    if isinstance(value, (float, Decimal)):
        _check_finite(value)
        if value != int(value):
            raise MapperFailure(FailureReason.WRONG_TYPE, "the number is not an integer")
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
        _check_finite(value)
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
    # Don't lower a megabyte of text: no word is that long.
    word = str(value).strip().lower() if isinstance(value, str) and len(value) <= _LONGEST_NUMBER else value
    if isinstance(word, str) and word in _WORDS:
        return _WORDS[word]
    if isinstance(value, int) and value in {0, 1}:
        return value == 1
    raise _not_written_as(ValueType.BOOLEAN)


# By target type. The functions raise MapperFailure if a value cannot be cast.
CASTS: Final[dict[ValueType, Callable[[Any], Any]]] = {
    ValueType.STRING: _to_string,
    ValueType.INTEGER: _to_integer,
    ValueType.NUMBER: _to_number,
    ValueType.BOOLEAN: _to_boolean,
}


def _not_castable(value: object, wanted: ValueType) -> MapperFailure:
    return wrong_type(value, f"a type that can be cast to {wanted.value}")


def _not_written_as(wanted: ValueType) -> MapperFailure:
    return MapperFailure(FailureReason.WRONG_TYPE, f"the text cannot be parsed as {wanted.value}")


def _out_of_range() -> MapperFailure:
    return MapperFailure(FailureReason.TOO_LARGE, f"the number has more than {_LONGEST_NUMBER} digits")


_MOST_ENTRIES: Final = 10_000
_MOST_TEXT: Final = 16 * LARGEST_VALUE  # A filter may reduce many groups to a few.
# The maximum number of searches for literals in all filters of one mapper together: a fifth of a second.
_MOST_SEARCHES: Final = 100_000
_CHARACTERS_PER_SEARCH: Final = 500  # Scanning this many characters takes as long as starting a search.


def compile_transform(transform: Any) -> Callable[[Any], Any]:  # noqa: C901, PLR0911 - one for each kind of transform
    """Return the function that applies a transform to a value.

    The function raises :class:`MapperFailure` for a value that it does not support, and returns missing values
    unchanged.

    Raises:
        TypeError: this is not a transform.
    """
    match transform:
        case Cast(to=to):
            return _each(CASTS[to])
        case Join(separator=separator):
            return _present(lambda value: separator.join(_listed_texts(value)))
        case Split(separator=separator):
            return _present(lambda value: _split(value, separator))
        case Pick(which=which):
            return _present(lambda value: _pick(value, which))
        case Filter():
            return _CompiledFilter(transform)
        case Prefix(text=prefix):
            return _each_text(prefix.__add__)
        case Strip(prefix=prefix, suffix=suffix):
            return _each_text(lambda text: text.removeprefix(prefix).removesuffix(suffix))
        case Rename(table=pairs, others=others):
            table = dict(pairs)
            return _each_text(table.get if others is Others.DROP else lambda text: table.get(text, text))
        case Lower():
            return _each_text(str.lower)
        case Default(value=default):
            return lambda value: default if is_missing(value) else value
        case Hash(key=key):
            return _each_text(partial(_hash, key.encode()))
        case Wrap(member=member):
            return _each(lambda value: {member: value})
    raise TypeError(f"{type(transform).__name__} is not a transform")


def _present(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: value if is_missing(value) else change(value)


def _each(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def apply(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [changed for entry in value if (changed := change(entry)) is not None]
        return value if is_missing(value) else change(value)

    return apply


def _each_text(change: Callable[[str], Any]) -> Callable[[Any], Any]:
    return _each(lambda value: change(_text(value)))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise wrong_type(value, "a text; cast it first")
    return value


def _listed_texts(value: Any) -> list[str]:
    if not isinstance(value, (list, tuple)):
        raise wrong_type(value, "a list to join")
    return [_text(entry) for entry in value]


def _split(value: Any, separator: str) -> list[str]:
    if not isinstance(value, str):
        raise wrong_type(value, "a text to split")
    return [stripped for entry in value.split(separator) if (stripped := entry.strip())]


def _pick(value: Any, which: Place) -> Any:
    if not isinstance(value, (list, tuple)):
        raise wrong_type(value, "a list to pick from")
    return value[0 if which is Place.FIRST else -1]


def _hash(key: bytes, text: str) -> str:
    try:
        return hmac.digest(key, text.encode(), "sha256").hex()
    except UnicodeEncodeError:
        raise MapperFailure(FailureReason.NOT_JSON, "the text contains a lone surrogate") from None


class _CompiledFilter:
    """A filter that can estimate its cost."""

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
        """Return the maximum number of searches for this value."""
        entries = value if isinstance(value, (list, tuple)) else [value]
        characters = sum(len(entry) for entry in entries if isinstance(entry, str)) if self._reading else 0
        return len(entries) * self._literals + characters * self._reading // _CHARACTERS_PER_SEARCH


def apply_transforms(transforms: Sequence[Callable[[Any], Any]], value: Any) -> Any:
    """Return a value after the compiled transforms of one mapper.

    Raises:
        MapperFailure: a transform does not support its input, or the work is too much for one transform or for all
            filters together.
    """
    left = _MOST_SEARCHES
    for transform in transforms:
        check_size(value)
        if isinstance(transform, _CompiledFilter):
            left -= transform.searches(value)
            if left < 0:
                raise MapperFailure(
                    FailureReason.TOO_LARGE, "the value has too many entries or too much text for these filter patterns"
                )
        value = transform(value)
    return value


def check_size(value: Any) -> None:
    """Check that a text or a list is not too large for transforms.

    Raises:
        MapperFailure: the text is too long, or the list has too many entries or too much text.
    """
    if isinstance(value, str):
        too_large = len(value) > LARGEST_VALUE
    elif isinstance(value, (list, tuple)):
        too_large = len(value) > _MOST_ENTRIES or sum(len(each) for each in value if isinstance(each, str)) > _MOST_TEXT
    else:
        return
    if too_large:
        raise MapperFailure(FailureReason.TOO_LARGE, "the value has too many entries or too much text for transforms")
