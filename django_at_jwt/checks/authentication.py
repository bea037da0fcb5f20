"""What is claimed of a login: methods that exist, of backends that are used, by callables that can be called."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name

from django_at_jwt.conf import app_settings
from django_at_jwt.core.authentication import REGISTERED_METHODS

from .ids import CheckId, issues_tokens, problem_with_callable, readable

if TYPE_CHECKING:
    from collections.abc import Iterable


def check_authentication_callables(**_kwargs: Any) -> list[CheckMessage]:
    """The site's own callables can be imported and called; without them nobody could log in."""
    if not issues_tokens() or not readable():
        return []
    named = {
        "AUTHENTICATION_EVENT": app_settings().authentication_event,
        "AUTHENTICATION_CONTEXTS": app_settings().authentication_contexts,
    }
    return [
        Error(
            f"AT_JWT[{name!r}] is {path!r}, which {problem}.",
            hint="Write the dotted path of a function. Until then every login fails.",
            id=CheckId.AUTHENTICATION_CALLABLE,
        )
        for name, path in named.items()
        if isinstance(path, str) and (problem := problem_with_callable(path))
    ]


def check_authentication_backends(**_kwargs: Any) -> list[CheckMessage]:
    """Each backend that methods are given for is one that users log in with."""
    if not issues_tokens() or not readable():
        return []
    backends = django_settings.AUTHENTICATION_BACKENDS
    return [
        Warning(
            f"AT_JWT['AUTHENTICATION_METHODS'] names {backend!r}, which is not in AUTHENTICATION_BACKENDS.",
            hint=f"{_nearest(backend, backends)} A backend is looked up by exactly this path; a subclass has its own.",
            id=CheckId.UNUSED_AUTHENTICATION_BACKEND,
        )
        for backend in app_settings().authentication_methods or {}
        if backend not in backends
    ]


def check_authentication_methods(**_kwargs: Any) -> list[CheckMessage]:
    """Methods have registered names, which others understand (RFC 8176)."""
    if not issues_tokens() or not readable():
        return []
    contexts = app_settings().authentication_contexts
    tables = {
        "AUTHENTICATION_METHODS": app_settings().authentication_methods or {},
        "AUTHENTICATION_CONTEXTS": {} if contexts is None or isinstance(contexts, str) else contexts,
    }
    return [
        Warning(
            f"AT_JWT[{name!r}] has {method!r}, which is no registered authentication method (RFC 8176).",
            hint=f"{_nearest(method, REGISTERED_METHODS)} Silence this warning if the name is one of your own.",
            id=CheckId.UNREGISTERED_AUTHENTICATION_METHOD,
        )
        for name, table in tables.items()
        for method in dict.fromkeys(method for methods in table.values() for method in methods)
        if method not in REGISTERED_METHODS
    ]


def _nearest(word: str, words: Iterable[str]) -> str:
    known = list(words)
    nearest = difflib.get_close_matches(word, known, n=1)
    return f"{nearest[0]!r} is the nearest." if nearest else f"There are {', '.join(known)}."


def check_allauth(**_kwargs: Any) -> list[CheckMessage]:
    """The installed django-allauth says whose login it has recorded."""
    if not issues_tokens():
        return []
    from django_at_jwt.authorization_server.login import allauth as allauth_records  # noqa: PLC0415 - only where tokens are issued

    if not allauth_records.is_installed() or allauth_records.names_the_user():
        return []
    return [
        Warning(
            "This django-allauth does not say whose login it has recorded, so the records are not read.",
            hint="Install django-allauth 65.21 or later. Until then tokens do not say how its users have logged in.",
            id=CheckId.OLD_ALLAUTH,
        )
    ]
