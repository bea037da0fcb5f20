"""Values of claims: checking their types, copying them as plain JSON, and measuring their size."""

from __future__ import annotations

import math
from enum import StrEnum
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.core.profile import encode_json

from .errors import FailureReason, MapperFailure

if TYPE_CHECKING:
    from collections.abc import Callable

LARGEST_VALUE: Final = 64 * 1024
"""The maximum number of characters and entries of a value in total, independent of the limits of a token."""
DEEPEST_VALUE: Final = 16
LARGEST_INTEGER: Final = 2**53 - 1
"""Larger integers lose precision in JSON parsers that use doubles (RFC 7493 section 2.2)."""


class ValueType(StrEnum):
    """The type that a mapper declares for its claim."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    STRINGS = "strings"
    INTEGERS = "integers"
    NUMBERS = "numbers"
    BOOLEANS = "booleans"
    OBJECT = "object"
    OBJECTS = "objects"


_SINGULAR: Final = {
    ValueType.STRINGS: ValueType.STRING,
    ValueType.INTEGERS: ValueType.INTEGER,
    ValueType.NUMBERS: ValueType.NUMBER,
    ValueType.BOOLEANS: ValueType.BOOLEAN,
    ValueType.OBJECTS: ValueType.OBJECT,
}
SCALAR_TYPES: Final = (ValueType.STRING, ValueType.INTEGER, ValueType.NUMBER, ValueType.BOOLEAN)
SINGLE_TYPES: Final = (*SCALAR_TYPES, ValueType.OBJECT)


def is_missing(value: object) -> bool:
    """Return whether a value counts as missing: ``None``, an empty string or an empty list."""
    return value is None or value == "" or (isinstance(value, (list, tuple)) and not value)


def fitting(value_type: ValueType) -> Callable[[Any], Any]:
    """Return the function that copies a value of this type as plain JSON.

    The function raises :class:`MapperFailure` for any other value. It never converts: a datetime is not a string. The
    copy shares no mutable object with its argument.

    Not checked: lone surrogates; see :func:`measure`.
    """
    singular = _SINGULAR.get(value_type)
    if singular is None:
        return _FITS[value_type]
    entry_fits = _FITS[singular]

    def fit_list(value: Any) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise wrong_type(value, f"a list of {value_type.value}")
        if len(value) > LARGEST_VALUE:
            raise _too_large()
        return [entry_fits(entry) for entry in value]

    return fit_list


def wrong_type(value: object, wanted: str) -> MapperFailure:
    """Return the failure for a value of the wrong type. It names only the type."""
    return MapperFailure(FailureReason.WRONG_TYPE, f"the value is of type {type(value).__name__}, not {wanted}")


def _too_large() -> MapperFailure:
    return MapperFailure(FailureReason.TOO_LARGE, f"the value has more than {LARGEST_VALUE} characters or entries")


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise wrong_type(value, "a string")
    if len(value) > LARGEST_VALUE:
        raise _too_large()
    # Convert subclasses such as Django's SafeString or members of TextChoices to plain strings.
    return value if type(value) is str else str.__str__(value)


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(value, "an integer")
    if not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
        raise MapperFailure(FailureReason.NOT_JSON, "the integer is larger than 2^53 - 1; send it as a string")
    return int.__int__(value)


def _number(value: Any) -> int | float:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise MapperFailure(FailureReason.NOT_JSON, "JSON does not support NaN and Infinity")
        return float.__float__(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(value, "a number")
    return _integer(value)


def _boolean(value: Any) -> bool:
    if value is not True and value is not False:
        raise wrong_type(value, "a boolean")
    return bool(value)


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong_type(value, "a JSON object")
    copied: dict[str, Any] = _Copier().copy(value, DEEPEST_VALUE)
    return copied


class _Copier:
    """Copies nested values up to a size limit, which also stops cycles and entries shared a million times."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = LARGEST_VALUE

    def _spend(self, cost: int) -> None:
        self._left -= cost
        if self._left < 0:
            raise _too_large()

    def copy(self, value: Any, depth: int) -> Any:
        self._spend(1)
        if isinstance(value, str):
            self._spend(len(value))
            return _string(value)
        if value is None or value is True or value is False:
            return value
        if isinstance(value, (int, float)):
            return _number(value)
        if not depth:
            raise MapperFailure(FailureReason.TOO_LARGE, f"the value is nested more than {DEEPEST_VALUE} deep")
        if isinstance(value, dict):
            # The size is counted before copying, so the copy never exceeds the limit.
            return {self.key(name): self.copy(entry, depth - 1) for name, entry in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.copy(entry, depth - 1) for entry in value]
        raise wrong_type(value, "a JSON type")

    def key(self, name: Any) -> str:
        if not isinstance(name, str):
            raise MapperFailure(
                FailureReason.NOT_JSON, f"the name of a member is of type {type(name).__name__}, not a string"
            )
        self._spend(len(name))
        return _string(name)


_FITS: Final[dict[ValueType, Callable[[Any], Any]]] = {
    ValueType.STRING: _string,
    ValueType.INTEGER: _integer,
    ValueType.NUMBER: _number,
    ValueType.BOOLEAN: _boolean,
    ValueType.OBJECT: _object,
}


def copy_json(value: object) -> Any:
    """Copy any JSON value within the same limits; raises as the function that :func:`fitting` returns."""
    return _Copier().copy(value, DEEPEST_VALUE)


def measure(value: Any) -> int:
    """Return the number of bytes that a value takes in a token's JSON.

    Raises:
        MapperFailure: a text cannot be encoded as UTF-8.
    """
    try:
        # Most claims are strings, for which this function takes half the time.
        return len(encode_basestring(value).encode()) if type(value) is str else len(encode_json(value))
    except UnicodeEncodeError:
        raise MapperFailure(FailureReason.NOT_JSON, "the text contains a lone surrogate") from None
