"""The logins that authorization requests asked for, in the session of the user who was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django_at_jwt.core.authentication import LoginAsk, LoginAsks, identity_of

from .events import login_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

_ENTRY: Final = "django_at_jwt.login_asks"


def login_ask(request: HttpRequest, parameters: Mapping[str, str]) -> LoginAsk | None:
    """Return what an authorization request has asked of this session's user before, if it still waits for it.

    Args:
        parameters: of the authorization request, from its query or from its consent form.
    """
    return _asks(request).of(identity_of(parameters), login=login_of(request))


def remember_ask(request: HttpRequest, parameters: Mapping[str, str], *, required: bool) -> None:
    """Remember that an authorization request asks for a login, and which one the session has until then.

    A session that is flushed, as when another user logs in, forgets it. Its next user has logged in since.

    Args:
        parameters: of the authorization request, from its query or from its consent form.
        required: whether the request must not go on without another login, as with ``prompt=login``. An ask that was
            required stays so.
    """
    identity, asks = identity_of(parameters), _asks(request)
    before = asks.of(identity, login=login_of(request))
    required = required or (before is not None and before.required)
    _store(request, asks.adding(LoginAsk(request=identity, after=login_of(request), required=required)))


def forget_ask(request: HttpRequest, ask: LoginAsk) -> None:
    """Forget an ask whose request goes on. If a login followed it, that login counts for no other ask."""
    _store(request, _asks(request).answered(ask, login=login_of(request)))


def _asks(request: HttpRequest) -> LoginAsks:
    session = getattr(request, "session", None)
    return LoginAsks() if session is None else LoginAsks.from_session(session.get(_ENTRY, ()))


def _store(request: HttpRequest, asks: LoginAsks) -> None:
    session = getattr(request, "session", None)
    if session is not None:
        session[_ENTRY] = asks.to_session()
