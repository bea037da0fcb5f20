"""Rules as JSON: what an export holds, settings declare, and the columns of a row store."""

from __future__ import annotations

import difflib
import json
from dataclasses import MISSING, fields
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from .compiler import compile_rule
from .conditions import Conditions, Match, TokensFor
from .errors import MapperFailure, RuleProblem, UnusableRule, gettext_noop, refuse
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
    parse_claim_name,
    refuse_reserved,
)
from .sources import SourceValues, parse_template
from .transforms import Pattern
from .values import SCALAR_TYPES, ValueType, copy_json, is_missing, measure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from .rules import Source, Transform

    Read = Callable[[object, str], Any]


def read_json(text: str, *, where: str) -> Any:
    """Read a JSON text in which each member of an object is there once.

    ``NaN`` and ``Infinity`` are read: who takes the value refuses them, and says why.

    Raises:
        UnusableRule: a member is there twice.
        ValueError: it is no JSON, or is nested too deep.
    """

    def members_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for name, value in pairs:
            if name in members:
                raise refuse(where, gettext_noop("“%(name)s” is there twice in one object."), name=name)
            members[name] = value
        return members

    try:
        return json.loads(text, object_pairs_hook=members_once)
    except RecursionError:
        raise ValueError("the text is nested too deep") from None


_LONGEST_TEXT: Final = 255
_MOST_ENTRIES: Final = 200
_NOT_STORABLE: Final = gettext_noop("No text in this may hold the character NUL or half of a surrogate pair.")
_LARGEST_NUMBER: Final = 2**31 - 1  # What an integer column holds in every database.


def text(longest: int, *, at_least: int = 1) -> Callable[[object, str], str]:
    """Give a reader of texts with so many characters."""

    def read(value: object, where: str) -> str:
        if not isinstance(value, str) or not at_least <= len(value) <= longest or not is_storable(value):
            raise refuse(
                where,
                gettext_noop("This must be a text of %(shortest)d to %(longest)d characters."),
                shortest=at_least,
                longest=longest,
            )
        return value

    return read


def is_storable(value: str) -> bool:
    """Tell whether databases and UTF-8 can hold a text: no half of a surrogate pair, and no NUL."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


_text: Final = text(_LONGEST_TEXT)


def texts(value: object, where: str) -> tuple[str, ...]:
    """Read a list of texts; repetitions go."""
    if not isinstance(value, (list, tuple)) or len(value) > _MOST_ENTRIES:
        raise refuse(where, gettext_noop("This must be a list of at most %(most)d texts."), most=_MOST_ENTRIES)
    return tuple(dict.fromkeys(_text(each, where) for each in value))


def patterns(value: object, where: str) -> tuple[str, ...]:
    """Read a list of patterns."""
    read = texts(value, where)
    if not read:
        raise refuse(where, gettext_noop("Give at least one pattern, such as “app-*”."))
    for each in read:
        Pattern(each, where=where)
    return read


def table(value: object, where: str) -> tuple[tuple[str, str], ...]:
    """Read an object of texts, as pairs in the order of the alphabet."""
    if not isinstance(value, dict) or not 1 <= len(value) <= _MOST_ENTRIES:
        raise refuse(where, gettext_noop("A table has 1 to %(most)d pairs of texts."), most=_MOST_ENTRIES)
    return tuple(sorted((_text(name, where), _text(renamed, where)) for name, renamed in value.items()))


def flag(value: object, where: str) -> bool:
    """Read a boolean."""
    if value is not True and value is not False:
        raise refuse(where, gettext_noop("This must be true or false."))
    return value


def whole_number(value: object, where: str) -> int:
    """Read an integer that any database can hold."""
    if isinstance(value, bool) or not isinstance(value, int) or not -_LARGEST_NUMBER <= value <= _LARGEST_NUMBER:
        raise refuse(where, gettext_noop("This must be a whole number."))
    return value


def choice(choices: Iterable[Enum]) -> Callable[[object, str], Any]:
    """Give a reader of the values of an enumeration, or of some of its members."""
    by_value = {each.value: each for each in choices}

    def read(value: object, where: str) -> Enum:
        found = by_value.get(value) if isinstance(value, str) else None
        if found is None:
            raise refuse(where, gettext_noop("This must be one of %(choices)s."), choices=", ".join(by_value))
        return found

    return read


def optional(read: Callable[[object, str], Any]) -> Callable[[object, str], Any]:
    """Give a reader that takes ``None`` as well."""
    return lambda value, where: None if value is None else read(value, where)


def claim_name(value: object, where: str) -> str:
    """Read the name of a claim."""
    parse_claim_name(value, where=where)
    return str(value)


def mapped_claim_name(value: object, where: str) -> str:
    """Read the name of a claim that a mapper may set."""
    refuse_reserved(parse_claim_name(value, where=where), where=where)
    return str(value)


def template(value: object, where: str) -> str:
    """Read a template."""
    parts = parse_template(value, where=where)
    if not is_storable(str(value)):
        raise refuse(where, _NOT_STORABLE)
    for part in parts:
        if isinstance(part, ExistingClaim):
            parse_claim_name(part.claim, where=where)
    return str(value)


def json_value(value: object, where: str) -> Any:
    """Read any JSON value, within the bounds for values, that a column for JSON can hold."""
    try:
        copied = copy_json(value)
        measure(copied)
    except MapperFailure as failure:
        raise refuse(where, gettext_noop("This is no JSON value: %(reason)s."), reason=failure.detail) from None
    if not all(is_storable(each) for each in _texts_in(copied)):
        # PostgreSQL has no NUL in any text, although JSON has.
        raise refuse(where, _NOT_STORABLE)
    return copied


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for entry in value.values():
            yield from _texts_in(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _texts_in(entry)


def constant(value: object, where: str) -> Any:
    """Read a JSON value that is one: neither ``null`` nor an empty text or list, which stand for no value."""
    if is_missing(value):
        raise refuse(where, gettext_noop("A constant needs a value."))
    return json_value(value, where)


MOST_TRANSFORMS: Final = 10
SHORTEST_HASH_KEY: Final = 16
LONGEST_HASH_KEY: Final = 200

# For each kind, the class and how its members are  Members are required where the class has no default.
_Kinds = dict[str, tuple[type, dict[str, "Read"]]]
SOURCE_KINDS: Final[_Kinds] = {
    "user": (UserField, {"path": text(255)}),
    "groups": (Groups, {}),
    "permissions": (Permissions, {}),
    "client": (ClientField, {"name": text(255)}),
    "resource_server": (ResourceServerField, {"name": text(255)}),
    "constant": (Constant, {"value": constant}),
    "template": (Template, {"text": template}),
    "registered": (RegisteredSource, {"name": text(255)}),
    "claim": (ExistingClaim, {"claim": claim_name}),
}
TRANSFORM_KINDS: Final[_Kinds] = {
    "cast": (Cast, {"to": choice(SCALAR_TYPES)}),
    "join": (Join, {"separator": text(100, at_least=0)}),
    "split": (Split, {"separator": text(100)}),
    "pick": (Pick, {"which": choice(Place)}),
    "filter": (Filter, {"patterns": patterns, "drop": flag}),
    "prefix": (Prefix, {"text": text(200)}),
    "strip": (Strip, {"prefix": text(200, at_least=0), "suffix": text(200, at_least=0)}),
    "rename": (Rename, {"table": table, "others": choice(Others)}),
    "lower": (Lower, {}),
    "default": (Default, {"value": json_value}),
    "hash": (Hash, {"key_name": text(100), "key": text(LONGEST_HASH_KEY, at_least=SHORTEST_HASH_KEY)}),
    "wrap": (Wrap, {"member": text(100)}),
}
_KIND_OF: Final = {cls: kind for kinds in (SOURCE_KINDS, TRANSFORM_KINDS) for kind, (cls, _) in kinds.items()}

_CONDITIONS: Final[dict[str, Read]] = {
    "tokens_for": optional(choice(TokensFor)),
    "clients": texts,
    "scopes": texts,
    "scopes_match": choice(Match),
    "resource_servers": texts,
    "grants": texts,
    "groups": texts,
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
    "name": ("key", text(100)),
    "claim": ("claim", mapped_claim_name),
    "source": ("source", _parse_source),
    "transforms": ("transforms", _parse_transforms),
    "type": ("value_type", choice(ValueType)),
    "conditions": ("conditions", parse_conditions),
    "when_missing": ("when_missing", choice(WhenMissing)),
    "default": ("default", json_value),
    "merge": ("merge", choice(Merge)),
    "required": ("required", flag),
    "order": ("order", whole_number),
    "enabled": ("enabled", flag),
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
