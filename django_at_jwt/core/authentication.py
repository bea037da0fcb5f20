"""When, how and how strongly a resource owner logged in: RFC 9068 §2.2.1, on plain values."""

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
    """What a method of authentication rests on. Two methods of one kind do not make two factors (RFC 8176 §2, mfa)."""

    KNOWLEDGE = "knowledge"
    POSSESSION = "possession"
    INHERENCE = "inherence"


# RFC 8176 §2, and pop of OpenID Connect EAP ACR Values 1.0: a key of which nobody knows whether hardware guards it. The
# methods without a kind say something about the login, and are no factor of their own.
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
    """One login of a resource owner, as tokens tell it (RFC 9068 §2.2.1).

    Attributes:
        authenticated_at: whole seconds since the epoch (``auth_time``).
        methods: how (``amr``), each once; none where that is not known. Whether they are registered (RFC 8176) is
            *not* checked: a site may have values of its own.
        context: how strongly (``acr``), or ``None`` where nobody has said.

    Raises:
        ValueError: a value of the wrong type, a negative instant, an empty text, or a method twice.
    """

    authenticated_at: int
    methods: tuple[str, ...] = ()
    context: str | None = None

    def __post_init__(self) -> None:
        if type(self.authenticated_at) is not int or self.authenticated_at < 0:
            raise ValueError("authenticated_at must be a whole number of seconds since the epoch")
        if type(self.methods) is not tuple or not all(_is_text(method) for method in self.methods):
            raise ValueError("methods must be a tuple of texts")
        if len({*self.methods}) != len(self.methods):
            raise ValueError("methods must have each method once")
        if self.context is not None and not _is_text(self.context):
            raise ValueError("context must be a text, or None")

    def as_claims(self) -> dict[str, Any]:
        """Give ``auth_time``, and ``amr`` and ``acr`` where they are known."""
        claims: dict[str, Any] = {"auth_time": self.authenticated_at}
        if self.methods:
            claims["amr"] = list(self.methods)
        if self.context is not None:
            claims["acr"] = self.context
        return claims

    def to_session(self) -> dict[str, Any]:
        """Give what a session can keep as JSON, and :meth:`from_session` reads."""
        return {"authenticated_at": self.authenticated_at, "methods": list(self.methods), "context": self.context}

    @classmethod
    def from_session(cls, value: object, *, now: float) -> AuthenticationEvent | None:
        """Read what :meth:`to_session` gave, or give ``None`` for anything else, or for a login after ``now``."""
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
    """One thing that a user has proved on the way to a login, or to confirm one.

    Attributes:
        at: seconds since the epoch.
        methods: what RFC 8176 calls it; several where one act proves several things, none where it has no name for it.
        factors: the kinds of factor that it rests on, beside those that its methods stand for.
    """

    at: float
    methods: tuple[str, ...] = ()
    factors: frozenset[Factor] = frozenset()


def latest_authentication(
    steps: Iterable[AuthenticationStep], *, within: float, now: float
) -> AuthenticationEvent | None:
    """Make one event of the latest step and of those that led up to it, or give ``None`` where there is no step.

    ``auth_time`` is when the user last proved anything, since that is what ``max_age`` is about (RFC 9470 §3). Older
    steps count only if they are of the ``within`` seconds before: a second factor that was shown in the morning must
    not look as if it had been shown again when the password was confirmed at noon.

    Args:
        within: seconds that a login of several steps may take.
        now: seconds since the epoch; steps that lie after it are ignored.
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
    """Give the methods of one login, each once, in their order, and ``mfa`` last if two kinds of factor were proved.

    Args:
        methods: as they were used; ``mfa`` among them is believed.
        factors: kinds of factor that were proved by something that has no registered name.
    """
    used = tuple(dict.fromkeys(methods))
    kinds = {*factors, *(REGISTERED_METHODS.get(method) for method in used)} - {None}
    if MULTIPLE_FACTORS not in used and len(kinds) < 2:  # noqa: PLR2004 - two factors are what "multiple" begins with
        return used
    return (*(method for method in used if method != MULTIPLE_FACTORS), MULTIPLE_FACTORS)


def context_for(methods: Collection[str], contexts: Mapping[str, Collection[str]]) -> str | None:
    """Give the ``acr`` of a login by these methods, or ``None`` where none fits.

    Args:
        contexts: the methods that each ``acr`` asks for. The one that asks for most wins; among those that ask for as
            many, the first. One that asks for none fits every login.
    """
    used = {*methods}
    fitting = [context for context, required in contexts.items() if used.issuperset(required)]
    return max(fitting, key=lambda context: len({*contexts[context]}), default=None)


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
