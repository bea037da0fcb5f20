"""When, how and how strongly the user of a session logged in: recorded at login, in that session and nowhere else."""

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
from django_at_jwt.core.authentication import (
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
# Another text after each login. It is kept even where the site says nothing of a login.
_LOGIN: Final = "django_at_jwt.login"
_METHODS_OF_DJANGO: Final[Mapping[str, tuple[str, ...]]] = {
    "django.contrib.auth.backends.ModelBackend": (PASSWORD,),
    "django.contrib.auth.backends.AllowAllUsersModelBackend": (PASSWORD,),
}


def connect() -> None:
    """Record logins from now on."""
    user_logged_in.connect(_logged_in, dispatch_uid=_ENTRY)
    allauth_records.connect(_step_completed, uid=_ENTRY)


def authentication_of(request: HttpRequest) -> AuthenticationEvent | None:
    """Give the login of the user who makes this request in a session.

    ``None`` where nothing is known: nobody is logged in, the user was not taken from the session, or the session is
    from before this app was installed. Then no token may claim anything; ``last_login`` is no substitute, since it
    moves.
    """
    session, user = getattr(request, "session", None), getattr(request, "user", None)
    if session is None or user is None or not user.is_authenticated:
        return None
    return _authentication_in(session, user)


def authentication_by_cookie(cookies: str, user: AbstractBaseUser) -> AuthenticationEvent | None:
    """Return the login in the session that a ``Cookie`` header names, for code that has no request of Django's.

    Args:
        cookies: the header's value.
        user: the user that the authentication middleware has taken from that session. The session is read again here;
            ``None`` is returned if it is another user's, or nothing was recorded in it.
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
    """Return the identifier of the session's latest login, or ``None`` if there is none since this app was installed.

    It changes with each login and each reauthentication in the session. Two sessions never have the same.
    """
    session = getattr(request, "session", None)
    login: str | None = None if session is None else session.get(_LOGIN)
    return login


def authentication_by_password(user: AbstractBaseUser, now: float) -> AuthenticationEvent:
    """Give the login that a password grant is: no session, and a password that a client passes on (RFC 6749 §4.3).

    Args:
        user: as ``authenticate()`` gave it. What ``AUTHENTICATION_METHODS`` says of its backend goes before ``pwd``.
        now: seconds since the epoch.
    """
    methods = _methods_by_backend().get(getattr(user, "backend", ""), (PASSWORD,))
    return _with_context(AuthenticationEvent(authenticated_at=int(now), methods=combined_methods(methods)), user)


def _logged_in(*, request: HttpRequest | None, user: AbstractBaseUser, **_kwargs: Any) -> None:
    """Receive Django's signal, which other apps send as well, for logins that have no session."""
    session = _session_of(request, user)
    if request is None or session is None:
        return
    now = time.time()
    steps = allauth_records.steps_of(request, user)
    earliest = now - allauth_records.login_timeout()
    # Where django-allauth knows how, the backend is not asked: it may be any one that has the user.
    methods = () if any(step.at >= earliest for step in steps) else _methods_of_login(session, user)
    _record(request, user, [*steps, AuthenticationStep(at=now, methods=methods)])


def _step_completed(*, request: HttpRequest, user: AbstractBaseUser, **_kwargs: Any) -> None:
    """Receive django-allauth's signal: a user who is logged in already has just confirmed it."""
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
    """Take what the site's own callable has given."""
    if answer is None:
        return None
    if not isinstance(answer, AuthenticationEvent) or answer.authenticated_at > latest:
        raise ImproperlyConfigured(
            f"{path}, which {SETTING_NAME}['AUTHENTICATION_EVENT'] names, must give an AuthenticationEvent that does "
            "not lie in the future, None or NotImplemented."
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
            f"{contexts}, which {SETTING_NAME}['AUTHENTICATION_CONTEXTS'] names, must give an acr or None."
        ) from error


def _session_of(request: HttpRequest | None, user: AbstractBaseUser) -> Any:
    """Give the request's session if that is where this user is logged in."""
    session: Any = getattr(request, "session", None)
    return session if session is not None and session.get(SESSION_KEY) == _id_of(user) else None


def _methods_of_login(session: Any, user: AbstractBaseUser) -> tuple[str, ...]:
    """Give what the backend stands for, if it has authenticated this user.

    ``authenticate()`` leaves its mark on the user that it gives. Without it, as after a password reset or behind a link
    in an e-mail, the site has only named a backend to ``login()``, which has seen no password.
    """
    backend = session.get(BACKEND_SESSION_KEY)
    return _methods_by_backend().get(backend, ()) if backend == getattr(user, "backend", None) else ()


def _methods_by_backend() -> Mapping[str, tuple[str, ...]]:
    return {**_METHODS_OF_DJANGO, **(app_settings().authentication_methods or {})}


def _id_of(user: AbstractBaseUser) -> str:
    """Give the user's key as Django writes it into a session."""
    return str(user._meta.pk.value_to_string(user))
