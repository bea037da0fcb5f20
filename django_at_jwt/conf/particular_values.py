"""Reading the values of settings that have a form of their own, as :mod:`.values` does."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from django.views.decorators.debug import sensitive_variables

from django_at_jwt.core.issuer_subject import UserMode
from django_at_jwt.core.mappers import MapperRule, Oversize, UnusableRule, parse_rule
from django_at_jwt.core.mappers.parsing import LONGEST_HASH_KEY, SHORTEST_HASH_KEY
from django_at_jwt.core.metadata import RESOURCE_DESCRIPTION

from .values import read_dotted_path, read_identifier, read_several, read_text, read_texts

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
