"""The state of this app as a monitor sees it: problems, and the worst of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class HealthStatus(StrEnum):
    """How bad a problem is."""

    OK = "ok"
    WARNING = "warning"
    """Requests succeed now, but will fail, or rotation will stop, if no one acts."""
    CRITICAL = "critical"
    """Requests fail now."""
    UNKNOWN = "unknown"
    """The state cannot be read."""


# Ascending: a certain failure is more urgent than a state that cannot be read.
_SEVERITY = (HealthStatus.OK, HealthStatus.WARNING, HealthStatus.UNKNOWN, HealthStatus.CRITICAL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One problem: a stable name for programs, and a sentence for people that contains no secret."""

    status: HealthStatus
    name: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """Problems, and facts that JSON can hold."""

    problems: tuple[Problem, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> HealthStatus:
        """The status of the worst problem."""
        return max((problem.status for problem in self.problems), key=_SEVERITY.index, default=HealthStatus.OK)

    def as_json(self) -> dict[str, Any]:
        """Return the status, the problems, the worst first, and the facts."""
        ordered = sorted(self.problems, key=lambda problem: -_SEVERITY.index(problem.status))
        return {
            "status": self.status.value,
            "problems": [{"status": each.status.value, "name": each.name, "text": each.text} for each in ordered],
            **self.facts,
        }


def combined(*parts: Health) -> Health:
    """Return the problems and facts of several parts together."""
    return Health(
        problems=tuple(problem for part in parts for problem in part.problems),
        facts={name: fact for part in parts for name, fact in part.facts.items()},
    )
