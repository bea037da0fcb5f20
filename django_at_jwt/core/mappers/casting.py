"""Casting a value to another type of claim: what each type can be made of, and how much of it."""

from __future__ import annotations

import math
from datetime import date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from .problems import FailureReason, MapperFailure
from .values import ValueType, wrong_type

if TYPE_CHECKING:
    from collections.abc import Callable

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
