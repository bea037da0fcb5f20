"""Compiling rules: ordered, with parsed names and the values that they need."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.core.quotation import gettext_noop

from .conditions import CompiledConditions, ConditionName, Conditions, TokenFacts
from .errors import FailureReason, MapperFailure, UnusableRule, refuse
from .rules import ClaimPath, Hash, MapperRule, Merge, WhenMissing, parse_claim_name, refuse_reserved
from .sources import Needs, Reader, SourceValues, compile_source, parts_of
from .transforms import apply_transforms, compile_transform
from .values import SINGLE_TYPES, copy_json, fitting, is_missing, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from .rules import Source, Transform

    RefuseSource = Callable[[Source], None]
    FindHashKey = Callable[[str], str]

_NO_NEEDS: Final = Needs()
_UNCONDITIONAL: Final = CompiledConditions(Conditions())


def _read_nothing(_values: SourceValues, _mapped: Mapping[str, Any]) -> None:
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class CompiledMapper:
    """One compiled rule.

    Attributes:
        name_bytes: the size of each segment of the name in JSON, with a colon and a comma.
        broken: why the mapper always fails, if its rule is invalid.
    """

    rule: MapperRule
    path: ClaimPath = ()
    name_bytes: tuple[int, ...] = ()
    conditions: CompiledConditions = _UNCONDITIONAL
    read: Reader = _read_nothing
    transforms: tuple[Callable[[Any], Any], ...] = ()
    fit: Callable[[Any], Any] = copy_json
    needs: Needs = _NO_NEEDS
    broken: MapperFailure | None = None

    def value(self, values: SourceValues, mapped: Mapping[str, Any]) -> Any:
        """Return a copy of the value for one token, or ``None`` if it is missing and the claim is omitted.

        Raises:
            MapperFailure: the source failed, or its value has the wrong type.
        """
        value = apply_transforms(self.transforms, self.read(values, mapped))
        if is_missing(value):
            return self._missing()
        return self.fit(value)

    def _missing(self) -> Any:
        match self.rule.when_missing:
            case WhenMissing.DEFAULT:
                return self.fit(self.rule.default)
            case WhenMissing.FAIL:
                raise MapperFailure(FailureReason.NO_VALUE, "the value is missing")
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The mappers for one token, each with its first unmet condition, and the values that the others need."""

    mappers: Sequence[tuple[CompiledMapper, ConditionName | None]]
    needs: Needs


class CompiledMappers:
    """All compiled rules, in the order of application. Thread-safe."""

    __slots__ = ("_mappers",)

    def __init__(self, mappers: Iterable[CompiledMapper]) -> None:
        self._mappers = tuple(mappers)

    def __len__(self) -> int:
        return len(self._mappers)

    def __iter__(self) -> Iterator[CompiledMapper]:
        return iter(self._mappers)

    def select(self, facts: TokenFacts) -> Selection:
        """Check the conditions of each mapper, and collect the values that the selected mappers need.

        Not checked: the groups of the user, which are not read yet.
        """
        mappers = [(mapper, mapper.conditions.first_unmet(facts)) for mapper in self._mappers]
        needed = [mapper.needs for mapper, unmet in mappers if unmet is None and mapper.needs is not _NO_NEEDS]
        return Selection(mappers=mappers, needs=Needs.of_all(needed) if needed else _NO_NEEDS)


def compile_rules(
    rules: Iterable[MapperRule],
    *,
    refuse_source: RefuseSource | None = None,
    find_hash_key: FindHashKey | None = None,
) -> CompiledMappers:
    """Sort and compile rules.

    Args:
        refuse_source: raises :class:`UnusableRule` for a source that the site does not allow. It is called for each
            source in a template.
        find_hash_key: returns the key that a hash names, or raises :class:`UnusableRule`. By default, there are none.

    An invalid rule is kept and fails whenever its conditions are met: a row that was changed outside of the forms must
    not stop the other mappers. Rules with the same key are all invalid.
    """
    ordered = sorted(rules, key=lambda rule: (rule.order, rule.key, str(rule.claim)))
    counts = Counter(rule.key for rule in ordered)
    return CompiledMappers(
        [_compiled(rule, refuse_source, find_hash_key, is_alone=counts[rule.key] == 1) for rule in ordered]
    )


def _compiled(
    rule: MapperRule, refuse_source: RefuseSource | None, find_hash_key: FindHashKey | None, *, is_alone: bool
) -> CompiledMapper:
    conditions = _UNCONDITIONAL
    try:
        conditions = CompiledConditions(rule.conditions)
        if not is_alone:
            raise refuse("key", gettext_noop("Another mapper has the same name."))
        return compile_rule(rule, refuse_source=refuse_source, find_hash_key=find_hash_key)
    except UnusableRule as error:
        broken = MapperFailure(FailureReason.UNUSABLE_RULE, str(error))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # A rule created in Python with parts of the wrong types.
        broken = MapperFailure(FailureReason.UNUSABLE_RULE, f"the rule is malformed ({type(error).__name__})")
    return CompiledMapper(rule=rule, conditions=conditions, broken=broken)


def compile_rule(
    rule: MapperRule, *, refuse_source: RefuseSource | None = None, find_hash_key: FindHashKey | None = None
) -> CompiledMapper:
    """Compile one rule.

    Raises:
        UnusableRule: its claim is reserved or not a valid name, its default has the wrong type, its source is not
            allowed, or a hash has no key.
    """
    path = parse_claim_name(rule.claim)
    refuse_reserved(path)
    conditions = CompiledConditions(rule.conditions)
    if refuse_source is not None:
        for source in parts_of(rule.source):
            refuse_source(source)
    read, needs = compile_source(rule.source)
    if rule.conditions.groups:
        needs = Needs.of_all([needs, Needs(groups=True)])
    fit = _fitting(rule)
    if rule.when_missing is WhenMissing.DEFAULT:
        _check_default(rule, fit)
    return CompiledMapper(
        rule=rule,
        path=path,
        name_bytes=tuple(measure(segment) + 2 for segment in path),
        conditions=conditions,
        read=read,
        transforms=tuple(compile_transform(_with_hash_key(transform, find_hash_key)) for transform in rule.transforms),
        fit=fit,
        needs=needs if rule.enabled and needs != _NO_NEEDS else _NO_NEEDS,
    )


def _with_hash_key(transform: Transform, find_hash_key: FindHashKey | None) -> Transform:
    """Return a hash with the key that it names, and any other transform unchanged."""
    if not isinstance(transform, Hash):
        return transform
    if bool(transform.key) is bool(transform.key_name):
        raise refuse("transforms", gettext_noop("A hash must have either a “key” or a “key_name”."))
    if transform.key:
        return transform
    if find_hash_key is None:
        raise refuse("transforms", gettext_noop("There is no key “%(name)s”."), name=transform.key_name)
    return Hash(key=find_hash_key(transform.key_name))


def _fitting(rule: MapperRule) -> Callable[[Any], Any]:
    fit = fitting(rule.value_type)
    if rule.merge is Merge.APPEND and rule.value_type in SINGLE_TYPES:
        # Append takes a list, so wrap a single value.
        return lambda value: [fit(value)]
    return fit


def _check_default(rule: MapperRule, fit: Callable[[Any], Any]) -> None:
    try:
        measure(fit(rule.default))
    except MapperFailure as failure:
        raise refuse(
            "default",
            gettext_noop("The default is not of type “%(type)s”: %(reason)s."),
            type=rule.value_type.value,
            reason=failure.detail,
        ) from None
