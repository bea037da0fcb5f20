"""When, how and how strongly a user logged in, recorded in the session at login and nowhere else."""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings as django_settings
from django.contrib.auth import BACKEND_SESSION_KEY, SESSION_KEY
from django.contrib.auth.signals import user_logged_in
from django.core.exceptions import ImproperlyConfigured
from django.http import parse_cookie
from django.utils.module_loading import import_string

from django_at_jwt.conf import SETTING_NAME, app_settings
from django_at_jwt.core.login import (
    PASSWORD,
    AuthenticationEvent,
    AuthenticationStep,
    combined_methods,
    context_for,
    latest_authentication,
)

from . import allauth as allauth_records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest

_ENTRY: Final = "django_at_jwt.authentication"
# A random identifier of the latest login, stored even if no authentication event is recorded.
_LOGIN: Final = "django_at_jwt.login"
_DJANGO_METHODS: Final[Mapping[str, tuple[str, ...]]] = {
    "django.contrib.auth.backends.ModelBackend": (PASSWORD,),
    "django.contrib.auth.backends.AllowAllUsersModelBackend": (PASSWORD,),
}


def connect() -> None:
    """Connect the signal receivers that record logins."""
    user_logged_in.connect(_logged_in, dispatch_uid=_ENTRY)
    allauth_records.connect(_step_completed, uid=_ENTRY)


def authentication_of(request: HttpRequest) -> AuthenticationEvent | None:
    """Return the authentication event of the user who makes this request.

    ``None`` if it is unknown: no user is logged in, the user was not taken from the session, or the session is older
    than the installation of this app. Tokens then carry no authentication claims; ``last_login`` is no substitute,
    since a login in another session changes it.
    """
    session, user = getattr(request, "session", None), getattr(request, "user", None)
    if session is None or user is None or not user.is_authenticated:
        return None
    return _authentication_in(session, user)


def authentication_by_cookie(cookies: str, user: AbstractBaseUser) -> AuthenticationEvent | None:
    """Return the authentication event in the session of a ``Cookie`` header, for code without a Django request.

    Args:
        cookies: the header's value.
        user: the user whom the authentication middleware took from that session. The session is read again; the result
            is ``None`` if it belongs to another user, or no event was recorded in it.
    """
    key = parse_cookie(cookies).get(django_settings.SESSION_COOKIE_NAME)
    if not key:
        return None
    return _authentication_in(import_module(django_settings.SESSION_ENGINE).SessionStore(key), user)


def _authentication_in(session: Any, user: AbstractBaseUser) -> AuthenticationEvent | None:
    entry = session.get(_ENTRY)
    if not isinstance(entry, dict) or not entry.get("user") == session.get(SESSION_KEY) == _id_of(user):
        return None
    return AuthenticationEvent.from_session(entry.get("event"), now=time.time() + app_settings().leeway)


def login_of(request: HttpRequest) -> str | None:
    """Return the identifier of the session's latest login, or ``None`` if none was recorded.

    It changes with each login and reauthentication, and is unique across sessions.
    """
    session = getattr(request, "session", None)
    login: str | None = None if session is None else session.get(_LOGIN)
    return login


def authentication_by_password(user: AbstractBaseUser, now: float) -> AuthenticationEvent:
    """Return the authentication event of a password grant (RFC 6749 section 4.3), which has no session.

    Args:
        user: as returned by ``authenticate()``. ``AUTHENTICATION_METHODS`` of its backend override ``pwd``.
        now: seconds since the epoch.
    """
    methods = _methods_by_backend().get(getattr(user, "backend", ""), (PASSWORD,))
    return _with_context(AuthenticationEvent(authenticated_at=int(now), methods=combined_methods(methods)), user)


def _logged_in(*, request: HttpRequest | None, user: AbstractBaseUser, **_kwargs: Any) -> None:
    """Record a login. Other apps send this signal too, for logins without a session."""
    session = _session_of(request, user)
    if request is None or session is None:
        return
    now = time.time()
    steps = allauth_records.steps_of(request, user)
    earliest = now - allauth_records.login_timeout()
    # If django-allauth recorded the methods, ignore the backend: it may be any backend that has the user.
    methods = () if any(step.at >= earliest for step in steps) else _methods_of_login(session, user)
    _record(request, user, [*steps, AuthenticationStep(at=now, methods=methods)])


def _step_completed(*, request: HttpRequest, user: AbstractBaseUser, **_kwargs: Any) -> None:
    """Record a step of django-allauth if the user is already logged in: a reauthentication."""
    if _session_of(request, user) is not None:
        _record(request, user, allauth_records.steps_of(request, user))


def _record(request: HttpRequest, user: AbstractBaseUser, steps: Sequence[AuthenticationStep]) -> None:
    request.session[_LOGIN] = secrets.token_urlsafe(12)
    event = _event(request, user, steps)
    if event is None:
        request.session.pop(_ENTRY, None)
    else:
        request.session[_ENTRY] = {"user": _id_of(user), "event": event.to_session()}


def _event(
    request: HttpRequest, user: AbstractBaseUser, steps: Sequence[AuthenticationStep]
) -> AuthenticationEvent | None:
    latest = time.time() + app_settings().leeway
    path = app_settings().authentication_event
    if path is not None:
        answer = import_string(path)(request, user)
        if answer is not NotImplemented:
            return _checked(answer, user, path=path, latest=latest)
    event = latest_authentication(steps, within=allauth_records.login_timeout(), now=latest)
    return None if event is None else _with_context(event, user)


def _checked(answer: object, user: AbstractBaseUser, *, path: str, latest: float) -> AuthenticationEvent | None:
    """Return the event that the site's own callable returned, with a context."""
    if answer is None:
        return None
    if not isinstance(answer, AuthenticationEvent) or answer.authenticated_at > latest:
        raise ImproperlyConfigured(
            f'{SETTING_NAME}["AUTHENTICATION_EVENT"] ({path}) must return an AuthenticationEvent that is not in the '
            "future, None or NotImplemented."
        )
    return answer if answer.context is not None else _with_context(answer, user)


def _with_context(event: AuthenticationEvent, user: AbstractBaseUser) -> AuthenticationEvent:
    contexts = app_settings().authentication_contexts
    if contexts is None:
        return event
    if not isinstance(contexts, str):
        return replace(event, context=context_for(event.methods, contexts))
    try:
        return replace(event, context=import_string(contexts)(event, user))
    except ValueError as error:
        raise ImproperlyConfigured(
            f'{SETTING_NAME}["AUTHENTICATION_CONTEXTS"] ({contexts}) must return an acr or None.'
        ) from error


def _session_of(request: HttpRequest | None, user: AbstractBaseUser) -> Any:
    """Return the request's session if this user is logged in there, or ``None``."""
    session: Any = getattr(request, "session", None)
    return session if session is not None and session.get(SESSION_KEY) == _id_of(user) else None


def _methods_of_login(session: Any, user: AbstractBaseUser) -> tuple[str, ...]:
    """Return the methods of the session's backend if it authenticated this user.

    ``authenticate()`` sets ``user.backend``. Without it, as after a password reset or a login link in an e-mail, the
    site only passed a backend to ``login()``, and the backend has checked no credentials.
    """
    backend = session.get(BACKEND_SESSION_KEY)
    return _methods_by_backend().get(backend, ()) if backend == getattr(user, "backend", None) else ()


def _methods_by_backend() -> Mapping[str, tuple[str, ...]]:
    return {**_DJANGO_METHODS, **(app_settings().authentication_methods or {})}


def _id_of(user: AbstractBaseUser) -> str:
    """Return the user's primary key as Django stores it in a session."""
    return str(user._meta.pk.value_to_string(user))
