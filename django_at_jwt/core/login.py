"""When and how a resource owner logged in (RFC 9068 section 2.2.1), and which login a request requires (RFC 9470)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

PASSWORD: Final = "pwd"  # noqa: S105 - the name of a method
MULTIPLE_FACTORS: Final = "mfa"


class Factor(StrEnum):
    """A kind of authentication factor. Two methods of the same kind are not two factors (RFC 8176 section 2, mfa)."""

    KNOWLEDGE = "knowledge"
    POSSESSION = "possession"
    INHERENCE = "inherence"


# RFC 8176 section 2, and pop of OpenID Connect EAP ACR Values 1.0: a key that may or may not be protected by hardware.
# Methods without a kind describe the login and are not factors.
REGISTERED_METHODS: Final[Mapping[str, Factor | None]] = {
    "face": Factor.INHERENCE,
    "fpt": Factor.INHERENCE,
    "geo": None,
    "hwk": Factor.POSSESSION,
    "iris": Factor.INHERENCE,
    "kba": Factor.KNOWLEDGE,
    "mca": None,
    MULTIPLE_FACTORS: None,
    "otp": Factor.POSSESSION,
    "pin": Factor.KNOWLEDGE,
    "pop": Factor.POSSESSION,
    PASSWORD: Factor.KNOWLEDGE,
    "rba": None,
    "retina": Factor.INHERENCE,
    "sc": Factor.POSSESSION,
    "sms": Factor.POSSESSION,
    "swk": Factor.POSSESSION,
    "tel": Factor.POSSESSION,
    "user": None,
    "vbm": Factor.INHERENCE,
    "wia": None,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthenticationEvent:
    """One login of a resource owner, as described in tokens (RFC 9068 section 2.2.1).

    Attributes:
        authenticated_at: ``auth_time``, whole seconds since the epoch.
        methods: ``amr``, without duplicates; empty if unknown.
        context: ``acr``, or ``None`` if unknown.

    Raises:
        ValueError: a value of the wrong type, a negative instant, an empty string, or a duplicate method.

    Not checked: whether the methods are registered (RFC 8176). A site may define others.
    """

    authenticated_at: int
    methods: tuple[str, ...] = ()
    context: str | None = None

    def __post_init__(self) -> None:
        if type(self.authenticated_at) is not int or self.authenticated_at < 0:
            raise ValueError("authenticated_at must be a non-negative integer of seconds since the epoch")
        if type(self.methods) is not tuple or not all(_is_text(method) for method in self.methods):
            raise ValueError("methods must be a tuple of non-empty printable strings")
        if len({*self.methods}) != len(self.methods):
            raise ValueError("methods must not contain duplicates")
        if self.context is not None and not _is_text(self.context):
            raise ValueError("context must be a non-empty printable string or None")

    def as_claims(self) -> dict[str, Any]:
        """Return ``auth_time``, and ``amr`` and ``acr`` if known."""
        claims: dict[str, Any] = {"auth_time": self.authenticated_at}
        if self.methods:
            claims["amr"] = list(self.methods)
        if self.context is not None:
            claims["acr"] = self.context
        return claims

    def to_session(self) -> dict[str, Any]:
        """Return a JSON value for the session, which :meth:`from_session` reads."""
        return {"authenticated_at": self.authenticated_at, "methods": list(self.methods), "context": self.context}

    @classmethod
    def from_session(cls, value: object, *, now: float) -> AuthenticationEvent | None:
        """Read a value of :meth:`to_session`. Return ``None`` if it is invalid or the login is after ``now``."""
        if type(value) is not dict or value.keys() != {"authenticated_at", "methods", "context"}:
            return None
        if type(value["methods"]) is not list:
            return None
        try:
            event = cls(
                authenticated_at=value["authenticated_at"], methods=tuple(value["methods"]), context=value["context"]
            )
        except ValueError:
            return None
        return event if event.authenticated_at <= now else None


def _is_text(value: object) -> bool:
    return type(value) is str and bool(value) and value.isprintable()


@dataclass(frozen=True, kw_only=True, slots=True)
class AuthenticationStep:
    """One step of a login, or a confirmation of one.

    Attributes:
        at: seconds since the epoch.
        methods: the RFC 8176 names of what the user proved; empty if there is no registered name.
        factors: the kinds of factor proved in addition to those of the methods.
    """

    at: float
    methods: tuple[str, ...] = ()
    factors: frozenset[Factor] = frozenset()


def latest_authentication(
    steps: Iterable[AuthenticationStep], *, within: float, now: float
) -> AuthenticationEvent | None:
    """Combine the latest step and those shortly before it into one event; return ``None`` without a step.

    ``auth_time`` is the time of the latest step, to which ``max_age`` applies (RFC 9470 section 3). Steps more than
    ``within`` seconds before it are ignored: a second factor from the morning must not count when the password is
    confirmed at noon.

    Args:
        within: seconds that a login of several steps may take.
        now: seconds since the epoch; later steps are ignored.
    """
    past = sorted((step for step in steps if 0 <= step.at <= now), key=lambda step: step.at)
    if not past:
        return None
    latest = past[-1].at
    counted = [step for step in past if step.at >= latest - within]
    methods = combined_methods(
        (method for step in counted for method in step.methods),
        factors=(factor for step in counted for factor in step.factors),
    )
    return AuthenticationEvent(authenticated_at=int(latest), methods=methods)


def combined_methods(methods: Iterable[str], *, factors: Iterable[Factor] = ()) -> tuple[str, ...]:
    """Return the methods of one login without duplicates, with ``mfa`` last if two kinds of factor were proved.

    Args:
        methods: in the order of use; ``mfa`` among them is trusted.
        factors: kinds of factor proved by methods without a registered name.
    """
    used = tuple(dict.fromkeys(methods))
    kinds = {*factors, *(REGISTERED_METHODS.get(method) for method in used)} - {None}
    if MULTIPLE_FACTORS not in used and len(kinds) < 2:  # noqa: PLR2004 - multiple means at least two
        return used
    return (*(method for method in used if method != MULTIPLE_FACTORS), MULTIPLE_FACTORS)


def context_for(methods: Collection[str], contexts: Mapping[str, Collection[str]]) -> str | None:
    """Return the ``acr`` of a login by these methods, or ``None`` if none matches.

    Args:
        contexts: the methods that each ``acr`` requires. The ``acr`` with the most methods wins, the first of equals.
            One without methods matches every login.
    """
    used = {*methods}
    fitting = [context for context, required in contexts.items() if used.issuperset(required)]
    return max(fitting, key=lambda context: len({*contexts[context]}), default=None)


_LONGEST_NUMBER: Final = 9
# Pending authorization requests of one session for which a login was requested.
MOST_ASKS: Final = 16
# In place of a request's identity: every request without an ask.
_ANY: Final = ""


class Verdict(StrEnum):
    """The login is enough, another login may be enough, or the requested login was not enough."""

    ENOUGH = "enough"
    LOG_IN = "log in"
    UNMET = "unmet"


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginAsk:
    """A login that an authorization request asked for.

    Logins are compared by identifier, not by time: ``auth_time`` has whole seconds, and a login in the same second may
    precede the request.

    Attributes:
        request: the identity of the authorization request (:func:`identity_of`).
        after: the identifier of the session's login at that time, or ``None``.
        required: whether the request cannot proceed without another login, as with ``prompt=login``.
    """

    request: str
    after: str | None
    required: bool

    def is_followed_by(self, login: str | None) -> bool:
        """Return whether a login differs from the session's login at the time of the ask."""
        return login is not None and login != self.after


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginDemand:
    """The login that an authorization request requires.

    Attributes:
        new_login: whether the user must log in for this request, even after a recent login.
        max_age: the maximum age of the login in seconds, or ``None`` for no limit.
        contexts: the accepted ``acr`` values; empty for any.
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

        A login that followed this request's ask is recent enough for any ``max_age``. If its context is not accepted,
        another login would not help.

        Args:
            event: the login of the session, or ``None`` if unknown.
            login: the identifier of that login, or ``None``.
            ask: an earlier ask of the same request.
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
    """The pending asks of one session's authorization requests, the oldest first."""

    asks: tuple[LoginAsk, ...] = ()

    def of(self, request: str, *, login: str | None) -> LoginAsk | None:
        """Return the ask of a request, or the ask that stands for forgotten requests.

        Args:
            request: the identity of the authorization request.
            login: the identifier of the session's login.
        """
        found = {ask.request: ask for ask in self.asks}
        forgotten = found.get(_ANY)
        return found.get(request, forgotten if forgotten is not None and forgotten.after == login else None)

    def adding(self, ask: LoginAsk) -> Self:
        """Return the asks with one added; it replaces an earlier ask of the same request.

        At most :data:`MOST_ASKS` are kept. If an unanswered ask is forgotten, every request without an ask needs
        another login from then on, since it may be the forgotten one.
        """
        forgotten = [each for each in self.asks if each.request == _ANY]
        kept = [each for each in self.asks if each.request not in {_ANY, ask.request}]
        while len(kept) >= MOST_ASKS:
            oldest = kept.pop(0)
            if oldest.required and oldest.after == ask.after:
                forgotten = [replace(oldest, request=_ANY)]
        return replace(self, asks=(*forgotten, *kept, ask))

    def answered(self, ask: LoginAsk, *, login: str | None) -> Self:
        """Return the remaining asks when a request proceeds; its login does not count for other requests."""
        others = (each for each in self.asks if each.request != ask.request)
        if not ask.is_followed_by(login):
            return replace(self, asks=tuple(others))
        return replace(self, asks=tuple(replace(each, after=login) for each in others if each.request != _ANY))

    def to_session(self) -> list[list[object]]:
        """Return a JSON value for the session, which :meth:`from_session` reads."""
        return [[ask.request, ask.after, ask.required] for ask in self.asks]

    @classmethod
    def from_session(cls, value: object) -> Self:
        """Read a value of :meth:`to_session`. Return no asks if it is invalid."""
        try:
            return cls(tuple(LoginAsk(request=str(r), after=a, required=bool(q)) for r, a, q in value))  # type: ignore[attr-defined]
        except (TypeError, ValueError):
            return cls()


def identity_of(parameters: Mapping[str, str]) -> str:
    """Return a key that distinguishes an authorization request from others of the same session.

    It is made of ``client_id``, ``state`` and ``code_challenge``. The client checks the latter two in the response, so
    changing them to evade an ask breaks the flow. Requests of a client that sends neither share a key.

    Args:
        parameters: of the request, or of the consent form, which has the same values.
    """
    named = [parameters.get(name) or "" for name in ("client_id", "state", "code_challenge")]
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()
