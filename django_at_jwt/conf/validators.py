"""Readers of single settings: each returns the typed value or raises a ``ValueError`` with the rest of a sentence.

No message quotes a secret: an invalid key may be the right one with a typing error.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import Field, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

from django.views.decorators.debug import sensitive_variables

from django_at_jwt.core.claims import MapperRule, UnusableRule, parse_rule
from django_at_jwt.core.claims.schema import LONGEST_HASH_KEY, SHORTEST_HASH_KEY
from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.jose.jws import encode_segment
from django_at_jwt.core.metadata import RESOURCE_DESCRIPTION
from django_at_jwt.core.quotation import nearest_names, quote
from django_at_jwt.core.resource_servers import check_length, is_resource_identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# ``read`` rejects values that make all settings unusable; ``examine`` rejects every invalid value.
Reader = Literal["read", "examine"]

_T = TypeVar("_T")
_S = TypeVar("_S", bound=str)


def got(value: object) -> str:
    """Return the end of a message: the value that is wrong, shortened, in parentheses. Never for secrets."""
    return f"(got {'None' if value is None else quote(value)})"


def entry_name(where: str, name: object) -> str:
    """Return the name of an entry of a dict for a message, such as ``AT_JWT["LEEWAY"]``."""
    return f'{where}["{name}"]' if isinstance(name, str) else f"{where}[{name!r}]"


def nearest_name(name: object, known: Iterable[str]) -> str:
    """Return the known name that is nearest to an unknown one, or "one of" all of them, for a message."""
    names = nearest_names(name, known)
    return names[0] if len(names) == 1 else f"one of {', '.join(names)}"


def setting(
    default: Any, read: Callable[[object], Any], *, examine: Callable[[object], Any] | None = None, **options: Any
) -> Any:
    """Declare a setting.

    Args:
        default: the typed value if the site does not set it.
        read: returns the typed value of what the site wrote. A ValueError makes all settings unusable.
        examine: used by ``manage.py check`` instead of ``read``, for a setting where ``read`` accepts an invalid value
            because only some features need it.
        options: of :func:`dataclasses.field`.
    """
    return field(default=default, metadata={"read": read, "examine": examine or read}, **options)


def problems_among(
    values: Mapping[Any, object],
    known: Mapping[str, Field[Any]],
    where: str,
    *,
    by: Reader = "examine",
    unknown: str = "is not a setting of this app",
) -> list[tuple[str, str]]:
    """Return the problems of some values: pairs of a setting's name and the rest of the sentence.

    Args:
        values: the values by their names.
        known: the declarations of the known settings.
        where: the name of the dict that the values are in.
        by: the reader to use.
        unknown: the problem of a name that is not in ``known``.
    """
    problems = []
    for name, value in values.items():
        if name not in known:
            problems.append((entry_name(where, name), f"{unknown}; use {nearest_name(name, known)}"))
            continue
        try:
            known[name].metadata[by](value)
        except ValueError as error:
            problems.append((entry_name(where, name), str(error)))
    return problems


def optional(read: Callable[[object], _T]) -> Callable[[object], _T | None]:
    """Return a reader that also accepts ``None``."""

    @sensitive_variables()
    def read_optional(value: object) -> _T | None:
        return None if value is None else read(value)

    return read_optional


def one_of(*allowed: _S) -> Callable[[object], _S]:
    """Return a reader of these strings, or of these members of a string enumeration."""

    def read_one(value: object) -> _S:
        for each in allowed:
            if value == each:
                return each
        raise ValueError(f"must be one of {', '.join(allowed)} {got(value)}")

    return read_one


# "No more than a few minutes" (RFC 7519 section 4.1.4), since expired tokens are accepted for as long. Enough for two
# machines whose clocks are wrong by five minutes in opposite directions.
MAX_LEEWAY_SECONDS: Final = 600
# A hundred years, so that instants computed from it stay within datetime's range.
_MAX_DURATION: Final = timedelta(days=36525)


def read_duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        duration = value
    elif isinstance(value, int) and not isinstance(value, bool):
        # Clamped, since larger numbers overflow a timedelta.
        duration = timedelta(seconds=min(max(value, -1), int(_MAX_DURATION.total_seconds()) + 1))
    else:
        raise ValueError(f"must be a timedelta or a whole number of seconds {got(value)}")
    if duration < timedelta(0):
        raise ValueError(f"must not be negative {got(value)}")
    if duration > _MAX_DURATION:
        raise ValueError(f"must be at most {_MAX_DURATION.days} days {got(value)}")
    return duration


def read_seconds(value: object) -> float:
    return read_duration(value).total_seconds()


def read_leeway(value: object) -> float:
    seconds = read_seconds(value)
    if seconds > MAX_LEEWAY_SECONDS:
        raise ValueError(f"must be at most {MAX_LEEWAY_SECONDS} seconds (got {seconds:.0f})")
    return seconds


def read_positive_seconds(value: object) -> float:
    seconds = read_seconds(value)
    if not seconds:
        raise ValueError(f"must be more than 0 {got(value)}")
    return seconds


def read_positive(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ValueError(f"must be a positive integer {got(value)}")
    return value


def read_count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"must be a non-negative integer {got(value)}")
    return value


def read_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be True or False {got(value)}")
    return value


def read_dotted_path(value: object) -> str:
    if not isinstance(value, str) or "." not in value:
        raise ValueError(f'must be a dotted path such as "package.module.name" {got(value)}')
    return value


def read_identifier(value: object) -> str:
    if not is_resource_identifier(value):
        raise ValueError(f'must be an absolute URI without a fragment, such as "https://api.example.com/" {got(value)}')
    check_length(value)
    return value


def read_identifiers(value: object) -> tuple[str, ...]:
    identifiers = (read_identifier(value),) if isinstance(value, str) else read_several(value, read_identifier)
    if not identifiers:
        raise ValueError("must not be an empty list")
    return identifiers


def read_several(value: object, read: Callable[[object], str]) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError(f"must be a list (got {type(value).__name__})")
    # A list, not a generator: sensitive_variables() of the caller does not cover a generator's frame.
    return tuple([read(entry) for entry in value])


def read_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a string {got(value)}")
    return value


def _read_entry(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must contain only strings {got(value)}")
    return value


@sensitive_variables()
def read_secret(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a non-empty string")
    return value


def read_texts(value: object) -> tuple[str, ...]:
    return read_several(value, _read_entry)


def read_algorithms(value: object) -> tuple[str, ...]:
    names = read_several(value, str)
    if not names or not ALGORITHMS.keys() >= {*names} or len({*names}) != len(names):
        raise ValueError(f"must be a non-empty list without duplicates of {', '.join(ALGORITHMS)} {got(list(names))}")
    return names


def read_methods_by_name(value: object) -> Mapping[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a dict of lists of strings {got(value)}")
    read: dict[str, tuple[str, ...]] = {}
    for name, methods in value.items():
        try:
            read[read_text(name)] = read_texts(methods)
        except ValueError as error:
            raise ValueError(f"must be a dict of lists of strings; the entry {quote(name)} {error}") from None
        if not name or not all(read[name]):
            raise ValueError(f"must not contain an empty string {got({name: methods})}")
    return read


def read_methods_or_dotted_path(value: object) -> Mapping[str, tuple[str, ...]] | str:
    return read_dotted_path(value) if isinstance(value, str) else read_methods_by_name(value)


_PERIODS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def read_rate(value: object) -> tuple[int, int] | None:
    """Return a rate, such as ``20/hour``, as a number and a period in seconds, or ``None`` if the number is 0."""
    matched = re.fullmatch(r"([0-9]{1,9})/(second|minute|hour|day|[smhd])", value) if isinstance(value, str) else None
    if matched is None:
        raise ValueError(f'must be a number per second, minute, hour or day, such as "20/hour" {got(value)}')
    number = int(matched[1])
    return (number, _PERIODS[matched[2][0]]) if number else None


def read_origins(value: object) -> tuple[str, ...] | str:
    if value == "*":
        return "*"
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError(f'must be a list of origins, or "*" {got(value)}')
    for origin in value:
        if not _is_origin(origin):
            raise ValueError(
                f'must have origins as browsers send them, such as "https://app.example.com" {got(origin)}'
            )
    return tuple(value)


_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


def _is_origin(value: object) -> bool:
    """Return whether a value is an origin as in the ``Origin`` header (RFC 6454 section 7): in lower case, no path."""
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        return False
    if not parts.scheme or not parts.hostname or any(each in parts.netloc for each in "@*"):
        return False
    # Browsers leave out the default port.
    has_default_port = port is not None and port == _DEFAULT_PORTS.get(parts.scheme)
    return not has_default_port and value == f"{parts.scheme}://{parts.netloc}".lower()


def read_stored_tokens(value: object) -> bool | str:
    if isinstance(value, bool):
        return value
    if value != "users":
        raise ValueError(f'must be True, False or "users" {got(value)}')
    return "users"


def read_protected_resources(value: object) -> Mapping[str, Mapping[str, Any]]:
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a dict of dicts by identifier {got(value)}")
    return {_read_resource(resource): _read_description(members) for resource, members in value.items()}


def _read_resource(resource: object) -> str:
    try:
        return read_identifier(resource)
    except ValueError as error:
        raise ValueError(f"has an invalid key: it {error}") from None


def _read_description(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not value.keys() <= RESOURCE_DESCRIPTION:
        members = ", ".join(sorted(RESOURCE_DESCRIPTION))
        raise ValueError(f"has an invalid entry: it must be a dict with some of {members} {got(value)}")
    try:
        scopes = list(read_texts(value.get("scopes_supported", ())))
        texts = {name: read_text(text) for name, text in value.items() if name != "scopes_supported"}
    except ValueError as error:
        raise ValueError(f"has an invalid entry: a member {error}") from None
    return {**texts, "scopes_supported": scopes}


def read_mappers(value: object) -> tuple[MapperRule, ...]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"must be a list of claim mappers (got {type(value).__name__})")
    rules = []
    for place, data in enumerate(value):
        name = data.get("name", place) if isinstance(data, Mapping) else place
        try:
            rules.append(parse_rule(data))
        except UnusableRule as error:
            raise ValueError(f"has an invalid mapper, {name!r}: {str(error).removesuffix('.')}") from None
    if len({rule.key for rule in rules}) != len(rules):
        raise ValueError("has two mappers with the same name")
    return tuple(rules)


def read_hash_keys(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) and name for name in value):
        raise ValueError("must be a dict of keys by name")
    for name, key in value.items():
        if not isinstance(key, str) or not SHORTEST_HASH_KEY <= len(key) <= LONGEST_HASH_KEY:
            raise ValueError(
                f"must have keys of {SHORTEST_HASH_KEY} to {LONGEST_HASH_KEY} characters; that of {name!r} is not"
            )
    return tuple(value.items())


KEY_ENCRYPTION_KEY_BYTES: Final = 32
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")


_GENERATE_KEY: Final = (
    'python -c "import base64, secrets; print(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())"'
)


@sensitive_variables()
def _key_of_32_bytes(value: object, problem: str) -> str:
    """Return a key of 32 bytes as base64url without padding.

    Raises:
        ValueError: with the problem, it is not such a key.
    """
    text = str(value).rstrip("=")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)) if _BASE64URL.fullmatch(text) else b""
    except ValueError:
        raw = b""
    if len(raw) != KEY_ENCRYPTION_KEY_BYTES:
        raise ValueError(f"{problem}; generate one with: {_GENERATE_KEY}")
    return encode_segment(raw).decode()


@sensitive_variables()
def read_key(value: object) -> str:
    return _key_of_32_bytes(value, "must be a key of 32 bytes in base64url")


@sensitive_variables()
def _read_key_encryption_key(value: object) -> str:
    return _key_of_32_bytes(value, "must be a list of keys of 32 bytes in base64url, newest first")


@sensitive_variables()
def read_key_encryption_keys(value: object) -> tuple[str, ...]:
    return read_several(value, _read_key_encryption_key)


@sensitive_variables()
def read_key_encryption_keys_if_usable(value: object) -> tuple[str, ...] | None:
    """Return the keys, or ``None`` if one is invalid, so that processes that decrypt no private key keep working."""
    try:
        return read_key_encryption_keys(value)
    except ValueError:
        return None


_FIELD_OR_PATH: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def read_field_or_path(value: object) -> str:
    if not isinstance(value, str) or not _FIELD_OR_PATH.fullmatch(value):
        raise ValueError(f'must be "pk", a field of the user model, or the dotted path of a callable {got(value)}')
    return value


def read_sectors(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping) or not all(isinstance(client_id, str) for client_id in value):
        raise ValueError(f"must be a dict of sector URLs or hosts by client id {got(value)}")
    return tuple((client_id, _read_sector(sector)) for client_id, sector in value.items())


def _read_sector(value: object) -> str:
    host = urlsplit(value if "//" in value else f"//{value}").hostname if isinstance(value, str) else None
    if not host:
        raise ValueError(f"must be a dict of sector URLs or hosts by client id {got(value)}")
    return host
