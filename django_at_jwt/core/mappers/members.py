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
    from collections.abc import Callable, Iterable
    from enum import Enum

_LONGEST_TEXT: Final = 255
_MOST_ENTRIES: Final = 200
_LARGEST_NUMBER: Final = 2**31 - 1  # What an integer column holds in every database.


def text(longest: int, *, at_least: int = 1) -> Callable[[object, str], str]:
    """Give a reader of texts with so many characters."""

    def read(value: object, where: str) -> str:
        if not isinstance(value, str) or not at_least <= len(value) <= longest or not _is_sendable(value):
            raise refuse(
                where,
                gettext_noop("This must be a text of %(shortest)d to %(longest)d characters."),
                shortest=at_least,
                longest=longest,
            )
        return value

    return read


def _is_sendable(value: str) -> bool:
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
    for part in parse_template(value, where=where):
        if isinstance(part, ExistingClaim):
            parse_claim_name(part.claim, where=where)
    return str(value)


def json_value(value: object, where: str) -> Any:
    """Read any JSON value, within the bounds for values."""
    try:
        copied = copy_json(value)
        measure(copied)
    except MapperFailure as failure:
        raise refuse(where, gettext_noop("This is no JSON value: %(reason)s."), reason=failure.detail) from None
    return copied


def constant(value: object, where: str) -> Any:
    """Read a JSON value that is one: neither ``null`` nor an empty text or list, which stand for no value."""
    if is_missing(value):
        raise refuse(where, gettext_noop("A constant needs a value."))
    return json_value(value, where)
