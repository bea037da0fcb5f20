"""The checks with their ids, and the conditions under which they run."""

from __future__ import annotations

import sys
from enum import StrEnum
from functools import wraps
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.db import Error as AnyDatabaseError
from django.utils.connection import ConnectionDoesNotExist
from django.utils.module_loading import import_string

from django_at_jwt.conf import app_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.checks import CheckMessage

    _Check = Callable[..., list[CheckMessage]]

# What reading a table raises without a database, or before "migrate" has created the table.
UNREADABLE: Final = (AnyDatabaseError, ConnectionDoesNotExist)


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
    AUTHENTICATION_CALLABLE = "django_at_jwt.E011"
    UNUSABLE_RESOURCE_SERVER = "django_at_jwt.E012"
    UNUSABLE_SUBJECT = "django_at_jwt.E013"
    NO_AUDIENCE_FOR_ISSUER = "django_at_jwt.E014"
    BAD_REMOTE_ISSUER = "django_at_jwt.E015"
    UNREADABLE_RESOURCE_SERVER = "django_at_jwt.E016"
    UNUSABLE_MAPPER = "django_at_jwt.E017"
    UNUSABLE_USER_MODE = "django_at_jwt.E021"
    NO_ISSUER_FOR_AUDIENCE = "django_at_jwt.E022"
    WRONG_USER_MODEL = "django_at_jwt.E023"
    CLIENT_SECRET_HASHER_FIRST = "django_at_jwt.E024"  # noqa: S105 - an id
    NO_CLIENT_SECRET_HASHER = "django_at_jwt.E025"  # noqa: S105 - an id
    UNUSABLE_REVOCATION = "django_at_jwt.E026"
    UNUSABLE_LIFETIME = "django_at_jwt.E027"
    UNUSABLE_MCP_SETTING = "django_at_jwt.E028"
    REGISTRATION_CONFLICT = "django_at_jwt.E029"
    EQUIVALENT_IDENTIFIERS = "django_at_jwt.E030"
    UNUSABLE_TOKEN_FIELD = "django_at_jwt.E031"  # noqa: S105 - an id
    INSECURE_ISSUER = "django_at_jwt.E101"
    UNOPENABLE_KEY = "django_at_jwt.E102"
    NO_SIGNING_KEY = "django_at_jwt.W001"
    NO_WELL_KNOWN_URLS = "django_at_jwt.W002"
    ISSUER_ELSEWHERE = "django_at_jwt.W003"
    LARGE_TOKENS = "django_at_jwt.W004"
    UNUSED_AUTHENTICATION_BACKEND = "django_at_jwt.W005"
    UNREGISTERED_AUTHENTICATION_METHOD = "django_at_jwt.W006"
    OLD_ALLAUTH = "django_at_jwt.W007"
    REUSABLE_SUBJECT = "django_at_jwt.W008"
    AMBIGUOUS_SECTOR = "django_at_jwt.W009"
    REGISTERED_TWICE = "django_at_jwt.W010"
    NO_AUDIENCE_FOR_VIEWS = "django_at_jwt.W011"
    SEVERAL_DEFAULTS = "django_at_jwt.W012"
    UNKNOWN_SCOPE = "django_at_jwt.W013"
    NO_ISSUERS = "django_at_jwt.W014"
    NO_WAY_BACK = "django_at_jwt.W015"
    UNMAPPABLE_FIELD = "django_at_jwt.W016"
    KEY_IS_MISSING = "django_at_jwt.W017"
    WRONG_KEY_TIMES = "django_at_jwt.W018"
    NOT_FIRST_AUTHENTICATION = "django_at_jwt.W019"
    NO_TABLE_OF_SUBJECTS = "django_at_jwt.W021"
    UNPROTECTED_ENDPOINT = "django_at_jwt.W024"
    NO_CLIENT_SECRET_KEY = "django_at_jwt.W025"  # noqa: S105 - an id
    NO_CLIENTS = "django_at_jwt.W030"
    NO_INTROSPECTION_CLIENT = "django_at_jwt.W031"
    NO_API_FOR_REGISTERED_CLIENTS = "django_at_jwt.W032"
    CORS_MIDDLEWARE_DIFFERS = "django_at_jwt.W033"
    REGISTRATIONS_NOT_COUNTED = "django_at_jwt.W034"
    UNSTORED_TOKENS = "django_at_jwt.W035"
    FOREIGN_METADATA = "django_at_jwt.W036"
    UNREACHABLE_BEARER_AUTHENTICATION = "django_at_jwt.W037"
    NO_EXCLUSIVE_BEARER_AUTHENTICATION = "django_at_jwt.W038"
    OPAQUE_TOKENS_REFUSED = "django_at_jwt.W039"
    UNUSED_INTROSPECTION_SCOPE = "django_at_jwt.W040"
    DEFAULT_RESOURCE_ELSEWHERE = "django_at_jwt.W041"
    AUDIENCE_NOT_ISSUED = "django_at_jwt.W042"
    ISSUER_NOT_SERVED = "django_at_jwt.W043"
    HELPER_NOT_FIRST = "django_at_jwt.W044"
    CLIENT_METADATA_OFF = "django_at_jwt.W045"
    CHANGED_MCP_SETTING = "django_at_jwt.W046"
    LOOPBACK_CLIENT_METADATA = "django_at_jwt.W047"
    REVOCATIONS_NOT_SERVED = "django_at_jwt.W048"
    UNKNOWN_NAME = "django_at_jwt.W049"
    LIFETIME_FUNCTION = "django_at_jwt.W050"
    UNTRIED_TOOLKIT = "django_at_jwt.W051"
    NO_TIME_ZONES = "django_at_jwt.W052"
    DERIVED_KEY_ENCRYPTION_KEY = "django_at_jwt.W101"
    LONG_LIFETIME = "django_at_jwt.W102"
    PLAINTEXT_TOKENS = "django_at_jwt.W103"
    OLD_KEY_ENCRYPTION_KEY = "django_at_jwt.W104"
    ISSUERS_NOT_SHARED = "django_at_jwt.W105"
    UNOPENABLE_FORMER_KEY = "django_at_jwt.W106"
    SLOW_CLIENT_SECRETS = "django_at_jwt.W107"
    ROTATION_NOT_RUN = "django_at_jwt.W108"
    NO_PKCE = "django_at_jwt.W111"
    PLAIN_PKCE = "django_at_jwt.W112"
    FRONT_CHANNEL_TOKENS = "django_at_jwt.W113"
    PASSWORD_GRANT = "django_at_jwt.W114"  # noqa: S105 - an id
    TOKENS_IN_QUERY = "django_at_jwt.W115"
    NO_ISS_IN_RESPONSES = "django_at_jwt.W116"
    NO_ROTATION = "django_at_jwt.W117"
    NO_REUSE_PROTECTION = "django_at_jwt.W118"
    ENDLESS_REFRESH_TOKENS = "django_at_jwt.W119"
    GRACE_PERIOD = "django_at_jwt.W120"
    PUBLIC_CLIENT_CREDENTIALS = "django_at_jwt.W121"


ALL_CHECKS: Final[list[_Check]] = []
DEPLOYMENT_CHECKS: Final[list[_Check]] = []


def system_check(*conditions: Callable[[], bool], deploy: bool = False) -> Callable[[_Check], _Check]:
    """Add a check that runs only if all conditions are true. They are evaluated in this order.

    Args:
        deploy: run it only with ``manage.py check --deploy``.
    """

    def decorate(check: _Check) -> _Check:
        @wraps(check)
        def conditional(**kwargs: Any) -> list[CheckMessage]:
            return check(**kwargs) if all(condition() for condition in conditions) else []

        (DEPLOYMENT_CHECKS if deploy else ALL_CHECKS).append(conditional)
        return conditional

    return decorate


def issues_tokens() -> bool:
    """Return whether this project is an authorization server."""
    return apps.is_installed("oauth2_provider")


def settings_valid() -> bool:
    """Return whether ``AT_JWT`` is usable; if it is not, ``check_settings`` reports why."""
    try:
        app_settings()
    except ImproperlyConfigured:
        return False
    return True


def has_root_urlconf() -> bool:
    """Return whether this project has URLs."""
    return bool(getattr(django_settings, "ROOT_URLCONF", None))


def views_take_access_tokens() -> bool:
    """Return whether importing the views of this project imports the module with the authentication class."""
    if has_root_urlconf():
        import_module(django_settings.ROOT_URLCONF)
    return "django_at_jwt.rest_framework" in sys.modules


def imported(value: Any) -> Any:
    """Return what a dotted path names, or ``None`` if it cannot be imported; any other value as it is."""
    if not isinstance(value, str):
        return value
    try:
        return import_string(value)
    except ImportError:
        return None


def problem_with_callable(path: str) -> str | None:
    """Return the problem of a callable's dotted path, as the rest of a sentence, or ``None``."""
    try:
        return None if callable(import_string(path)) else "is not callable"
    except ImportError as error:
        return f"cannot be imported ({error})"
