"""Rules as JSON: what an export holds, settings declare, and the columns of a row store."""

from __future__ import annotations

import difflib
from dataclasses import MISSING, fields
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from . import members as read
from .compiling import compile_rule
from .conditions import Conditions, Match, TokensFor
from .problems import MapperFailure, RuleProblem, UnusableRule, gettext_noop, refuse
from .rules import (
    Cast,
    ClientField,
    Constant,
    Default,
    ExistingClaim,
    Filter,
    Groups,
    Hash,
    Join,
    Lower,
    MapperRule,
    Merge,
    Others,
    Permissions,
    Pick,
    Place,
    Prefix,
    RegisteredSource,
    Rename,
    ResourceServerField,
    Split,
    Strip,
    Template,
    UserField,
    WhenMissing,
    Wrap,
)
from .sources import SourceValues
from .values import SCALAR_TYPES, ValueType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .rules import Source, Transform

    Read = Callable[[object, str], Any]

MOST_TRANSFORMS: Final = 10
SHORTEST_HASH_KEY: Final = 16
LONGEST_HASH_KEY: Final = 200

# For each kind, the class and how its members are read. Members are required where the class has no default.
_Kinds = dict[str, tuple[type, dict[str, "Read"]]]
SOURCE_KINDS: Final[_Kinds] = {
    "user": (UserField, {"path": read.text(255)}),
    "groups": (Groups, {}),
    "permissions": (Permissions, {}),
    "client": (ClientField, {"name": read.text(255)}),
    "resource_server": (ResourceServerField, {"name": read.text(255)}),
    "constant": (Constant, {"value": read.constant}),
    "template": (Template, {"text": read.template}),
    "registered": (RegisteredSource, {"name": read.text(255)}),
    "claim": (ExistingClaim, {"claim": read.claim_name}),
}
TRANSFORM_KINDS: Final[_Kinds] = {
    "cast": (Cast, {"to": read.choice(SCALAR_TYPES)}),
    "join": (Join, {"separator": read.text(100, at_least=0)}),
    "split": (Split, {"separator": read.text(100)}),
    "pick": (Pick, {"which": read.choice(Place)}),
    "filter": (Filter, {"patterns": read.patterns, "drop": read.flag}),
    "prefix": (Prefix, {"text": read.text(200)}),
    "strip": (Strip, {"prefix": read.text(200, at_least=0), "suffix": read.text(200, at_least=0)}),
    "rename": (Rename, {"table": read.table, "others": read.choice(Others)}),
    "lower": (Lower, {}),
    "default": (Default, {"value": read.json_value}),
    "hash": (Hash, {"key_name": read.text(100), "key": read.text(LONGEST_HASH_KEY, at_least=SHORTEST_HASH_KEY)}),
    "wrap": (Wrap, {"member": read.text(100)}),
}
_KIND_OF: Final = {cls: kind for kinds in (SOURCE_KINDS, TRANSFORM_KINDS) for kind, (cls, _) in kinds.items()}

_CONDITIONS: Final[dict[str, Read]] = {
    "tokens_for": read.optional(read.choice(TokensFor)),
    "clients": read.texts,
    "scopes": read.texts,
    "scopes_match": read.choice(Match),
    "resource_servers": read.texts,
    "grants": read.texts,
    "groups": read.texts,
}


def _parse_source(data: object, where: str) -> Source:
    source: Source = _of_a_kind(data, SOURCE_KINDS, where)
    return source


def _parse_transforms(data: object, where: str) -> tuple[Transform, ...]:
    if not isinstance(data, (list, tuple)) or len(data) > MOST_TRANSFORMS:
        raise refuse(where, gettext_noop("Give a list of at most %(most)d transforms."), most=MOST_TRANSFORMS)
    return tuple(parse_transform(each, where) for each in data)


def parse_transform(data: object, where: str = "transforms") -> Transform:
    """Read one transform; raises as :func:`parse_rule`."""
    transform: Transform = _of_a_kind(data, TRANSFORM_KINDS, where)
    return transform


def parse_conditions(data: object, where: str = "conditions") -> Conditions:
    """Read conditions; raises as :func:`parse_rule`."""
    conditions = Conditions(**_members(data, _CONDITIONS, Conditions, where))
    if conditions.groups and conditions.tokens_for is TokensFor.MACHINES:
        raise refuse(where, gettext_noop("A client that acts for itself is in no group, so this would never be met."))
    return conditions


# The members of a rule's data, each with the attribute of the rule that it becomes.
_RULE: Final[dict[str, tuple[str, Read]]] = {
    "name": ("key", read.text(100)),
    "claim": ("claim", read.mapped_claim_name),
    "source": ("source", _parse_source),
    "transforms": ("transforms", _parse_transforms),
    "type": ("value_type", read.choice(ValueType)),
    "conditions": ("conditions", parse_conditions),
    "when_missing": ("when_missing", read.choice(WhenMissing)),
    "default": ("default", read.json_value),
    "merge": ("merge", read.choice(Merge)),
    "required": ("required", read.flag),
    "order": ("order", read.whole_number),
    "enabled": ("enabled", read.flag),
}
_NAME_OF_MEMBER: Final = {attribute: member for member, (attribute, _) in _RULE.items()}


def parse_rule(data: Mapping[str, Any]) -> MapperRule:
    """Read a rule.

    Raises:
        UnusableRule: with every problem that was found; ``where`` is the member of ``data`` to mend.

    Whether the sources exist and may be mapped is not checked: that depends on the site.
    """
    problems: list[RuleProblem] = []
    values: dict[str, Any] = {}
    if not isinstance(data, dict):
        raise refuse("name", gettext_noop("A mapper is an object with members such as “claim” and “source”."))
    problems += _unknown_members(data, _RULE, "name")
    required = _required(MapperRule)
    for member, (attribute, reader) in _RULE.items():
        if member not in data:
            if attribute in required:
                problems.append(RuleProblem(where=member, text=gettext_noop("This is required.")))
            continue
        try:
            values[attribute] = reader(data[member], member)
        except UnusableRule as error:
            problems += error.problems
    if problems:
        raise UnusableRule(*problems)
    rule = MapperRule(**values)
    _refuse_what_can_never_work(rule)
    return rule


def _refuse_what_can_never_work(rule: MapperRule) -> None:
    # Whether the site has the keys that hashes name is for the site to say.
    named = {transform.key_name: "any key" for transform in rule.transforms if isinstance(transform, Hash)}
    compiled = compile_rule(rule, hash_keys=named)
    if isinstance(rule.source, Constant):
        try:
            compiled.value(SourceValues(), {})
        except MapperFailure as failure:
            raise refuse(
                "source",
                gettext_noop("The constant does not become a “%(type)s”: %(reason)s."),
                type=rule.value_type.value,
                reason=failure.detail,
            ) from None
    if isinstance(rule.source, (Groups, Permissions)) and not rule.transforms and rule.value_type != ValueType.STRINGS:
        raise refuse("type", gettext_noop("The source gives a list of texts: choose “strings”, or add a transform."))


def _of_a_kind(data: object, kinds: _Kinds, where: str) -> Any:
    kind = data.get("kind") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(kind, str) or kind not in kinds:
        raise refuse(where, gettext_noop("“kind” must be one of %(kinds)s."), kinds=", ".join(kinds))
    cls, readers = kinds[kind]
    return cls(**_members({name: value for name, value in data.items() if name != "kind"}, readers, cls, where))


def _members(data: object, readers: dict[str, Read], cls: type, where: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise refuse(where, gettext_noop("This must be an object."))
    problems = list(_unknown_members(data, readers, where))
    missing = sorted(_required(cls) - data.keys())
    if missing:
        problems.append(
            RuleProblem(where=where, text=gettext_noop("“%(name)s” is missing."), parameters={"name": missing[0]})
        )
    if problems:
        raise UnusableRule(*problems)
    return {name: readers[name](value, where) for name, value in data.items()}


def _unknown_members(data: Mapping[Any, Any], known: Mapping[str, object], where: str) -> Iterator[RuleProblem]:
    for name in data:
        if name not in known:
            name = name if isinstance(name, str) else type(name).__name__  # noqa: PLW2901 - what can be shown of it
            nearest = difflib.get_close_matches(name, known, n=1) or list(known)
            text = gettext_noop("“%(name)s” is not known here; there is %(known)s.")
            yield RuleProblem(where=where, text=text, parameters={"name": name, "known": ", ".join(nearest)})


def _required(cls: Any) -> set[str]:
    return {each.name for each in fields(cls) if each.default is MISSING and each.default_factory is MISSING}


def write_rule(rule: MapperRule) -> dict[str, Any]:
    """Give the data that :func:`parse_rule` reads as this rule, without what is as it is by default."""
    return {_NAME_OF_MEMBER[name]: value for name, value in _written(rule).items()}


def write_part(part: Any) -> dict[str, Any]:
    """Give the data of a source, a transform or conditions."""
    kind = {"kind": _KIND_OF[type(part)]} if type(part) in _KIND_OF else {}
    return {**kind, **_written(part)}


def _written(part: Any) -> dict[str, Any]:
    written = {}
    for each in fields(part):
        value = getattr(part, each.name)
        default = each.default_factory() if each.default_factory is not MISSING else each.default
        if default is MISSING or value != default:
            written[each.name] = _plain(each.name, value)
    return written


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if name == "table":
        return dict(value)
    if isinstance(value, tuple):
        return [_plain(name, each) for each in value]
    if type(value) in _KIND_OF or isinstance(value, Conditions):
        return write_part(value)
    return value
