"""Checks of the settings for ``amr``, ``acr`` and ``auth_time``."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name

from django_at_jwt.conf import app_settings, nearest_name
from django_at_jwt.core.login import REGISTERED_METHODS

from .ids import CheckId, issues_tokens, problem_with_callable, settings_valid, system_check


@system_check(issues_tokens, settings_valid)
def check_authentication_callables(**_kwargs: Any) -> list[CheckMessage]:
    """Check that the site's callables for logins exist; without them every login fails."""
    callables = {
        "AUTHENTICATION_EVENT": app_settings().authentication_event,
        "AUTHENTICATION_CONTEXTS": app_settings().authentication_contexts,
    }
    return [
        Error(
            f'AT_JWT["{name}"] is {path!r}, which {problem}, so every login fails.',
            hint="Set it to the dotted path of a function.",
            id=CheckId.AUTHENTICATION_CALLABLE,
        )
        for name, path in callables.items()
        if isinstance(path, str) and (problem := problem_with_callable(path))
    ]


@system_check(issues_tokens, settings_valid)
def check_authentication_backends(**_kwargs: Any) -> list[CheckMessage]:
    """Check that each backend in ``AT_JWT["AUTHENTICATION_METHODS"]`` is in use."""
    backends = django_settings.AUTHENTICATION_BACKENDS
    return [
        Warning(
            f'AT_JWT["AUTHENTICATION_METHODS"] contains {backend!r}, which is not in AUTHENTICATION_BACKENDS.',
            hint=f"Use {nearest_name(backend, backends)}. The path must be exactly that in AUTHENTICATION_BACKENDS; a "
            "subclass of a backend needs its own entry.",
            id=CheckId.UNUSED_AUTHENTICATION_BACKEND,
        )
        for backend in app_settings().authentication_methods or {}
        if backend not in backends
    ]


@system_check(issues_tokens, settings_valid)
def check_authentication_methods(**_kwargs: Any) -> list[CheckMessage]:
    """Check that ``amr`` values are registered (RFC 8176), so that resource servers understand them."""
    contexts = app_settings().authentication_contexts
    tables = {
        "AUTHENTICATION_METHODS": app_settings().authentication_methods or {},
        "AUTHENTICATION_CONTEXTS": {} if contexts is None or isinstance(contexts, str) else contexts,
    }
    return [
        Warning(
            f'AT_JWT["{name}"] contains {method!r}, which is not a registered authentication method (RFC 8176).',
            hint=f"Use {nearest_name(method, REGISTERED_METHODS)}, or silence this warning for a value that you "
            "define yourself.",
            id=CheckId.UNREGISTERED_AUTHENTICATION_METHOD,
        )
        for name, table in tables.items()
        for method in dict.fromkeys(method for methods in table.values() for method in methods)
        if method not in REGISTERED_METHODS
    ]


@system_check(issues_tokens)
def check_allauth(**_kwargs: Any) -> list[CheckMessage]:
    """Check that the installed django-allauth records the user of a login."""
    from django_at_jwt.authorization_server.login import allauth as allauth_records  # noqa: PLC0415 - only where tokens are issued

    if not allauth_records.is_installed() or allauth_records.names_the_user():
        return []
    return [
        Warning(
            "The installed django-allauth does not record the user of a login, so tokens of its users have no amr.",
            hint="Install django-allauth 65.21 or later.",
            id=CheckId.OLD_ALLAUTH,
        )
    ]
