"""Logins requested by authorization requests (``prompt``, ``max_age``), stored in the user's session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django_at_jwt.core.login import LoginAsk, LoginAsks, identity_of

from .events import login_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

_ENTRY: Final = "django_at_jwt.login_asks"


def login_ask(request: HttpRequest, parameters: Mapping[str, str]) -> LoginAsk | None:
    """Return the pending login that an authorization request asked this session's user for, or ``None``.

    Args:
        parameters: parameters of the authorization request, from its query or its consent form.
    """
    return _asks(request).of(identity_of(parameters), login=login_of(request))


def remember_ask(request: HttpRequest, parameters: Mapping[str, str], *, required: bool) -> None:
    """Store that an authorization request asks for a login, together with the session's current login.

    Flushing the session, as when another user logs in, drops it; that user has just logged in.

    Args:
        parameters: parameters of the authorization request, from its query or its consent form.
        required: whether the request must not continue without another login, as with ``prompt=login``. An ask once
            required stays required.
    """
    identity, asks = identity_of(parameters), _asks(request)
    before = asks.of(identity, login=login_of(request))
    required = required or (before is not None and before.required)
    _store(request, asks.adding(LoginAsk(request=identity, after=login_of(request), required=required)))


def forget_ask(request: HttpRequest, ask: LoginAsk) -> None:
    """Delete the ask of a request that continues. A login that answered it answers no other ask."""
    _store(request, _asks(request).answered(ask, login=login_of(request)))


def _asks(request: HttpRequest) -> LoginAsks:
    session = getattr(request, "session", None)
    return LoginAsks() if session is None else LoginAsks.from_session(session.get(_ENTRY, ()))


def _store(request: HttpRequest, asks: LoginAsks) -> None:
    session = getattr(request, "session", None)
    if session is not None:
        session[_ENTRY] = asks.to_session()
