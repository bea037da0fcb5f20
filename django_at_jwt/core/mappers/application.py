"""Applying mappers: from the values of their sources to claims, with a trace of what each mapper did."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from django_at_jwt.core.errors import IssuanceError

from .conditions import ConditionName
from .problems import FailureReason, MapperFailure
from .rules import Merge
from .trace import MappedClaims, Outcome, Step
from .tree import ClaimTree
from .values import measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .compiling import CompiledMapper, Selection
    from .sources import SourceValues


class Oversize(StrEnum):
    """What happens where the claims of a token are too large together."""

    REFUSE = "refuse"
    DROP_OPTIONAL = "drop_optional"


@dataclass(frozen=True, kw_only=True, slots=True)
class SizeLimits:
    """How large claims may get, in bytes of JSON: a token has a third more, and its signature.

    ``claim_bytes`` bounds each claim that mappers set, with its name and all that is nested in it. ``token_bytes``
    bounds all claims of a token, those of the protocol too.
    """

    claim_bytes: int = 2048
    token_bytes: int = 4096
    oversize: Oversize = Oversize.REFUSE


class ClaimsRefused(IssuanceError):
    """Mappers keep a token from being issued. ``trace`` is what each of them did; ``detail`` names the one to mend."""

    def __init__(self, detail: str, *, trace: Sequence[Step]) -> None:
        super().__init__("The authorization server cannot put this access token together.", detail=detail)
        self.trace = tuple(trace)


class RequiredMapperFailed(ClaimsRefused):
    """A mapper failed without which no token may be issued."""


class ClaimsTooLarge(ClaimsRefused):
    """The claims are larger than a token may be, and those that are left are required, or none may be dropped."""


def apply_mappers(selection: Selection, values: SourceValues, *, limits: SizeLimits) -> MappedClaims:
    """Give the claims that the selected mappers make of these values. No argument is changed.

    Raises:
        RequiredMapperFailed: a required mapper failed.
        ClaimsTooLarge: the claims are too large.

    Nothing else is raised, whatever the sources hold: a mapper that fails and is not required is left out.
    """
    application = _Application(selection, values, limits)
    application.run()
    application.refuse_failure_of_a_required_mapper()
    application.hold_to_token_bytes()
    return MappedClaims(claims=application.tree.claims, trace=tuple(application.trace))


class _Application:
    """One token's claims in the making. A mapper's place is its index in the trace."""

    __slots__ = ("_limits", "_selection", "_values", "trace", "tree")

    def __init__(self, selection: Selection, values: SourceValues, limits: SizeLimits) -> None:
        self._selection = selection
        self._values = values
        self._limits = limits
        self.tree = ClaimTree(claim_bytes=limits.claim_bytes)
        self.trace: list[Step] = []

    def run(self) -> None:
        append = self.trace.append
        for mapper, unmet in self._selection.mappers:
            rule = mapper.rule
            if not rule.enabled:
                append(Step(rule.key, rule.claim, Outcome.DISABLED))
            elif unmet is not None:
                append(Step(rule.key, rule.claim, Outcome.SKIPPED, unmet))
            elif mapper.broken is not None:
                append(_failed(mapper, mapper.broken.reason, mapper.broken.detail))
            elif not mapper.conditions.groups_are_met(self._values.groups):
                append(Step(rule.key, rule.claim, Outcome.SKIPPED, ConditionName.USER_GROUP))
            else:
                append(self._step(mapper))

    def _step(self, mapper: CompiledMapper) -> Step:
        rule = mapper.rule
        try:
            if rule.merge is Merge.IF_ABSENT and (holder := self.tree.setter_of(mapper.path)) is not None:
                return Step(rule.key, rule.claim, Outcome.LOST, lost_to=self.trace[holder].key)
            value = mapper.value(self._values, self.tree.claims)
            if value is None:
                return Step(rule.key, rule.claim, Outcome.NO_VALUE)
            return Step(rule.key, rule.claim, Outcome.SET, bytes=self._put(mapper, value))
        except MapperFailure as failure:
            return _failed(mapper, failure.reason, failure.detail)
        except Exception as error:  # noqa: BLE001 - whatever a value's own methods do, the other claims are issued
            return _failed(mapper, FailureReason.SOURCE_FAILED, f"the value raised {type(error).__name__}")

    def _put(self, mapper: CompiledMapper, value: Any) -> int:
        place = len(self.trace)
        if mapper.rule.merge is Merge.APPEND:
            return self.tree.append(mapper.path, value, mapper.name_bytes, place=place)
        size, displaced = self.tree.put(mapper.path, value, mapper.name_bytes, place=place)
        for each in displaced:
            lost = self.trace[each]
            self.trace[each] = lost._replace(outcome=Outcome.LOST, lost_to=mapper.rule.key, bytes=0)
        return size

    def refuse_failure_of_a_required_mapper(self) -> None:
        for (mapper, _), step in zip(self._selection.mappers, self.trace, strict=True):
            if step.outcome is Outcome.FAILED and mapper.rule.required:
                detail = f"the required claim mapper {step.key!r} for {step.claim!r} failed: {step.detail}"
                raise RequiredMapperFailed(detail, trace=self.trace)

    def hold_to_token_bytes(self) -> None:
        if not self.tree.claims:
            return
        left = self._limits.token_bytes - measure(self._values.protocol)
        if self.tree.size <= left:
            return
        optional = frozenset(
            place for place, (mapper, _) in enumerate(self._selection.mappers) if not mapper.rule.required
        )
        while (size := self.tree.exact_size()) > left:
            may_drop = self._limits.oversize is Oversize.DROP_OPTIONAL
            dropped = self.tree.drop_largest(optional) if may_drop else ()
            if not dropped:
                raise ClaimsTooLarge(self._who_is_large(size, left), trace=self.trace)
            for place in dropped:
                self.trace[place] = self.trace[place]._replace(outcome=Outcome.DROPPED, bytes=0)

    def _who_is_large(self, size: int, left: int) -> str:
        largest = sorted(self.trace, key=lambda step: -step.bytes)[:3]
        names = ", ".join(f"{step.key!r} ({step.bytes} bytes)" for step in largest if step.bytes)
        return f"the mapped claims have {size} bytes where {left} are left; the largest come from {names}"


def _failed(mapper: CompiledMapper, reason: FailureReason, detail: str) -> Step:
    return Step(mapper.rule.key, mapper.rule.claim, Outcome.FAILED, failure=reason, detail=detail)
