"""Checks of client registration, and of scripts in browsers that use the endpoints."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name

from django_at_jwt.conf import app_settings, toolkit_setting

from .ids import UNREADABLE, CheckId, has_root_urlconf, issues_tokens, settings_valid, system_check
from .issuers import problem_with_cache
from .resource_servers import registered_servers

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_CORS_MIDDLEWARE: Final = "corsheaders.middleware.CorsMiddleware"


@system_check(issues_tokens, settings_valid)
def check_registration_settings(**_kwargs: Any) -> list[CheckMessage]:
    """Check that django-oauth-toolkit's settings do not contradict ``AT_JWT["CLIENT_REGISTRATION"]``."""
    chosen = app_settings().client_registration
    if chosen is None:
        return []
    return [
        Error(
            f'AT_JWT["CLIENT_REGISTRATION"] is {chosen!r}, but OAUTH2_PROVIDER["{name}"] is {value!r}.',
            hint=f'Remove "{name}" from OAUTH2_PROVIDER, which this setting replaces. To use it instead, remove '
            '"CLIENT_REGISTRATION" from AT_JWT.',
            id=CheckId.REGISTRATION_CONFLICT,
        )
        for name, value in _contradictions(chosen)
    ]


def _contradictions(chosen: str) -> Iterator[tuple[str, object]]:
    enabled = toolkit_setting("DCR_ENABLED")
    if enabled is not None and bool(enabled) is (chosen == "closed"):
        yield "DCR_ENABLED", enabled
    classes = toolkit_setting("DCR_REGISTRATION_PERMISSION_CLASSES")
    if classes is not None:
        yield "DCR_REGISTRATION_PERMISSION_CLASSES", classes


@system_check(issues_tokens, settings_valid)
def check_apis_of_registered_clients(**_kwargs: Any) -> list[CheckMessage]:
    """Check that clients which register themselves can get tokens for some API."""
    servers = [server for server in registered_servers() or () if server.enabled]
    if not servers or any(server.registered_clients for server in servers):
        return []
    named = {client_id for server in servers for client_id in server.client_ids or ()}
    if not (_can_register() or _has_registered_clients(without=named)):
        return []
    return [
        Warning(
            "Clients that register themselves get no tokens: no resource server is open to them. An API that is "
            "open to all clients is not open to these.",
            hint='Tick "open to clients that register themselves" for an API in the admin, or add '
            '"registered_clients": True to it in AT_JWT["RESOURCE_SERVERS"]. To open no API to them, silence this '
            "warning.",
            id=CheckId.NO_API_FOR_REGISTERED_CLIENTS,
        )
    ]


def _can_register() -> bool:
    from oauth2_provider.settings import oauth2_settings  # noqa: PLC0415 - a project that only verifies has no toolkit

    from django_at_jwt.authorization_server.registration import registration_is_enabled  # noqa: PLC0415

    return registration_is_enabled() or bool(oauth2_settings.CIMD_ENABLED)


def _has_registered_clients(*, without: Collection[str]) -> bool:
    from oauth2_provider.models import get_application_model  # noqa: PLC0415 - as above

    from django_at_jwt.authorization_server.registration import SELF_REGISTERED  # noqa: PLC0415

    rows = get_application_model()._default_manager.filter(registration_source__in=SELF_REGISTERED)
    try:
        return bool(rows.exclude(client_id__in=without).exists())
    except UNREADABLE:
        return False


@system_check(issues_tokens, settings_valid, deploy=True)
def check_registrations_are_counted(**_kwargs: Any) -> list[CheckMessage]:
    """Check that all processes count registrations together."""
    settings = app_settings()
    if settings.client_registration != "open" or settings.client_registration_rate is None:
        return []
    problem = problem_with_cache(settings.attempt_cache)
    if problem is None:
        return []
    return [
        Warning(
            f'AT_JWT["ATTEMPT_CACHE"] is {settings.attempt_cache!r}, {problem}, so each process counts the '
            "registrations of an address separately.",
            hint="Set it to a shared cache, for instance Redis. Silence this warning for a single process or a few.",
            id=CheckId.REGISTRATIONS_NOT_COUNTED,
        )
    ]


@system_check(issues_tokens, settings_valid, has_root_urlconf)
def check_cors_middleware(**_kwargs: Any) -> list[CheckMessage]:
    """Check that django-cors-headers, which answers preflight requests first, allows the same origins."""
    from django_at_jwt.authorization_server.endpoint_urls import endpoint_path  # noqa: PLC0415 - as above

    origins = app_settings().cors_allowed_origins
    path = endpoint_path("token")
    if not origins or path is None or _CORS_MIDDLEWARE not in django_settings.MIDDLEWARE:
        return []
    handles = re.match(_cors_setting("CORS_URLS_REGEX", r"^.*$"), path)
    missing = ["*"] if origins == "*" else [each for each in origins if not _is_allowed_by_middleware(each)]
    allows_all = _cors_setting("CORS_ALLOW_ALL_ORIGINS", _cors_setting("CORS_ORIGIN_ALLOW_ALL", default=False))
    if not handles or allows_all or not missing:
        return []
    return [
        Warning(
            f"django-cors-headers answers preflight requests to {path} and does not allow origins of "
            f'AT_JWT["CORS_ALLOWED_ORIGINS"]: {", ".join(missing)}.',
            hint=f"Make CORS_URLS_REGEX not match {path} and the other endpoints, or allow the origins there too.",
            id=CheckId.CORS_MIDDLEWARE_DIFFERS,
        )
    ]


def _is_allowed_by_middleware(origin: str) -> bool:
    # The second name of each is the former one, which still works.
    origins = _cors_setting("CORS_ALLOWED_ORIGINS", _cors_setting("CORS_ORIGIN_WHITELIST", ()))
    patterns = _cors_setting("CORS_ALLOWED_ORIGIN_REGEXES", _cors_setting("CORS_ORIGIN_REGEX_WHITELIST", ()))
    return origin in origins or any(re.match(each, origin) for each in patterns)


def _cors_setting(name: str, default: Any) -> Any:
    return getattr(django_settings, name, default)
