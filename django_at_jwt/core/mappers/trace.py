"""What each mapper did for one token."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .conditions import ConditionName
    from .problems import FailureReason


class Outcome(StrEnum):
    """What came of a mapper."""

    SET = "set"
    DISABLED = "disabled"
    SKIPPED = "skipped"
    NO_VALUE = "no_value"
    LOST = "lost"
    FAILED = "failed"
    DROPPED = "dropped"


class Step(NamedTuple):
    """What one mapper did. A tuple, since a hundred of them may be made for a token.

    Attributes:
        key: of the mapper.
        claim: its claim's name.
        condition: for :attr:`Outcome.SKIPPED`, the first condition that was not met.
        lost_to: for :attr:`Outcome.LOST`, the key of the mapper whose value is in the claim instead.
        failure: for :attr:`Outcome.FAILED`, the reason; ``detail`` says more and holds no value.
        bytes: what it adds to the claims' JSON, the name and a comma included; 0 where it adds nothing.
    """

    key: str
    claim: str
    outcome: Outcome
    condition: ConditionName | None = None
    lost_to: str | None = None
    failure: FailureReason | None = None
    detail: str = ""
    bytes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class MappedClaims:
    """What all mappers together gave: the claims, and a step for each mapper in the order of application."""

    claims: Mapping[str, Any]
    trace: tuple[Step, ...]

    @property
    def problems(self) -> tuple[Step, ...]:
        """The steps that an operator should know of: failed, or dropped for their size."""
        return tuple(step for step in self.trace if step.outcome in {Outcome.FAILED, Outcome.DROPPED})
