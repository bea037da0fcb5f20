"""Reading the values of settings that have a form of their own, as :mod:`.values` does."""

from __future__ import annotations

import base64
import binascii
import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import urlsplit

from django.views.decorators.debug import sensitive_variables

from django_at_jwt.core.claims import MapperRule, Oversize, UnusableRule, parse_rule
from django_at_jwt.core.claims.schema import LONGEST_HASH_KEY, SHORTEST_HASH_KEY
from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.metadata import RESOURCE_DESCRIPTION
from django_at_jwt.core.resource_servers import is_resource_identifier
from django_at_jwt.core.subjects import UserMode

if TYPE_CHECKING:
    from collections.abc import Callable

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


KEY_ENCRYPTION_KEY_BYTES: Final = 32


def read_methods_by_name(value: object) -> Mapping[str, tuple[str, ...]] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError("must be a dict of lists")
    read: dict[str, tuple[str, ...]] = {}
    for name, methods in value.items():
        try:
            read[read_text(name)] = read_texts(methods)
        except ValueError as error:
            raise ValueError(f"must be a dict of lists of strings; at {name!r}: {error}") from None
        if not name or not all(read[name]):
            raise ValueError("must not have an empty string")
    return read


def read_methods_or_dotted_path(value: object) -> Mapping[str, tuple[str, ...]] | str | None:
    return read_dotted_path(value) if isinstance(value, str) else read_methods_by_name(value)


def read_local_user_mode(value: object) -> UserMode:
    # A user of the local issuer who is not there was deleted, and must not come back.
    if value not in (UserMode.LOCAL, UserMode.STATELESS):
        raise ValueError("must be 'local' or 'stateless': the users of the local issuer are this site's own")
    return UserMode(str(value))


def read_protected_resources(value: object) -> Mapping[str, Mapping[str, Any]] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError("must be a dict from identifiers to dicts")
    return {read_described(resource): read_description(said) for resource, said in value.items()}


def read_described(resource: object) -> str:
    try:
        return read_identifier(resource)
    except ValueError as error:
        raise ValueError(f"each key {error}") from None


def read_description(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not value.keys() <= RESOURCE_DESCRIPTION:
        raise ValueError(f"each entry must be a dict with some of {', '.join(sorted(RESOURCE_DESCRIPTION))}")
    scopes = list(read_texts(value.get("scopes_supported", ())))
    described = {name: read_text(said) for name, said in value.items() if name != "scopes_supported"}
    return {**described, "scopes_supported": scopes}


def read_mappers(value: object) -> tuple[MapperRule, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError("must be a list of claim mappers")
    rules = []
    for place, data in enumerate(value):
        name = data.get("name", place) if isinstance(data, Mapping) else place
        try:
            rules.append(parse_rule(data))
        except UnusableRule as error:
            raise ValueError(f"has a mapper, {name!r}, that cannot be used: {error}") from None
    if len({rule.key for rule in rules}) != len(rules):
        raise ValueError("has two mappers of one name")
    return tuple(rules)


def read_hash_keys(value: object) -> tuple[tuple[str, str], ...]:
    # No key is repeated in what is said of it: it may be the right one with a slip in it.
    if not isinstance(value, Mapping) or not all(isinstance(name, str) and name for name in value):
        raise ValueError("must be a dict of keys by their names")
    for name, key in value.items():
        if not isinstance(key, str) or not SHORTEST_HASH_KEY <= len(key) <= LONGEST_HASH_KEY:
            raise ValueError(
                f"must have texts of {SHORTEST_HASH_KEY} to {LONGEST_HASH_KEY} characters; {name!r} is none"
            )
    return tuple(value.items())


def read_oversize(value: object) -> str:
    values = [each.value for each in Oversize]
    if not isinstance(value, str) or value not in values:
        raise ValueError(f"must be one of {', '.join(map(repr, values))}")
    return value


_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")


@sensitive_variables()
def read_key_bytes(value: object) -> str | None:
    """Give a key of 32 bytes as base64url without padding, or ``None`` if it is none."""
    text = str(value).rstrip("=")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if _BASE64URL.fullmatch(text) else b""
    except (ValueError, binascii.Error):
        raw = b""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode() if len(raw) == KEY_ENCRYPTION_KEY_BYTES else None


_MAKE_A_KEY: Final = (
    'python -c "import base64, secrets; print(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())"'
)


@sensitive_variables()
def read_key_encryption_key(value: object) -> str:
    # The text of a wrong key is not repeated: it may be the right one with a slip in it.
    key = read_key_bytes(value)
    if key is None:
        raise ValueError(f"must list keys of 32 bytes in base64url, newest first; make one with: {_MAKE_A_KEY}")
    return key


@sensitive_variables()
def read_key_encryption_keys(value: object) -> tuple[str, ...]:
    return read_several(value, read_key_encryption_key)


@sensitive_variables()
def read_key_encryption_keys_if_usable(value: object) -> tuple[str, ...] | None:
    """Give the keys, or ``None`` where one of them is none: whoever does not open private keys goes on."""
    try:
        return read_key_encryption_keys(value)
    except ValueError:
        return None


@sensitive_variables()
def read_optional_key(value: object) -> str | None:
    key = None if value is None else read_key_bytes(value)
    if value is not None and key is None:
        raise ValueError(f"must be a key of 32 bytes in base64url; make one with: {_MAKE_A_KEY}")
    return key


_FIELD_OR_PATH: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def read_field_or_path(value: object) -> str:
    if not isinstance(value, str) or not _FIELD_OR_PATH.fullmatch(value):
        raise ValueError("must be 'pk', the name of a field of the user model, or the dotted path of a callable")
    return value


def read_sectors(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping) or not all(isinstance(client_id, str) for client_id in value):
        raise ValueError("must be a dict of client ids with the URL or host of their sector")
    return tuple((client_id, read_sector_host(sector)) for client_id, sector in value.items())


def read_sector_host(value: object) -> str:
    host = urlsplit(value if "//" in value else f"//{value}").hostname if isinstance(value, str) else None
    if not host:
        raise ValueError("must be a dict of client ids with the URL or host of their sector")
    return host
