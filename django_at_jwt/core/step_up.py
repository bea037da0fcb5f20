"""Whether a login is recent and strong enough for what a client asks of it: RFC 9470 §4 and §5, on plain values."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .authentication import AuthenticationEvent

_LONGEST_NUMBER: Final = 9
# The authorization requests of one session for which the user was sent to log in and has not come back.
MOST_ASKS: Final = 16
# In place of a request's identity: every request that has no ask.
_ANY: Final = ""


class Verdict(StrEnum):
    """Whether a login meets a demand, another login may meet it, or the login that was asked for does not meet it."""

    ENOUGH = "enough"
    LOG_IN = "log in"
    UNMET = "unmet"


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginAsk:
    """A login that an authorization request asked for.

    Logins are compared by an identifier, not by their time: ``auth_time`` has whole seconds, and a login in the same
    second may have come before the request.

    Attributes:
        request: the identity of the authorization request (:func:`identity_of`).
        after: the identifier of the session's login when it was asked, or ``None`` if there was none.
        required: whether the request must not go on without another login, as with ``prompt=login``.
    """

    request: str
    after: str | None
    required: bool

    def is_followed_by(self, login: str | None) -> bool:
        """Return whether a login is another one than the session had when the request asked."""
        return login is not None and login != self.after


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginDemand:
    """What an authorization request asks of the user's login.

    Attributes:
        new_login: whether the user has to log in for this request, however recent their login is.
        max_age: seconds that may have passed since the login, or ``None`` for any number.
        contexts: the ``acr`` values of which one will do; none for any.
    """

    new_login: bool = False
    max_age: int | None = None
    contexts: tuple[str, ...] = ()

    @classmethod
    def of(cls, *, prompt: str, max_age: str, acr_values: str) -> Self:
        """Read the parameters of a request; a ``max_age`` that is not a number of seconds is ignored."""
        is_number = max_age.isascii() and max_age.isdigit()
        return cls(
            new_login="login" in prompt.split(),
            max_age=int(max_age[:_LONGEST_NUMBER]) if is_number else None,
            contexts=tuple(acr_values.split()),
        )

    def judge(
        self, event: AuthenticationEvent | None, *, login: str | None, ask: LoginAsk | None, now: float
    ) -> Verdict:
        """Return whether a login meets the demand.

        A login that followed the ask of the same request is recent enough for any ``max_age``, since the user has just
        been asked to log in for it. If its context is not enough, another login would not help.

        Args:
            event: when and how the user of the session logged in, or ``None`` if that is not known.
            login: the identifier of that login, or ``None`` if there is none.
            ask: what the same request asked for before.
            now: seconds since the epoch.
        """
        has_logged_in = ask is not None and ask.is_followed_by(login)
        if self.new_login or (ask is not None and ask.required and not has_logged_in):
            return Verdict.LOG_IN
        age = None if event is None else now - event.authenticated_at
        if self.max_age is not None and not has_logged_in and (age is None or age > self.max_age):
            return Verdict.LOG_IN
        if not self.contexts or (event is not None and event.context in self.contexts):
            return Verdict.ENOUGH
        return Verdict.UNMET if has_logged_in else Verdict.LOG_IN


@dataclass(frozen=True, slots=True)
class LoginAsks:
    """What the authorization requests of one session have asked for and not got yet, the oldest first."""

    asks: tuple[LoginAsk, ...] = ()

    def of(self, request: str, *, login: str | None) -> LoginAsk | None:
        """Return the ask of a request, or one that stands for requests that the session had no room for.

        Args:
            request: the identity of the authorization request.
            login: the identifier of the session's login.
        """
        found = {ask.request: ask for ask in self.asks}
        forgotten = found.get(_ANY)
        return found.get(request, forgotten if forgotten is not None and forgotten.after == login else None)

    def adding(self, ask: LoginAsk) -> Self:
        """Return the asks with one more, in place of an earlier one of the same request.

        There are at most :data:`MOST_ASKS`. If the oldest has to go and is still unanswered, every request without an
        ask needs another login from then on: it may be the one that was forgotten.
        """
        forgotten = [each for each in self.asks if each.request == _ANY]
        kept = [each for each in self.asks if each.request not in {_ANY, ask.request}]
        while len(kept) >= MOST_ASKS:
            oldest = kept.pop(0)
            if oldest.required and oldest.after == ask.after:
                forgotten = [replace(oldest, request=_ANY)]
        return replace(self, asks=(*forgotten, *kept, ask))

    def answered(self, ask: LoginAsk, *, login: str | None) -> Self:
        """Return what is left when a request goes on; its login counts for no other request that asked for one."""
        others = (each for each in self.asks if each.request != ask.request)
        if not ask.is_followed_by(login):
            return replace(self, asks=tuple(others))
        return replace(self, asks=tuple(replace(each, after=login) for each in others if each.request != _ANY))

    def to_session(self) -> list[list[object]]:
        """Return what a session can keep as JSON, and :meth:`from_session` reads."""
        return [[ask.request, ask.after, ask.required] for ask in self.asks]

    @classmethod
    def from_session(cls, value: object) -> Self:
        """Read what :meth:`to_session` returned; anything else is no asks."""
        try:
            return cls(tuple(LoginAsk(request=str(r), after=a, required=bool(q)) for r, a, q in value))  # type: ignore[attr-defined]
        except (TypeError, ValueError):
            return cls()


def identity_of(parameters: Mapping[str, str]) -> str:
    """Return what tells an authorization request from others of the same session.

    The client checks ``state`` and ``code_challenge`` when the user comes back, so they cannot be changed on the way to
    get round an ask. Requests of a client that sends neither are not told apart.

    Args:
        parameters: of the request, or of the consent form, which has the same values.
    """
    named = [parameters.get(name) or "" for name in ("client_id", "state", "code_challenge")]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()
