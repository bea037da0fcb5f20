"""The settings of this app: one dict, ``AT_JWT``, read live through a typed object."""

from __future__ import annotations

import base64
import binascii
import difflib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured

from .core.algorithms import ALGORITHMS
from .core.freshness import Lifetimes
from .core.issuer_subject import UserMode
from .core.lifecycle import RotationPolicy
from .core.mappers import MapperRule, Oversize, SizeLimits, UnusableRule, parse_rule
from .core.metadata import RESOURCE_DESCRIPTION
from .core.resource_servers import ISSUER_SCOPES, ResourceServer, declared_resource_servers, is_resource_identifier
from .core.verifier import DEFAULT_LEEWAY, DEFAULT_MAX_BYTES

SETTING_NAME: Final = "AT_JWT"
ACCESS_TOKEN_GENERATOR: Final = "django_at_jwt.generators.generate_access_token"  # noqa: S105 - an import path
REFRESH_TOKEN_GENERATOR: Final = "oauthlib.oauth2.rfc6749.tokens.random_token_generator"  # noqa: S105
VALIDATOR_CLASS: Final = "django_at_jwt.validators.OAuth2Validator"
COMPUTED_SUBJECT_LOOKUP: Final = "django_at_jwt.authorization_server.subjects.user_of_computed_subject"
OPAQUE_TOKEN_READER: Final = "django_at_jwt.authorization_server.toolkit.opaque.read_opaque_token"  # noqa: S105
LONGEST_SENSIBLE_LIFETIME: Final = 3600
KEY_ENCRYPTION_KEY_BYTES: Final = 32
# The lifetime that django-oauth-toolkit falls back on when its setting is absent, in seconds.
_TOOLKIT_LIFETIME: Final = 36000
_TOOLKIT_JWK_SET_MAX_AGE: Final = 3600
# For how many seconds an issuer's answer is used that says nothing of caching.
_USUAL_ISSUER_AGE: Final = 300.0


def oauth2_provider_settings() -> dict[str, Any]:
    """Give the entries of ``OAUTH2_PROVIDER`` that make django-oauth-toolkit issue RFC 9068 access tokens.

    Spread it first, so that what the site sets itself comes after and wins::

        OAUTH2_PROVIDER = {**oauth2_provider_settings(), "OIDC_ISS_ENDPOINT": "https://as.example.com/o", ...}

    It sets the generator, a separate generator for refresh tokens (without one they would be access tokens too), the
    validator class, hashed token storage, and a lifetime of an hour (RFC 6750 §5.3).
    """
    return {
        "ACCESS_TOKEN_GENERATOR": ACCESS_TOKEN_GENERATOR,
        "REFRESH_TOKEN_GENERATOR": REFRESH_TOKEN_GENERATOR,
        "OAUTH2_VALIDATOR_CLASS": VALIDATOR_CLASS,
        "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
        "ACCESS_TOKEN_EXPIRE_SECONDS": LONGEST_SENSIBLE_LIFETIME,
    }


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        duration = value
    elif isinstance(value, int) and not isinstance(value, bool):
        duration = timedelta(seconds=value)
    else:
        raise ValueError("must be a timedelta or a whole number of seconds")
    if duration < timedelta(0):
        raise ValueError("must not be negative")
    return duration


def _optional_duration(value: object) -> timedelta | None:
    return None if value is None else _duration(value)


def _seconds(value: object) -> float:
    return _duration(value).total_seconds()


def _some_seconds(value: object) -> float:
    seconds = _seconds(value)
    if not seconds:
        raise ValueError("must be more than 0")
    return seconds


def _positive(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise ValueError("must be a whole number above 0")
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("must be a whole number, or 0")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be True or False")
    return value


def _dotted_path(value: object) -> str:
    if not isinstance(value, str) or "." not in value:
        raise ValueError("must be a dotted path, such as 'package.module.name'")
    return value


def _identifier(value: object) -> str:
    if not isinstance(value, str) or not is_resource_identifier(value):
        raise ValueError("must be an absolute URI without a fragment, such as 'https://api.example.com/'")
    return value


def _optional_identifier(value: object) -> str | None:
    return None if value is None else _identifier(value)


def _optional_dotted_path(value: object) -> str | None:
    return None if value is None else _dotted_path(value)


def _several(value: object, read: Callable[[object], str]) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError("must be a list")
    return tuple(read(entry) for entry in value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("each entry must be a string")
    return value


def _optional_text(value: object) -> str | None:
    return None if value is None else _text(value)


def _texts(value: object) -> tuple[str, ...]:
    return _several(value, _text)


def _methods_by_name(value: object) -> Mapping[str, tuple[str, ...]] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError("must be a dict of lists")
    read: dict[str, tuple[str, ...]] = {}
    for name, methods in value.items():
        try:
            read[_text(name)] = _texts(methods)
        except ValueError as error:
            raise ValueError(f"must be a dict of lists of strings; at {name!r}: {error}") from None
        if not name or not all(read[name]):
            raise ValueError("must not have an empty string")
    return read


def _methods_or_dotted_path(value: object) -> Mapping[str, tuple[str, ...]] | str | None:
    return _dotted_path(value) if isinstance(value, str) else _methods_by_name(value)


def _identifiers(value: object) -> tuple[str, ...]:
    try:
        return _several(value, _identifier)
    except ValueError as error:
        raise ValueError(f"each entry {error}" if isinstance(value, (list, tuple)) else str(error)) from None


def _algorithms(value: object) -> tuple[str, ...]:
    names = _several(value, str)
    if not names or not ALGORITHMS.keys() >= {*names} or len({*names}) != len(names):
        raise ValueError(f"must list at least one of {', '.join(ALGORITHMS)}, each once")
    return names


def _local_user_mode(value: object) -> UserMode:
    # A user of the local issuer who is not there was deleted, and must not come back.
    if value not in (UserMode.LOCAL, UserMode.STATELESS):
        raise ValueError("must be 'local' or 'stateless': the users of the local issuer are this site's own")
    return UserMode(str(value))


def _protected_resources(value: object) -> Mapping[str, Mapping[str, Any]] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError("must be a dict from identifiers to dicts")
    return {_described(resource): _description(said) for resource, said in value.items()}


def _described(resource: object) -> str:
    try:
        return _identifier(resource)
    except ValueError as error:
        raise ValueError(f"each key {error}") from None


def _description(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not value.keys() <= RESOURCE_DESCRIPTION:
        raise ValueError(f"each entry must be a dict with some of {', '.join(sorted(RESOURCE_DESCRIPTION))}")
    scopes = list(_texts(value.get("scopes_supported", ())))
    described = {name: _text(said) for name, said in value.items() if name != "scopes_supported"}
    return {**described, "scopes_supported": scopes}


def _mappers(value: object) -> tuple[MapperRule, ...]:
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


def _oversize(value: object) -> str:
    values = [each.value for each in Oversize]
    if not isinstance(value, str) or value not in values:
        raise ValueError(f"must be one of {', '.join(map(repr, values))}")
    return value


_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")


def _key_bytes(value: object) -> str | None:
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


def _key_encryption_key(value: object) -> str:
    # The text of a wrong key is not repeated: it may be the right one with a slip in it.
    key = _key_bytes(value)
    if key is None:
        raise ValueError(f"must list keys of 32 bytes in base64url, newest first; make one with: {_MAKE_A_KEY}")
    return key


def _key_encryption_keys(value: object) -> tuple[str, ...]:
    return _several(value, _key_encryption_key)


def _optional_key(value: object) -> str | None:
    key = None if value is None else _key_bytes(value)
    if value is not None and key is None:
        raise ValueError(f"must be a key of 32 bytes in base64url; make one with: {_MAKE_A_KEY}")
    return key


_FIELD_OR_PATH: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def _field_or_path(value: object) -> str:
    if not isinstance(value, str) or not _FIELD_OR_PATH.fullmatch(value):
        raise ValueError("must be 'pk', the name of a field of the user model, or the dotted path of a callable")
    return value


def _sectors(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, Mapping) or not all(isinstance(client_id, str) for client_id in value):
        raise ValueError("must be a dict of client ids with the URL or host of their sector")
    return tuple((client_id, _sector_host(sector)) for client_id, sector in value.items())


def _sector_host(value: object) -> str:
    host = urlsplit(value if "//" in value else f"//{value}").hostname if isinstance(value, str) else None
    if not host:
        raise ValueError("must be a dict of client ids with the URL or host of their sector")
    return host


def _setting(default: Any, read: Callable[[object], Any], **options: Any) -> Any:
    return field(default=default, metadata={"read": read}, **options)


def _audience(value: object) -> tuple[str, ...]:
    return (_identifier(value),) if isinstance(value, str) else _identifiers(value)


def _user_mode(value: object) -> UserMode:
    try:
        return UserMode(str(value))
    except ValueError:
        raise ValueError(f"must be one of {', '.join(UserMode)}") from None


@dataclass(frozen=True, kw_only=True)
class IssuerSettings:
    """What is expected of one issuer whose tokens this project accepts: an entry of ``AT_JWT["ISSUERS"]``.

    Attributes:
        issuer: its identifier, the one value of ``iss``.
        audience: what ``aud`` must hold one of. A check refuses an issuer without any.
        algorithms: the only ones to accept; none for all that this app knows.
        leeway: seconds by which clocks may differ, or ``None`` for the project's setting.
        required_claims: claims that a token must have beside those of RFC 9068.
        user_mode: whom ``request.user`` is for its tokens.
        user_field: the unique field of the user model that holds its subjects, or ``None`` for the table of subjects.
        fill_user: dotted path of a function of a new user and the claims, for users that are made at first sight.
    """

    issuer: str
    audience: tuple[str, ...] = _setting((), _audience)
    algorithms: tuple[str, ...] = _setting((), _algorithms)
    leeway: float | None = _setting(None, _seconds)
    required_claims: tuple[str, ...] = _setting((), _texts)
    user_mode: UserMode = _setting(UserMode.STATELESS, _user_mode)
    user_field: str | None = _setting(None, _optional_text)
    fill_user: str | None = _setting(None, _optional_dotted_path)


_ISSUER_OPTIONS: Final[Mapping[str, Field[Any]]] = {
    each.name: each for each in fields(IssuerSettings) if each.name != "issuer"
}


def _issuers(value: object) -> tuple[IssuerSettings, ...]:
    for name, problem in _problems_in_issuers(value, "it"):
        raise ValueError(f"cannot be used: {name} {problem}")
    assert isinstance(value, Mapping)  # noqa: S101 - anything else has a problem
    return tuple(
        IssuerSettings(
            issuer=issuer, **{name: _ISSUER_OPTIONS[name].metadata["read"](options[name]) for name in options}
        )
        for issuer, options in value.items()
    )


def _problems_in_issuers(value: object, where: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, Mapping):
        yield where, "must be a dict of issuers, such as {'https://as.example.com/o': {'audience': ...}}"
        return
    for issuer, options in value.items():
        if not isinstance(issuer, str) or not isinstance(options, Mapping):
            yield f"{where}[{issuer!r}]", "must be an issuer's URL, and a dict of its options"
        else:
            yield from _problems(options, _ISSUER_OPTIONS, f"{where}[{issuer!r}]")


@dataclass(frozen=True, kw_only=True)
class AppSettings:
    """``AT_JWT`` as typed values. Durations may be given as timedeltas or as whole seconds.

    Attributes:
        default_resource: the audience of tokens for which nobody asked for a resource (RFC 9068 §3).
        resource_servers: those that the settings declare; others are rows.
        issuer_scopes: scopes of the issuer's own endpoints, which each token may have (``openid``).
        subject: what ``sub`` is made of: ``pk``, a field of the user model, or a callable's dotted path.
        user_by_subject: dotted path of the callable that finds the user again, where ``subject`` is a callable.
        pairwise_subject_key: base64url key of 32 bytes; with it, each sector has its own ``sub`` for a user.
        sector_identifiers: pairs of a client id and the host of its sector, where its redirect URIs do not say it.
        signing_algorithms: those in use, the default first. ``EdDSA`` and ``Ed25519`` are two names for the same.
        rotation_interval: how long a key signs.
        propagation_time: how long a key is announced before it signs; for the slowest cache of any resource server.
        retention: how long a key is published after it has signed, or ``None`` for as long as its tokens can live.
        key_encryption_keys: base64url keys of 32 bytes that private keys are encrypted with, newest first.
        key_ring_max_age: seconds for which a process uses the keys that it has read.
        unknown_kid_cooldown: seconds between two reads that unknown ``kid`` values may cause.
        key_ring_max_stale: seconds for which the keys that were read last are used while they cannot be read again.
        revoked_kids: keys that stay revoked whatever the database says, for instance after a backup was restored.
        leeway: seconds by which clocks may differ.
        max_token_bytes: longer tokens are refused unread.
        verified_token_cache_size: how many verified tokens a process remembers; 0 for none.
        claim_mappers: rules of claims that are declared by the settings, beside those in the database.
        mappable_user_fields: the fields of the user that a claim mapper may read, through relations with dots. The
            default is what a person is called and written to; a user name is half of what it takes to log in.
        mappable_client_fields: the fields of the client application that a claim mapper may read.
        max_claim_bytes: of JSON in one mapped claim.
        max_claims_bytes: of JSON in all claims of a token.
        oversized_claims: whether a token with more is refused, or optional claims are dropped, the largest first.
        audience: what this project's own API expects in ``aud``, if not the default resource.
        authentication_methods: the ``amr`` values (RFC 8176) that authentication backends stand for, by their dotted
            paths, beside those of Django's own backends.
        authentication_contexts: the ``amr`` values that each ``acr`` asks for, or the dotted path of a callable that
            takes an ``AuthenticationEvent`` and the user and gives the ``acr`` or ``None``.
        authentication_event: dotted path of a callable that takes the request and the user at a login and gives an
            ``AuthenticationEvent``, ``None`` to claim nothing, or ``NotImplemented`` to leave it to this app.
        user_mode: what the subjects of the local issuer are here, its users or nobody that is kept.
        local_subject_lookup: dotted path of the function that finds the user of a subject of the local issuer.
        protected_resources: what the metadata documents of this project's APIs say of them, by identifier (RFC 9728).
        local_key_ring: dotted path of the object that gives the local issuer's key ring.
        accept_opaque_tokens: whether the local issuer's opaque tokens are accepted beside its JWTs.
        issuers: the other issuers whose tokens this project accepts.
        issuer_cache: alias of Django's cache by which all workers share what they know of these issuers.
        issuer_timeout: seconds that asking an issuer may take in all.
        issuer_min_age: seconds for which an issuer's answer is used at the least.
        issuer_max_age: seconds for which it is used at the most.
        issuer_max_stale: seconds for which an issuer's keys are used after it last confirmed them.
    """

    default_resource: str | None = _setting(None, _optional_identifier)
    resource_servers: tuple[ResourceServer, ...] = _setting((), declared_resource_servers)
    issuer_scopes: tuple[str, ...] = _setting(ISSUER_SCOPES, _texts)
    subject: str = _setting("pk", _field_or_path)
    user_by_subject: str | None = _setting(None, _optional_dotted_path)
    pairwise_subject_key: str | None = _setting(None, _optional_key, repr=False)
    sector_identifiers: tuple[tuple[str, str], ...] = _setting((), _sectors)
    signing_algorithms: tuple[str, ...] = _setting(("RS256",), _algorithms)
    rotation_interval: timedelta = _setting(timedelta(days=90), _duration)
    propagation_time: timedelta = _setting(timedelta(days=7), _duration)
    retention: timedelta | None = _setting(None, _optional_duration)
    key_encryption_keys: tuple[str, ...] = _setting((), _key_encryption_keys, repr=False)
    key_ring_max_age: float = _setting(30.0, _seconds)
    key_ring_max_stale: float = _setting(3600.0, _seconds)
    revoked_kids: tuple[str, ...] = _setting((), _texts)
    unknown_kid_cooldown: float = _setting(30.0, _seconds)
    leeway: float = _setting(float(DEFAULT_LEEWAY), _seconds)
    max_token_bytes: int = _setting(DEFAULT_MAX_BYTES, _positive)
    verified_token_cache_size: int = _setting(1024, _count)
    claim_mappers: tuple[MapperRule, ...] = _setting((), _mappers, repr=False)
    mappable_user_fields: tuple[str, ...] = _setting(("email", "first_name", "last_name"), _texts)
    mappable_client_fields: tuple[str, ...] = _setting(("client_id", "name"), _texts)
    max_claim_bytes: int = _setting(SizeLimits().claim_bytes, _positive)
    max_claims_bytes: int = _setting(SizeLimits().token_bytes, _positive)
    oversized_claims: str = _setting("refuse", _oversize)
    audience: str | None = _setting(None, _optional_identifier)
    authentication_methods: Mapping[str, tuple[str, ...]] | None = _setting(None, _methods_by_name)
    authentication_contexts: Mapping[str, tuple[str, ...]] | str | None = _setting(None, _methods_or_dotted_path)
    authentication_event: str | None = _setting(None, _optional_dotted_path)
    user_mode: UserMode = _setting(UserMode.LOCAL, _local_user_mode)
    local_subject_lookup: str = _setting("django_at_jwt.resource_server.users.user_for_local_subject", _dotted_path)
    protected_resources: Mapping[str, Mapping[str, Any]] | None = _setting(None, _protected_resources)
    local_key_ring: str = _setting("django_at_jwt.authorization_server.keystore.key_store", _dotted_path)
    accept_opaque_tokens: bool = _setting(False, _flag)
    issuers: tuple[IssuerSettings, ...] = _setting((), _issuers)
    issuer_cache: str = _setting("default", _text)
    issuer_timeout: float = _setting(5.0, _some_seconds)
    issuer_min_age: float = _setting(60.0, _some_seconds)
    issuer_max_age: float = _setting(3600.0, _some_seconds)
    issuer_max_stale: float = _setting(7200.0, _seconds)

    @property
    def issuer_lifetimes(self) -> Lifetimes:
        """Between which bounds an issuer's word on caching counts."""
        least = min(self.issuer_min_age, self.issuer_max_age)
        return Lifetimes(least=least, most=self.issuer_max_age, usual=_USUAL_ISSUER_AGE)

    @property
    def size_limits(self) -> SizeLimits:
        """How large claims may get."""
        return SizeLimits(
            claim_bytes=self.max_claim_bytes,
            token_bytes=self.max_claims_bytes,
            oversize=Oversize(self.oversized_claims),
        )

    @property
    def jwk_set_max_age(self) -> timedelta:
        """For how long anybody may use a copy of the JWK set without asking again."""
        return timedelta(seconds=int(toolkit_setting("OIDC_JWKS_MAX_AGE_SECONDS", _TOOLKIT_JWK_SET_MAX_AGE)))

    def rotation_policy(self, *, longest_lifetime: float) -> RotationPolicy:
        """Give how long keys spend in each state, where tokens live for ``longest_lifetime`` seconds at the most."""
        derived = timedelta(seconds=longest_lifetime + self.leeway)
        return RotationPolicy(
            rotation_interval=self.rotation_interval,
            propagation_time=self.propagation_time,
            retention=derived if self.retention is None else self.retention,
            notice=timedelta(seconds=self.key_ring_max_age),
        )


_FIELDS: Final[Mapping[str, Field[Any]]] = {each.name.upper(): each for each in fields(AppSettings)}


def problems_in(values: object) -> Iterator[tuple[str, str]]:
    """Give what is wrong with a value of ``AT_JWT``: pairs of a setting's name and a sentence."""
    if not isinstance(values, Mapping):
        yield SETTING_NAME, "must be a dict"
        return
    yield from _problems({name: value for name, value in values.items() if name != _ISSUERS}, _FIELDS, SETTING_NAME)
    if _ISSUERS in values:
        yield from _problems_in_issuers(values[_ISSUERS], f"{SETTING_NAME}[{_ISSUERS!r}]")


_ISSUERS: Final = "ISSUERS"


def _problems(values: Mapping[Any, object], known: Mapping[str, Field[Any]], where: str) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if name not in known:
            nearest = difflib.get_close_matches(str(name), known, n=1)
            meant = f"{nearest[0]!r} is the nearest" if nearest else f"there are {', '.join(sorted(known))}"
            yield f"{where}[{name!r}]", f"is no setting of this app; {meant}"
            continue
        try:
            known[name].metadata["read"](value)
        except ValueError as error:
            yield f"{where}[{name!r}]", str(error)


_last_read: tuple[object, AppSettings] | None = None


def app_settings() -> AppSettings:
    """Give the settings as they are now.

    Raises:
        ImproperlyConfigured: a value cannot be used; ``manage.py check`` says so before.
    """
    # The dict holds key-encryption keys, so no frame that an error report could show may have it as a local.
    read = _read()
    if isinstance(read, str):
        raise ImproperlyConfigured(read)
    return read


def _read() -> AppSettings | str:
    """Give the settings, or a sentence that says what is wrong with them."""
    global _last_read  # noqa: PLW0603 - remembers what the very same dict was read as, so that a request does not parse it
    values = getattr(django_settings, SETTING_NAME, None) or _NOTHING
    if _last_read is not None and _last_read[0] is values:
        return _last_read[1]
    for name, problem in problems_in(values):
        return f"{name} {problem}."
    read = AppSettings(
        **{each.name: each.metadata["read"](values[name]) for name, each in _FIELDS.items() if name in values}
    )
    _last_read = (values, read)
    return read


_NOTHING: Final[Mapping[str, Any]] = {}
assert all(each.default is not MISSING for each in _FIELDS.values())  # noqa: S101 - each setting may be left out


def require_installed() -> None:
    """Say what is missing where this app's tables are used and it is not in ``INSTALLED_APPS``.

    Raises:
        ImproperlyConfigured: with the line to add. Django's own error would speak of an ``app_label``.
    """
    if not apps.is_installed("django_at_jwt"):
        raise ImproperlyConfigured('Add "django_at_jwt" to INSTALLED_APPS.')


def toolkit_setting(name: str, default: Any = None) -> Any:
    """Give an entry of ``OAUTH2_PROVIDER`` as the site wrote it, without needing django-oauth-toolkit."""
    return (getattr(django_settings, "OAUTH2_PROVIDER", None) or {}).get(name, default)


def local_issuer() -> str:
    """Give this project's own issuer identifier, or an empty string where it is not one.

    The setting is the only source: an issuer taken from a request's ``Host`` would be whatever the client wrote there.
    """
    return str(toolkit_setting("OIDC_ISS_ENDPOINT", "") or "")


def access_token_lifetime() -> int:
    """Give the lifetime of an access token in seconds, as django-oauth-toolkit hands it to oauthlib."""
    lifetime = toolkit_setting("ACCESS_TOKEN_EXPIRE_SECONDS", _TOOLKIT_LIFETIME)
    lifetime = (toolkit_setting("EXTRA_SERVER_KWARGS") or {}).get("token_expires_in", lifetime)
    return math.ceil(lifetime) if isinstance(lifetime, (int, float)) else _TOOLKIT_LIFETIME
