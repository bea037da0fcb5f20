"""Errors in rules, and failures of mappers for one token."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from django_at_jwt.core.quotation import Message


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleProblem(Message):
    """One problem of a rule. ``where`` is the part of the rule, named as in its data."""

    where: str


class UnusableRule(ValueError):
    """An invalid rule. ``problems`` holds at least one :class:`RuleProblem`."""

    def __init__(self, *problems: RuleProblem) -> None:
        super().__init__("; ".join(f"{problem.where}: {problem}" for problem in problems))
        self.problems = problems


def refuse(where: str, text: str, **parameters: object) -> UnusableRule:
    """Return an error with one problem, to be raised."""
    return UnusableRule(RuleProblem(where=where, text=text, parameters=parameters))


class FailureReason(StrEnum):
    """Why a mapper failed."""

    UNUSABLE_RULE = "unusable_rule"
    NO_VALUE = "no_value"
    SOURCE_FAILED = "source_failed"
    WRONG_TYPE = "wrong_type"
    NOT_JSON = "not_json"
    TOO_LARGE = "too_large"
    CONFLICT = "conflict"


class MapperFailure(Exception):
    """A mapper failed for one token.

    ``detail`` is for the log and for administrators. It may name types but never contains a value, which may be
    personal data.
    """

    def __init__(self, reason: FailureReason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
