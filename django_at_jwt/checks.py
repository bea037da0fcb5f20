"""System checks: what a site has forgotten, each with the line that mends it."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as AnyDatabaseError
from django.db import router
from django.urls import NoReverseMatch, Resolver404, resolve, reverse
from django.utils import timezone
from django.utils.connection import ConnectionDoesNotExist
from django.utils.module_loading import import_string

from .conf import (
    ACCESS_TOKEN_GENERATOR,
    LONGEST_SENSIBLE_LIFETIME,
    REFRESH_TOKEN_GENERATOR,
    SETTING_NAME,
    VALIDATOR_CLASS,
    access_token_lifetime,
    app_settings,
    local_issuer,
    problems_in,
    toolkit_setting,
)
from .core.algorithms import ALGORITHMS
from .core.errors import NoSigningKey
from .core.lifecycle import KeyState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .models import SigningKey


class CheckId(StrEnum):
    """The ids of this app's checks."""

    UNUSABLE_SETTING = "django_at_jwt.E001"
    NO_ISSUER = "django_at_jwt.E002"
    NO_DEFAULT_RESOURCE = "django_at_jwt.E003"
    NO_ACCESS_TOKEN_GENERATOR = "django_at_jwt.E004"  # noqa: S105 - an id
    NO_REFRESH_TOKEN_GENERATOR = "django_at_jwt.E005"  # noqa: S105 - an id
    NO_VALIDATOR = "django_at_jwt.E006"
    TOOLKIT_URLS = "django_at_jwt.E007"
    BAD_ISSUER = "django_at_jwt.E008"
    POLICY = "django_at_jwt.E009"
    REVOKED_KEY_IS_BACK = "django_at_jwt.E010"
    NO_SIGNING_KEY = "django_at_jwt.W001"
    NO_WELL_KNOWN_URLS = "django_at_jwt.W002"
    ISSUER_ELSEWHERE = "django_at_jwt.W003"
    INSECURE_ISSUER = "django_at_jwt.E101"
    UNOPENABLE_KEY = "django_at_jwt.E102"
    DERIVED_KEY_ENCRYPTION_KEY = "django_at_jwt.W101"
    LARGE_TOKENS = "django_at_jwt.W004"
    OLD_KEY_ENCRYPTION_KEY = "django_at_jwt.W104"
    LONG_LIFETIME = "django_at_jwt.W102"
    PLAINTEXT_TOKENS = "django_at_jwt.W103"


_SPREAD: Final = "OAUTH2_PROVIDER = {**oauth2_provider_settings(), ...}"


def check_settings(**_kwargs: Any) -> list[CheckMessage]:
    """``AT_JWT`` holds nothing unknown and nothing that cannot be used."""
    return [
        Error(f"{name} {problem}.", hint="docs/settings.md says what each setting takes.", id=CheckId.UNUSABLE_SETTING)
        for name, problem in problems_in(getattr(django_settings, SETTING_NAME, None) or {})
    ]


def check_issuer(**_kwargs: Any) -> list[CheckMessage]:
    """The issuer is set, and is a URL without query and fragment (RFC 8414 §2)."""
    if not _issues_tokens():
        return []
    issuer = local_issuer()
    if not issuer:
        return [
            Error(
                "OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT'] is not set, so no access token can be issued.",
                hint="Set it to the URL below which django_at_jwt.urls is included, for instance "
                '"OIDC_ISS_ENDPOINT": "https://www.example.com/o".',
                id=CheckId.NO_ISSUER,
            )
        ]
    parts = urlsplit(issuer)
    if _is_issuer(issuer):
        return []
    meant = f"{parts.scheme}://{parts.netloc}{parts.path.strip().rstrip('/')}"
    write = f" Write {meant!r}." if _is_issuer(meant) else ""
    return [
        Error(
            f"OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT'] is {issuer!r}, which cannot be an issuer.",
            hint=f"It is an https URL without query, fragment, space and trailing slash (RFC 8414 section 2).{write}",
            id=CheckId.BAD_ISSUER,
        )
    ]


def _is_issuer(issuer: str) -> bool:
    parts = urlsplit(issuer)
    is_url = parts.scheme in {"https", "http"} and bool(parts.netloc)
    return is_url and not (parts.query or parts.fragment or issuer.endswith("/") or issuer.split() != [issuer])


def check_default_resource(**_kwargs: Any) -> list[CheckMessage]:
    """Tokens that nobody asked a resource for have an audience (RFC 9068 §3)."""
    if not _issues_tokens() or not _readable() or app_settings().default_resource is not None:
        return []
    return [
        Error(
            "AT_JWT['DEFAULT_RESOURCE'] is not set, so tokens would have no audience.",
            hint="Set it to the identifier of your API, for instance "
            'AT_JWT = {"DEFAULT_RESOURCE": "https://www.example.com/"}.',
            id=CheckId.NO_DEFAULT_RESOURCE,
        )
    ]


def check_access_token_generator(**_kwargs: Any) -> list[CheckMessage]:
    """The toolkit asks this app for access tokens."""
    if not _issues_tokens() or _names(toolkit_setting("ACCESS_TOKEN_GENERATOR"), ACCESS_TOKEN_GENERATOR):
        return []
    return [
        Error(
            "OAUTH2_PROVIDER['ACCESS_TOKEN_GENERATOR'] is not this app's, so access tokens stay opaque.",
            hint=f'Add "ACCESS_TOKEN_GENERATOR": "{ACCESS_TOKEN_GENERATOR}", or spread {_SPREAD}.',
            id=CheckId.NO_ACCESS_TOKEN_GENERATOR,
        )
    ]


def check_refresh_token_generator(**_kwargs: Any) -> list[CheckMessage]:
    """Refresh tokens have a generator of their own."""
    if not _issues_tokens():
        return []
    generator = toolkit_setting("REFRESH_TOKEN_GENERATOR")
    if generator is not None and not _names(generator, ACCESS_TOKEN_GENERATOR):
        return []
    return [
        Error(
            "OAUTH2_PROVIDER['REFRESH_TOKEN_GENERATOR'] is not set, so refresh tokens would be access tokens.",
            hint=f'Add "REFRESH_TOKEN_GENERATOR": "{REFRESH_TOKEN_GENERATOR}", or spread {_SPREAD}.',
            id=CheckId.NO_REFRESH_TOKEN_GENERATOR,
        )
    ]


def check_validator(**_kwargs: Any) -> list[CheckMessage]:
    """The toolkit's validator has this app's mixin."""
    if not _issues_tokens():
        return []
    from .authorization_server.toolkit import AccessTokenValidatorMixin  # noqa: PLC0415 - it needs the toolkit

    validator = _imported(toolkit_setting("OAUTH2_VALIDATOR_CLASS"))
    if isinstance(validator, type) and issubclass(validator, AccessTokenValidatorMixin):
        from oauth2_provider.oauth2_validators import OAuth2Validator  # noqa: PLC0415 - it needs the toolkit's models

        order = validator.__mro__
        if OAuth2Validator in order and order.index(AccessTokenValidatorMixin) > order.index(OAuth2Validator):
            return [
                Error(
                    f"{validator.__name__} inherits from this app's mixin after OAuth2Validator, which undoes it.",
                    hint=f"Write: class {validator.__name__}(AccessTokenValidatorMixin, OAuth2Validator).",
                    id=CheckId.NO_VALIDATOR,
                )
            ]
        return []
    return [
        Error(
            "OAUTH2_PROVIDER['OAUTH2_VALIDATOR_CLASS'] does not know this app's access tokens.",
            hint=f'Add "OAUTH2_VALIDATOR_CLASS": "{VALIDATOR_CLASS}", or let your own validator class inherit from '
            "django_at_jwt.validators.AccessTokenValidatorMixin first.",
            id=CheckId.NO_VALIDATOR,
        )
    ]


def check_urls(**_kwargs: Any) -> list[CheckMessage]:
    """This app's URLs are included in place of the toolkit's, and at the place that the issuer names."""
    if not _issues_tokens() or not getattr(django_settings, "ROOT_URLCONF", None):
        return []
    try:
        keys_path = reverse("oauth2_provider:jwks-info")
    except NoReverseMatch:
        return [
            Error(
                "The authorization server's URLs are not included.",
                hint='Add path("o/", include("django_at_jwt.urls")) to the root URLconf.',
                id=CheckId.TOOLKIT_URLS,
            )
        ]
    if not _served_here(keys_path):
        return [
            Error(
                "django-oauth-toolkit's own URLs are included, which do not publish the signing keys.",
                hint='Put include("django_at_jwt.urls") in place of include("oauth2_provider.urls"); the names stay.',
                id=CheckId.TOOLKIT_URLS,
            )
        ]
    return _check_places(keys_path)


def _check_places(keys_path: str) -> list[CheckMessage]:
    issuer_path = urlsplit(local_issuer()).path
    mounted = keys_path.removesuffix("/.well-known/jwks.json")
    if local_issuer() and not _is_issuer(local_issuer()):
        return []
    if local_issuer() and issuer_path != mounted:
        parts = urlsplit(local_issuer())
        return [
            Warning(
                f"The issuer's path is {issuer_path!r}, but django_at_jwt.urls is included at {mounted!r}.",
                hint=f"Set OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT'] to '{parts.scheme}://{parts.netloc}{mounted}', or "
                f"include the URLs at '{issuer_path.strip('/')}/'; else clients do not find the metadata (RFC 8414 "
                "section 3).",
                id=CheckId.ISSUER_ELSEWHERE,
            )
        ]
    if not _served_here(f"/.well-known/oauth-authorization-server{issuer_path}"):
        return [
            Warning(
                "The metadata is not served at the root of the site, where RFC 8414 section 3.1 puts it.",
                hint='Add path("", include("django_at_jwt.well_known_urls")) to the root URLconf.',
                id=CheckId.NO_WELL_KNOWN_URLS,
            )
        ]
    return []


def _served_here(path: str) -> bool:
    try:
        view = getattr(resolve(path).func, "view_class", None)
    except Resolver404:
        return False
    return getattr(view, "__module__", "").startswith("django_at_jwt.")


def check_policy(**_kwargs: Any) -> list[CheckMessage]:
    """No key signs before everybody has it, and no token outlives its key."""
    if not _issues_tokens() or not _readable():
        return []
    settings = app_settings()
    problems = settings.rotation_policy.problems(
        jwk_set_max_age=settings.jwk_set_max_age,
        key_ring_max_age=timedelta(seconds=settings.key_ring_max_age),
        longest_lifetime=timedelta(seconds=access_token_lifetime()),
        leeway=timedelta(seconds=settings.leeway),
    )
    return [
        Error(
            problem,
            hint="Change AT_JWT['PROPAGATION_TIME'], ['ROTATION_INTERVAL'] or ['RETENTION'], or "
            "OAUTH2_PROVIDER['OIDC_JWKS_MAX_AGE_SECONDS'].",
            id=CheckId.POLICY,
        )
        for problem in problems
    ]


def check_revoked_kids(**_kwargs: Any) -> list[CheckMessage]:
    """No restored backup has brought a revoked key back."""
    if not _issues_tokens() or not _readable() or not app_settings().revoked_kids:
        return []
    rows = _signing_key_rows() or []
    back = [row.kid for row in rows if row.kid in app_settings().revoked_kids and row.revoked_at is None]
    return [
        Error(
            f"Signing key {kid} was revoked, and is back in the database. It is not used, nor published.",
            hint=f'Run: manage.py revoke_signing_key {kid} --reason "restored from a backup"',
            id=CheckId.REVOKED_KEY_IS_BACK,
        )
        for kid in back
    ]


def check_signing_keys_open(**_kwargs: Any) -> list[CheckMessage]:
    """Each private key can be opened with the key-encryption keys that are set."""
    if not _issues_tokens() or not _readable():
        return []
    from .authorization_server.protection import decrypt_private_key  # noqa: PLC0415 - as the models below

    messages: list[CheckMessage] = []
    for row in _signing_key_rows() or []:
        if row.state_at(timezone.now()) not in {KeyState.SIGNING, KeyState.ANNOUNCED}:
            # The others never sign again; their public halves are all that is needed.
            continue
        try:
            decrypt_private_key(row.private_jwe, kid=row.kid)
        except NoSigningKey as error:
            messages.append(
                Error(
                    f"{error.detail[0].upper()}{error.detail[1:]}.",
                    hint="Until then it cannot sign. Its public half stays in the JWK set.",
                    id=CheckId.UNOPENABLE_KEY,
                )
            )
    return messages


def _signing_key_rows() -> list[SigningKey] | None:
    from .models import SigningKey  # noqa: PLC0415 - a project that only verifies has no such table

    try:
        return list(SigningKey.objects.using(router.db_for_write(SigningKey)))
    except (AnyDatabaseError, ConnectionDoesNotExist):
        return None


def check_size_of_signatures(**_kwargs: Any) -> list[CheckMessage]:
    """Whoever chooses a post-quantum algorithm knows how long its tokens are."""
    if not _issues_tokens() or not _readable():
        return []
    messages: list[CheckMessage] = []
    for name in app_settings().signing_algorithms:
        size = ALGORITHMS[name].signature_bytes or 0
        if size > _LARGE_SIGNATURE:
            messages.append(
                Warning(
                    f"A token signed with {name} has some {size * 4 // 3 + _REST_OF_A_TOKEN} bytes, {size * 4 // 3} of "
                    "them for the signature.",
                    hint="Many servers and proxies refuse headers over 8 KiB in all, and few resource servers verify "
                    "this algorithm yet. Silence this warning if that is what you want.",
                    id=CheckId.LARGE_TOKENS,
                )
            )
    return messages


_LARGE_SIGNATURE: Final = 1024
_REST_OF_A_TOKEN: Final = 500


def check_signing_key(**_kwargs: Any) -> list[CheckMessage]:
    """There is a key to sign with."""
    if not _issues_tokens() or not _readable():
        return []
    now = timezone.now()
    rows = _signing_key_rows()
    if rows is None:
        return [
            Warning(
                "The table of signing keys cannot be read, so no access token can be issued.",
                hint="Run: manage.py migrate && manage.py rotate_signing_keys",
                id=CheckId.NO_SIGNING_KEY,
            )
        ]
    states = {row.state_at(now) for row in rows}
    if KeyState.SIGNING in states:
        return []
    if KeyState.ANNOUNCED in states:
        starts = min(row.signing_at for row in rows if row.state_at(now) is KeyState.ANNOUNCED)
        return [
            Warning(
                f"No signing key signs before {starts}, so no access token can be issued until then.",
                hint="It is announced until then. If other keys signed before, see in the admin what became of them.",
                id=CheckId.NO_SIGNING_KEY,
            )
        ]
    return [
        Warning(
            "There is no signing key yet, so no access token can be issued.",
            hint="Run: manage.py rotate_signing_keys",
            id=CheckId.NO_SIGNING_KEY,
        )
    ]


def check_issuer_is_secure(**_kwargs: Any) -> list[CheckMessage]:
    """In production the issuer is an https URL (RFC 8414 §2)."""
    if not _issues_tokens() or not local_issuer() or urlsplit(local_issuer()).scheme == "https":
        return []
    return [
        Error(
            "OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT'] is not an https URL.",
            hint="Set it to the https URL of this site. Resource servers refuse another issuer, and anybody on the way "
            "could replace its keys.",
            id=CheckId.INSECURE_ISSUER,
        )
    ]


def check_key_encryption_keys(**_kwargs: Any) -> list[CheckMessage]:
    """Private keys are encrypted with a key of their own."""
    if not _issues_tokens() or not _readable():
        return []
    if not app_settings().key_encryption_keys:
        return [
            Warning(
                "Private keys are encrypted with a key derived from SECRET_KEY.",
                hint="Set AT_JWT['KEY_ENCRYPTION_KEYS'] to a list with one base64url key of 32 bytes that is kept "
                "apart from the database, then run: manage.py rewrap_signing_keys",
                id=CheckId.DERIVED_KEY_ENCRYPTION_KEY,
            )
        ]
    from .authorization_server.protection import decrypt_private_key, is_newest  # noqa: PLC0415 - as the models

    old = 0
    for row in _signing_key_rows() or []:
        try:
            old += bool(decrypt_private_key(row.private_jwe, kid=row.kid)) and not is_newest(row.private_jwe)
        except NoSigningKey:
            continue
    if not old:
        return []
    return [
        Warning(
            f"{old} private keys are not encrypted with the newest key-encryption key.",
            hint="Run: manage.py rewrap_signing_keys",
            id=CheckId.OLD_KEY_ENCRYPTION_KEY,
        )
    ]


def check_lifetime(**_kwargs: Any) -> list[CheckMessage]:
    """Access tokens live for an hour at the most (RFC 6750 §5.3)."""
    lifetime = access_token_lifetime()
    if not _issues_tokens() or lifetime <= LONGEST_SENSIBLE_LIFETIME:
        return []
    return [
        Warning(
            f"Access tokens live for {lifetime} seconds; whoever steals one can use it for as long.",
            hint=f"Set OAUTH2_PROVIDER['ACCESS_TOKEN_EXPIRE_SECONDS'] to {LONGEST_SENSIBLE_LIFETIME} or less.",
            id=CheckId.LONG_LIFETIME,
        )
    ]


def check_token_storage(**_kwargs: Any) -> list[CheckMessage]:
    """Tokens are stored hashed, so that a copy of the database is no collection of valid tokens."""
    if not _issues_tokens() or toolkit_setting("COMPLIANT_BCP_RFC9700_TOKEN_STORAGE"):
        return []
    return [
        Warning(
            "Access and refresh tokens are stored in clear.",
            hint="Set OAUTH2_PROVIDER['COMPLIANT_BCP_RFC9700_TOKEN_STORAGE'] to True.",
            id=CheckId.PLAINTEXT_TOKENS,
        )
    ]


ALL_CHECKS: Final[Sequence[Callable[..., list[CheckMessage]]]] = (
    check_settings,
    check_issuer,
    check_default_resource,
    check_access_token_generator,
    check_refresh_token_generator,
    check_validator,
    check_urls,
    check_policy,
    check_size_of_signatures,
    check_signing_key,
    check_revoked_kids,
)
DEPLOYMENT_CHECKS: Final[Sequence[Callable[..., list[CheckMessage]]]] = (
    check_issuer_is_secure,
    check_key_encryption_keys,
    check_signing_keys_open,
    check_lifetime,
    check_token_storage,
)


def _issues_tokens() -> bool:
    return apps.is_installed("oauth2_provider")


def _readable() -> bool:
    try:
        app_settings()
    except ImproperlyConfigured:
        return False
    return True


def _imported(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return import_string(value)
    except ImportError:
        return None


def _names(value: Any, dotted_path: str) -> bool:
    return value == dotted_path or (value is not None and _imported(value) is import_string(dotted_path))
