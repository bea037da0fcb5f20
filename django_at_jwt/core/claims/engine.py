"""Applying mappers: nested claims with merge rules, size limits and a trace."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from django_at_jwt.core.errors import IssuanceError

from .conditions import ConditionName
from .errors import FailureReason, MapperFailure
from .rules import Merge, write_claim_name
from .values import measure

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .compiler import CompiledMapper, Selection
    from .rules import ClaimPath
    from .sources import SourceValues


class MapperOutcome(StrEnum):
    """The outcome of a mapper."""

    SET = "set"
    DISABLED = "disabled"
    SKIPPED = "skipped"
    NO_VALUE = "no_value"
    LOST = "lost"
    FAILED = "failed"
    DROPPED = "dropped"


class MapperStep(NamedTuple):
    """What one mapper did. A tuple for speed, since a token may have a hundred.

    Attributes:
        key: the mapper's name.
        claim: the claim's name.
        condition: for :attr:`MapperOutcome.SKIPPED`, the first unmet condition.
        lost_to: for :attr:`MapperOutcome.LOST`, the key of the mapper that set the claim instead.
        failure: for :attr:`MapperOutcome.FAILED`, the reason.
        detail: more about the failure, without any value.
        bytes: the bytes that it adds to the claims' JSON, including the name and a comma.
    """

    key: str
    claim: str
    outcome: MapperOutcome
    condition: ConditionName | None = None
    lost_to: str | None = None
    failure: FailureReason | None = None
    detail: str = ""
    bytes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class MappedClaims:
    """The result of all mappers: the claims, and a step for each mapper in the order of application."""

    claims: Mapping[str, Any]
    trace: tuple[MapperStep, ...]

    @property
    def problems(self) -> tuple[MapperStep, ...]:
        """The steps that an operator should know about: failed, or dropped for their size."""
        return tuple(step for step in self.trace if step.outcome in {MapperOutcome.FAILED, MapperOutcome.DROPPED})


class ClaimTree:
    """Nested claims, each value with the places (in the order of application) of the mappers that set it.

    Sizes include a comma after each member and entry, so they are upper bounds of the JSON's size.
    """

    __slots__ = ("_claim_bytes", "_setters", "_sizes", "claims")

    def __init__(self, *, claim_bytes: int) -> None:
        self.claims: dict[str, Any] = {}
        self._claim_bytes = claim_bytes
        self._setters: dict[ClaimPath, tuple[int, ...]] = {}
        self._sizes: dict[str, int] = {}

    @property
    def size(self) -> int:
        """An upper bound of the bytes that all claims add to the JSON of a token."""
        return sum(self._sizes.values())

    def exact_size(self) -> int:
        """Return the exact number of bytes that all claims add to the JSON of a token with other claims."""
        return measure(self.claims) - 1 if self.claims else 0

    def setter_of(self, path: ClaimPath) -> int | None:
        """Return the place of a mapper that set this claim, a parent or a part of it; ``None`` if it is absent."""
        value: Any = self.claims
        for segment in path:
            if not isinstance(value, dict) or segment not in value:
                return None
            value = value[segment]
        for depth in range(len(path), 0, -1):
            if path[:depth] in self._setters:
                return self._setters[path[:depth]][-1]
        return max(self._setters_at_and_below(path))

    def put(self, path: ClaimPath, value: Any, name_bytes: Sequence[int], *, place: int) -> tuple[int, tuple[int, ...]]:
        """Set a claim, replacing an earlier value.

        Returns:
            The bytes that it takes, and the places of the mappers whose values were replaced entirely.

        Raises:
            MapperFailure: a parent in the name is not an object, or the claim becomes too large.
        """
        size = measure(value) + name_bytes[-1]
        if len(path) == 1 and path[0] not in self.claims:
            # Shortcut for the most common case, in half of the time.
            self._grow(path[0], size)
            self.claims[path[0]] = value
            self._setters[path] = (place,)
            return size, ()
        parent, depth = self._descend(path)
        added = size + sum(name_bytes[depth:-1]) + 2 * (len(path) - 1 - depth)
        displaced: tuple[int, ...] = ()
        if depth == len(path) - 1 and path[-1] in parent:
            self._grow(path[0], added - name_bytes[-1] - measure(parent[path[-1]]))
            displaced = self._forget(path)
        else:
            self._grow(path[0], added)
        for segment in path[depth:-1]:
            parent[segment] = {}
            parent = parent[segment]
        parent[path[-1]] = value
        self._setters[path] = (place,)
        return size, displaced

    def append(self, path: ClaimPath, entries: list[Any], name_bytes: Sequence[int], *, place: int) -> int:
        """Append new entries to a list, or set the list if the claim is absent; return the bytes that it takes.

        Raises:
            MapperFailure: as for :meth:`put`, or the present value is not a list.
        """
        parent, depth = self._descend(path)
        if depth < len(path) - 1 or path[-1] not in parent:
            return self.put(path, _without_repetitions(entries), name_bytes, place=place)[0]
        present = parent[path[-1]]
        if not isinstance(present, list):
            raise MapperFailure(FailureReason.CONFLICT, f"{write_claim_name(path)} is already set and not a list")
        new = _without_repetitions(entries, present)
        size = measure(new) - 1 if new else 0
        self._grow(path[0], size)
        present += new
        self._setters[path] = (*self._setters.get(path, ()), place)
        return size

    def drop_largest(self, optional: frozenset[int]) -> tuple[int, ...]:
        """Remove the largest value to which only optional mappers contributed; among equals, the one set last.

        Returns:
            The places of those mappers; empty if there is no such value.
        """
        candidates = [path for path in self._setters if optional.issuperset(self._contributors(path))]
        if not candidates:
            return ()
        path = max(candidates, key=lambda each: (measure(self._value_at(each)), self._setters[each]))
        parent = self._value_at(path[:-1])
        self._sizes[path[0]] -= measure(parent.pop(path[-1]))
        places = self._forget(path)
        # Remove parents that are empty now, unless a mapper set them.
        while len(path := path[:-1]) and not self._value_at(path) and path not in self._setters:
            del self._value_at(path[:-1])[path[-1]]
        return places

    def _descend(self, path: ClaimPath) -> tuple[dict[str, Any], int]:
        """Return the innermost existing parent of a claim, and the number of segments that lead to it."""
        parent = self.claims
        for depth, segment in enumerate(path[:-1]):
            if segment not in parent:
                return parent, depth
            child = parent[segment]
            if not isinstance(child, dict):
                raise MapperFailure(
                    FailureReason.CONFLICT, f"{write_claim_name(path[: depth + 1])} is already set and not an object"
                )
            parent = child
        return parent, len(path) - 1

    def _grow(self, claim: str, size: int) -> None:
        total = self._sizes.get(claim, 0) + size
        if size > 0 and total > self._claim_bytes:
            raise MapperFailure(
                FailureReason.TOO_LARGE, f"the claim must have at most {self._claim_bytes} bytes (got {total})"
            )
        self._sizes[claim] = total

    def _forget(self, path: ClaimPath) -> tuple[int, ...]:
        gone = self._setters_at_and_below(path)
        for each in [each for each in self._setters if each[: len(path)] == path]:
            del self._setters[each]
        return tuple(sorted(gone))

    def _setters_at_and_below(self, path: ClaimPath) -> set[int]:
        return {place for each, places in self._setters.items() if each[: len(path)] == path for place in places}

    def _contributors(self, path: ClaimPath) -> set[int]:
        """Return the mappers that contributed to this claim, to parts of it or to its parents."""
        around = (self._setters.get(path[:depth], ()) for depth in range(1, len(path)))
        return self._setters_at_and_below(path).union(*around)

    def _value_at(self, path: ClaimPath) -> Any:
        value: Any = self.claims
        for segment in path:
            value = value[segment]
        return value


def _without_repetitions(entries: Iterable[Any], present: Iterable[Any] = ()) -> list[Any]:
    seen = {_identity(entry) for entry in present}
    new = []
    for entry in entries:
        identity = _identity(entry)
        if identity not in seen:
            seen.add(identity)
            new.append(entry)
    return new


def _identity(entry: Any) -> Any:
    """Return a hashable key, equal for entries that are the same JSON. ``1``, ``1.0`` and ``True`` differ."""
    if isinstance(entry, dict):
        return dict, frozenset((name, _identity(value)) for name, value in entry.items())
    if isinstance(entry, list):
        return list, tuple(_identity(each) for each in entry)
    return type(entry), entry


class Oversize(StrEnum):
    """What to do if the claims of a token are too large together."""

    REFUSE = "refuse"
    DROP_OPTIONAL = "drop_optional"


@dataclass(frozen=True, kw_only=True, slots=True)
class SizeLimits:
    """Limits for claims, in bytes of JSON. The token is a third larger (base64url), plus its signature.

    Attributes:
        claim_bytes: for each mapped top-level claim, including its name.
        token_bytes: for all claims of a token, including protocol claims.
        oversize: what to do if ``token_bytes`` is exceeded.
    """

    claim_bytes: int = 2048
    token_bytes: int = 4096
    oversize: Oversize = Oversize.REFUSE


class ClaimsRefused(IssuanceError):
    """A required mapper failed, or the claims are too large for a token and no more of them may be dropped.

    ``trace`` has a step for each mapper; ``detail`` names the cause.
    """

    def __init__(self, detail: str, *, trace: Sequence[MapperStep] = ()) -> None:
        super().__init__("The authorization server cannot create this access token.", detail=detail)
        self.trace = tuple(trace)


def apply_mappers(selection: Selection, values: SourceValues, *, limits: SizeLimits) -> MappedClaims:
    """Return the claims that the selected mappers make of these values. The arguments are not changed.

    Raises:
        ClaimsRefused: a required mapper failed, or the claims are too large.

    No other exception is raised, whatever the sources hold: the claim of an optional mapper that fails is omitted.
    """
    application = _Application(selection, values, limits)
    application.run()
    application.check_required_mappers()
    application.limit_size()
    return MappedClaims(claims=application.tree.claims, trace=tuple(application.trace))


class _Application:
    """Applies the mappers for one token. A mapper's place is its index in the trace."""

    __slots__ = ("_limits", "_selection", "_values", "trace", "tree")

    def __init__(self, selection: Selection, values: SourceValues, limits: SizeLimits) -> None:
        self._selection = selection
        self._values = values
        self._limits = limits
        self.tree = ClaimTree(claim_bytes=limits.claim_bytes)
        self.trace: list[MapperStep] = []

    def run(self) -> None:
        append = self.trace.append
        for mapper, unmet in self._selection.mappers:
            rule = mapper.rule
            if not rule.enabled:
                append(MapperStep(rule.key, rule.claim, MapperOutcome.DISABLED))
            elif unmet is not None:
                append(MapperStep(rule.key, rule.claim, MapperOutcome.SKIPPED, unmet))
            elif mapper.broken is not None:
                append(_failed(mapper, mapper.broken.reason, mapper.broken.detail))
            elif not mapper.conditions.groups_are_met(self._values.groups):
                append(MapperStep(rule.key, rule.claim, MapperOutcome.SKIPPED, ConditionName.USER_GROUP))
            else:
                append(self._step(mapper))

    def _step(self, mapper: CompiledMapper) -> MapperStep:
        rule = mapper.rule
        try:
            if rule.merge is Merge.IF_ABSENT and (holder := self.tree.setter_of(mapper.path)) is not None:
                return MapperStep(rule.key, rule.claim, MapperOutcome.LOST, lost_to=self.trace[holder].key)
            value = mapper.value(self._values, self.tree.claims)
            if value is None:
                return MapperStep(rule.key, rule.claim, MapperOutcome.NO_VALUE)
            return MapperStep(rule.key, rule.claim, MapperOutcome.SET, bytes=self._put(mapper, value))
        except MapperFailure as failure:
            return _failed(mapper, failure.reason, failure.detail)
        except Exception as error:  # noqa: BLE001 - an error in a value's methods must not affect other claims
            return _failed(mapper, FailureReason.SOURCE_FAILED, f"the value raised {type(error).__name__}")

    def _put(self, mapper: CompiledMapper, value: Any) -> int:
        place = len(self.trace)
        if mapper.rule.merge is Merge.APPEND:
            return self.tree.append(mapper.path, value, mapper.name_bytes, place=place)
        size, displaced = self.tree.put(mapper.path, value, mapper.name_bytes, place=place)
        for each in displaced:
            lost = self.trace[each]
            self.trace[each] = lost._replace(outcome=MapperOutcome.LOST, lost_to=mapper.rule.key, bytes=0)
        return size

    def check_required_mappers(self) -> None:
        for (mapper, _), step in zip(self._selection.mappers, self.trace, strict=True):
            if step.outcome is MapperOutcome.FAILED and mapper.rule.required:
                detail = f"the required claim mapper {step.key!r} for {step.claim!r} failed: {step.detail}"
                raise ClaimsRefused(detail, trace=self.trace)

    def limit_size(self) -> None:
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
                raise ClaimsRefused(self._size_problem(size, left), trace=self.trace)
            for place in dropped:
                self.trace[place] = self.trace[place]._replace(outcome=MapperOutcome.DROPPED, bytes=0)

    def _size_problem(self, size: int, left: int) -> str:
        largest = sorted(self.trace, key=lambda step: -step.bytes)[:3]
        names = ", ".join(f"{step.key!r} ({step.bytes} bytes)" for step in largest if step.bytes)
        return f"mapped claims are {size} bytes; {left} are left after protocol claims; the largest are of {names}"


def _failed(mapper: CompiledMapper, reason: FailureReason, detail: str) -> MapperStep:
    return MapperStep(mapper.rule.key, mapper.rule.claim, MapperOutcome.FAILED, failure=reason, detail=detail)
