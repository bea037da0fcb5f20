"""Reading the values of settings: each function gives a typed value, or says in a ValueError what the value must be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final

from django_at_jwt.core.algorithms import ALGORITHMS
from django_at_jwt.core.resource_servers import is_resource_identifier

# "No more than a few minutes" (RFC 7519 §4.1.4): an expired token is accepted for so long. Two machines that are five
# minutes off, one ahead and one behind, still understand each other.
MOST_LEEWAY_SECONDS: Final = 600
# A hundred years: the instants that follow from it have to be dates.
_LONGEST: Final = timedelta(days=36525)


def read_duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        duration = value
    elif isinstance(value, int) and not isinstance(value, bool):
        # More does not even fit into a timedelta.
        duration = timedelta(seconds=min(max(value, -1), int(_LONGEST.total_seconds()) + 1))
    else:
        raise ValueError("must be a timedelta or a whole number of seconds")
    if duration < timedelta(0):
        raise ValueError("must not be negative")
    if duration > _LONGEST:
        raise ValueError(f"must be {_LONGEST.days} days at the most")
    return duration


def read_optional_duration(value: object) -> timedelta | None:
    return None if value is None else read_duration(value)


def read_seconds(value: object) -> float:
    return read_duration(value).total_seconds()


def read_leeway(value: object) -> float:
    seconds = read_seconds(value)
    if seconds > MOST_LEEWAY_SECONDS:
        raise ValueError(f"must be {MOST_LEEWAY_SECONDS} seconds at the most, which is not {seconds:.0f}")
    return seconds


def read_some_seconds(value: object) -> float:
    seconds = read_seconds(value)
    if not seconds:
        raise ValueError("must be more than 0")
    return seconds


def read_positive(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ValueError("must be a whole number above 0")
    return value


def read_count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("must be a whole number, or 0")
    return value


def read_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be True or False")
    return value


def read_dotted_path(value: object) -> str:
    if not isinstance(value, str) or "." not in value:
        raise ValueError("must be a dotted path, such as 'package.module.name'")
    return value


def read_identifier(value: object) -> str:
    if not isinstance(value, str) or not is_resource_identifier(value):
        raise ValueError("must be an absolute URI without a fragment, such as 'https://api.example.com/'")
    return value


def read_optional_identifier(value: object) -> str | None:
    return None if value is None else read_identifier(value)


def read_optional_dotted_path(value: object) -> str | None:
    return None if value is None else read_dotted_path(value)


def read_several(value: object, read: Callable[[object], str]) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError("must be a list")
    # No generator: Django could not tell that the caller's variables are sensitive.
    return tuple([read(entry) for entry in value])


def read_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("each entry must be a string")
    return value


def read_optional_text(value: object) -> str | None:
    return None if value is None else read_text(value)


def read_texts(value: object) -> tuple[str, ...]:
    return read_several(value, read_text)


def read_algorithms(value: object) -> tuple[str, ...]:
    names = read_several(value, str)
    if not names or not ALGORITHMS.keys() >= {*names} or len({*names}) != len(names):
        raise ValueError(f"must list at least one of {', '.join(ALGORITHMS)}, each once")
    return names
