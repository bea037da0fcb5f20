"""What can be wrong with a rule, and with the value that a rule gives for one token."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def gettext_noop(text: str) -> str:
    """Mark a text for translation by the pages that show it: this is the name that ``makemessages`` looks for."""
    return text


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleProblem:
    """Why a rule cannot be used.

    ``where`` names the part of the rule, as its data spells it. ``text`` is what to show after it was translated and
    filled with ``parameters``; ``str()`` gives it in English.
    """

    where: str
    text: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text % self.parameters


class UnusableRule(ValueError):
    """A rule that breaks a rule for rules: at least one :class:`RuleProblem`, in ``problems``."""

    def __init__(self, *problems: RuleProblem) -> None:
        super().__init__("; ".join(f"{problem.where}: {problem}" for problem in problems))
        self.problems = problems


def refuse(where: str, text: str, **parameters: object) -> UnusableRule:
    """Make the error for one problem, to be raised."""
    return UnusableRule(RuleProblem(where=where, text=text, parameters=parameters))


class FailureReason(StrEnum):
    """Why a mapper gave no claim although it should have."""

    UNUSABLE_RULE = "unusable_rule"
    NO_VALUE = "no_value"
    SOURCE_FAILED = "source_failed"
    WRONG_TYPE = "wrong_type"
    NOT_JSON = "not_json"
    TOO_LARGE = "too_large"
    CONFLICT = "conflict"


class MapperFailure(Exception):
    """A mapper that fails for one token.

    ``detail`` is for the log and for administrators. It names types and never holds a value, which may be personal.
    """

    def __init__(self, reason: FailureReason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
