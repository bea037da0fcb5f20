"""Whether a login is recent and strong enough for what a client asks of it: RFC 9470 §4 and §5, on plain values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from .authentication import AuthenticationEvent

# Seconds: nobody logs in and comes back in no time at all, and "max_age=0" asks for no more than a login now.
TIME_TO_COME_BACK: Final = 15
_LONGEST_NUMBER: Final = 9


class Verdict(StrEnum):
    """What comes of a demand: the login is enough, another one may be, or the user just showed that it is not."""

    ENOUGH = "enough"
    LOG_IN = "log in"
    UNMET = "unmet"


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginDemand:
    """What an authorization request asks of the user's login.

    Attributes:
        max_age: seconds that may have passed since, or ``None`` for any number.
        contexts: the ``acr`` values of which one will do; none for any.
    """

    max_age: int | None = None
    contexts: tuple[str, ...] = ()

    @classmethod
    def of(cls, *, max_age: str, acr_values: str) -> Self:
        """Read the parameters of a request; a ``max_age`` that is no number of seconds asks for nothing."""
        is_number = max_age.isascii() and max_age.isdigit()
        return cls(max_age=int(max_age[:_LONGEST_NUMBER]) if is_number else None, contexts=tuple(acr_values.split()))

    def judge(self, event: AuthenticationEvent | None, *, now: float) -> Verdict:
        """Say whether a login meets the demand.

        Args:
            event: the login of the session; where nobody knows of any, another one is asked for.
            now: seconds since the epoch.
        """
        age = None if event is None else now - event.authenticated_at
        if self.max_age is not None and (age is None or age > max(self.max_age, TIME_TO_COME_BACK)):
            return Verdict.LOG_IN
        if not self.contexts or (event is not None and event.context in self.contexts):
            return Verdict.ENOUGH
        # Who has just logged in and is not there yet will not be there after the next time either.
        return Verdict.UNMET if age is not None and age <= TIME_TO_COME_BACK else Verdict.LOG_IN
