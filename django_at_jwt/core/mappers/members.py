"""Reading single members of a rule's data. Each function takes the value and the name of the part that it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .names import parse_claim_name, refuse_reserved
from .patterns import Pattern
from .problems import MapperFailure, gettext_noop, refuse
from .rules import ExistingClaim
from .templates import parse_template
from .values import copy_json, is_missing, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from enum import Enum

_LONGEST_TEXT: Final = 255
_MOST_ENTRIES: Final = 200
_NOT_STORABLE: Final = gettext_noop("No text in this may hold the character NUL or half of a surrogate pair.")
_LARGEST_NUMBER: Final = 2**31 - 1  # What an integer column holds in every database.


def text(longest: int, *, at_least: int = 1) -> Callable[[object, str], str]:
    """Give a reader of texts with so many characters."""

    def read(value: object, where: str) -> str:
        if not isinstance(value, str) or not at_least <= len(value) <= longest or not is_storable(value):
            raise refuse(
                where,
                gettext_noop("This must be a text of %(shortest)d to %(longest)d characters."),
                shortest=at_least,
                longest=longest,
            )
        return value

    return read


def is_storable(value: str) -> bool:
    """Tell whether databases and UTF-8 can hold a text: no half of a surrogate pair, and no NUL."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


_text: Final = text(_LONGEST_TEXT)


def texts(value: object, where: str) -> tuple[str, ...]:
    """Read a list of texts; repetitions go."""
    if not isinstance(value, (list, tuple)) or len(value) > _MOST_ENTRIES:
        raise refuse(where, gettext_noop("This must be a list of at most %(most)d texts."), most=_MOST_ENTRIES)
    return tuple(dict.fromkeys(_text(each, where) for each in value))


def patterns(value: object, where: str) -> tuple[str, ...]:
    """Read a list of patterns."""
    read = texts(value, where)
    if not read:
        raise refuse(where, gettext_noop("Give at least one pattern, such as “app-*”."))
    for each in read:
        Pattern(each, where=where)
    return read


def table(value: object, where: str) -> tuple[tuple[str, str], ...]:
    """Read an object of texts, as pairs in the order of the alphabet."""
    if not isinstance(value, dict) or not 1 <= len(value) <= _MOST_ENTRIES:
        raise refuse(where, gettext_noop("A table has 1 to %(most)d pairs of texts."), most=_MOST_ENTRIES)
    return tuple(sorted((_text(name, where), _text(renamed, where)) for name, renamed in value.items()))


def flag(value: object, where: str) -> bool:
    """Read a boolean."""
    if value is not True and value is not False:
        raise refuse(where, gettext_noop("This must be true or false."))
    return value


def whole_number(value: object, where: str) -> int:
    """Read an integer that any database can hold."""
    if isinstance(value, bool) or not isinstance(value, int) or not -_LARGEST_NUMBER <= value <= _LARGEST_NUMBER:
        raise refuse(where, gettext_noop("This must be a whole number."))
    return value


def choice(choices: Iterable[Enum]) -> Callable[[object, str], Any]:
    """Give a reader of the values of an enumeration, or of some of its members."""
    by_value = {each.value: each for each in choices}

    def read(value: object, where: str) -> Enum:
        found = by_value.get(value) if isinstance(value, str) else None
        if found is None:
            raise refuse(where, gettext_noop("This must be one of %(choices)s."), choices=", ".join(by_value))
        return found

    return read


def optional(read: Callable[[object, str], Any]) -> Callable[[object, str], Any]:
    """Give a reader that takes ``None`` as well."""
    return lambda value, where: None if value is None else read(value, where)


def claim_name(value: object, where: str) -> str:
    """Read the name of a claim."""
    parse_claim_name(value, where=where)
    return str(value)


def mapped_claim_name(value: object, where: str) -> str:
    """Read the name of a claim that a mapper may set."""
    refuse_reserved(parse_claim_name(value, where=where), where=where)
    return str(value)


def template(value: object, where: str) -> str:
    """Read a template."""
    parts = parse_template(value, where=where)
    if not is_storable(str(value)):
        raise refuse(where, _NOT_STORABLE)
    for part in parts:
        if isinstance(part, ExistingClaim):
            parse_claim_name(part.claim, where=where)
    return str(value)


def json_value(value: object, where: str) -> Any:
    """Read any JSON value, within the bounds for values, that a column for JSON can hold."""
    try:
        copied = copy_json(value)
        measure(copied)
    except MapperFailure as failure:
        raise refuse(where, gettext_noop("This is no JSON value: %(reason)s."), reason=failure.detail) from None
    if not all(is_storable(each) for each in _texts_in(copied)):
        # PostgreSQL has no NUL in any text, although JSON has.
        raise refuse(where, _NOT_STORABLE)
    return copied


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for entry in value.values():
            yield from _texts_in(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _texts_in(entry)


def constant(value: object, where: str) -> Any:
    """Read a JSON value that is one: neither ``null`` nor an empty text or list, which stand for no value."""
    if is_missing(value):
        raise refuse(where, gettext_noop("A constant needs a value."))
    return json_value(value, where)
