"""Rules as JSON, as in exports, settings and database columns: parsing and writing."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.core.jose.jws import DuplicateMember, unique_members
from django_at_jwt.core.quotation import gettext_noop, is_storable, nearest_names

from .compiler import compile_rule
from .conditions import Conditions, Match, TokensFor
from .errors import MapperFailure, RuleProblem, UnusableRule, refuse
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
    """Parse JSON without duplicate members.

    Raises:
        UnusableRule: an object has a duplicate member.
        ValueError: not JSON, or nested too deep.

    Not checked: ``NaN`` and ``Infinity``. :func:`_read_json_value` rejects them with a better message.
    """
    try:
        return json.loads(text, object_pairs_hook=unique_members)
    except DuplicateMember as error:
        raise refuse(where, gettext_noop("“%(name)s” occurs twice in one object."), name=error.name) from None
    except RecursionError:
        raise ValueError("the text is nested too deep") from None


_LONGEST_TEXT: Final = 255
_MOST_ENTRIES: Final = 200
_NOT_STORABLE: Final = gettext_noop("Texts must not contain NUL characters or lone surrogates.")
_LARGEST_NUMBER: Final = 2**31 - 1  # The largest value of an integer column in every database.


def _text_reader(longest: int, *, at_least: int = 1) -> Callable[[object, str], str]:
    """Return a reader of texts with ``at_least`` to ``longest`` characters."""

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


_read_text: Final = _text_reader(_LONGEST_TEXT)


def _read_texts(value: object, where: str) -> tuple[str, ...]:
    """Read a list of texts, and remove duplicates."""
    if not isinstance(value, (list, tuple)) or len(value) > _MOST_ENTRIES:
        raise refuse(where, gettext_noop("This must be a list of at most %(most)d texts."), most=_MOST_ENTRIES)
    return tuple(dict.fromkeys(_read_text(each, where) for each in value))


def _read_patterns(value: object, where: str) -> tuple[str, ...]:
    """Read a list of patterns."""
    read = _read_texts(value, where)
    if not read:
        raise refuse(where, gettext_noop("Enter at least one pattern, such as “app-*”."))
    for each in read:
        Pattern(each, where=where)
    return read


def _read_table(value: object, where: str) -> tuple[tuple[str, str], ...]:
    """Read an object of texts as sorted pairs."""
    if not isinstance(value, dict) or not 1 <= len(value) <= _MOST_ENTRIES:
        raise refuse(where, gettext_noop("A table must have 1 to %(most)d pairs of texts."), most=_MOST_ENTRIES)
    return tuple(sorted((_read_text(name, where), _read_text(renamed, where)) for name, renamed in value.items()))


def _read_boolean(value: object, where: str) -> bool:
    """Read a boolean."""
    if value is not True and value is not False:
        raise refuse(where, gettext_noop("This must be true or false."))
    return value


def _read_integer(value: object, where: str) -> int:
    """Read an integer that every database can store."""
    if isinstance(value, bool) or not isinstance(value, int) or not -_LARGEST_NUMBER <= value <= _LARGEST_NUMBER:
        raise refuse(where, gettext_noop("This must be an integer."))
    return value


def _choice_reader(choices: Iterable[Enum]) -> Callable[[object, str], Any]:
    """Return a reader of the values of an enumeration, or of some of its members."""
    by_value = {each.value: each for each in choices}

    def read(value: object, where: str) -> Enum:
        found = by_value.get(value) if isinstance(value, str) else None
        if found is None:
            raise refuse(where, gettext_noop("This must be one of %(choices)s."), choices=", ".join(by_value))
        return found

    return read


def _optional_reader(read: Callable[[object, str], Any]) -> Callable[[object, str], Any]:
    """Return a reader that also accepts ``None``."""
    return lambda value, where: None if value is None else read(value, where)


def _read_claim_name(value: object, where: str) -> str:
    """Read the name of a claim."""
    parse_claim_name(value, where=where)
    return str(value)


def _read_mapped_claim_name(value: object, where: str) -> str:
    """Read the name of a claim that a mapper may set."""
    refuse_reserved(parse_claim_name(value, where=where), where=where)
    return str(value)


def _read_template(value: object, where: str) -> str:
    """Read a template."""
    parts = parse_template(value, where=where)
    if not is_storable(str(value)):
        raise refuse(where, _NOT_STORABLE)
    for part in parts:
        if isinstance(part, ExistingClaim):
            parse_claim_name(part.claim, where=where)
    return str(value)


def _read_json_value(value: object, where: str) -> Any:
    """Read a JSON value within the size limits that a JSON column can store."""
    try:
        copied = copy_json(value)
        measure(copied)
    except MapperFailure as failure:
        raise refuse(where, gettext_noop("Not a JSON value: %(reason)s."), reason=failure.detail) from None
    if not all(is_storable(each) for each in _texts_in(copied)):
        # PostgreSQL cannot store NUL in text, although JSON allows it.
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


def _read_constant(value: object, where: str) -> Any:
    """Read a JSON value other than ``null``, an empty text or an empty list, which count as missing."""
    if is_missing(value):
        raise refuse(where, gettext_noop("A constant must have a value."))
    return _read_json_value(value, where)


MOST_TRANSFORMS: Final = 10
SHORTEST_HASH_KEY: Final = 16
LONGEST_HASH_KEY: Final = 200

# For each kind, the class and the readers of its members. Members without a default in the class are required.
_Kinds = dict[str, tuple[type, dict[str, "Read"]]]
SOURCE_KINDS: Final[_Kinds] = {
    "user": (UserField, {"path": _read_text}),
    "groups": (Groups, {}),
    "permissions": (Permissions, {}),
    "client": (ClientField, {"name": _read_text}),
    "resource_server": (ResourceServerField, {"name": _read_text}),
    "constant": (Constant, {"value": _read_constant}),
    "template": (Template, {"text": _read_template}),
    "registered": (RegisteredSource, {"name": _read_text}),
    "claim": (ExistingClaim, {"claim": _read_claim_name}),
}
TRANSFORM_KINDS: Final[_Kinds] = {
    "cast": (Cast, {"to": _choice_reader(SCALAR_TYPES)}),
    "join": (Join, {"separator": _text_reader(100, at_least=0)}),
    "split": (Split, {"separator": _text_reader(100)}),
    "pick": (Pick, {"which": _choice_reader(Place)}),
    "filter": (Filter, {"patterns": _read_patterns, "drop": _read_boolean}),
    "prefix": (Prefix, {"text": _text_reader(200)}),
    "strip": (Strip, {"prefix": _text_reader(200, at_least=0), "suffix": _text_reader(200, at_least=0)}),
    "rename": (Rename, {"table": _read_table, "others": _choice_reader(Others)}),
    "lower": (Lower, {}),
    "default": (Default, {"value": _read_json_value}),
    "hash": (Hash, {"key_name": _text_reader(100), "key": _text_reader(LONGEST_HASH_KEY, at_least=SHORTEST_HASH_KEY)}),
    "wrap": (Wrap, {"member": _text_reader(100)}),
}
_KIND_OF: Final = {cls: kind for kinds in (SOURCE_KINDS, TRANSFORM_KINDS) for kind, (cls, _) in kinds.items()}

_CONDITIONS: Final[dict[str, Read]] = {
    "tokens_for": _optional_reader(_choice_reader(TokensFor)),
    "clients": _read_texts,
    "scopes": _read_texts,
    "scopes_match": _choice_reader(Match),
    "resource_servers": _read_texts,
    "grants": _read_texts,
    "groups": _read_texts,
}


def _parse_source(data: object, where: str) -> Source:
    source: Source = _of_a_kind(data, SOURCE_KINDS, where)
    return source


def _parse_transforms(data: object, where: str) -> tuple[Transform, ...]:
    if not isinstance(data, (list, tuple)) or len(data) > MOST_TRANSFORMS:
        raise refuse(where, gettext_noop("This must be a list of at most %(most)d transforms."), most=MOST_TRANSFORMS)
    return tuple(parse_transform(each, where) for each in data)


def parse_transform(data: object, where: str = "transforms") -> Transform:
    """Parse one transform; raises as :func:`parse_rule`."""
    transform: Transform = _of_a_kind(data, TRANSFORM_KINDS, where)
    return transform


def parse_conditions(data: object, where: str = "conditions") -> Conditions:
    """Parse conditions; raises as :func:`parse_rule`."""
    conditions = Conditions(**_members(data, _CONDITIONS, Conditions, where))
    if conditions.groups and conditions.tokens_for is TokensFor.MACHINES:
        raise refuse(where, gettext_noop("Clients that act for themselves have no groups, so this would never match."))
    return conditions


# The members of a rule's data, each with the rule's attribute and a reader.
_RULE: Final[dict[str, tuple[str, Read]]] = {
    "name": ("key", _text_reader(100)),
    "claim": ("claim", _read_mapped_claim_name),
    "source": ("source", _parse_source),
    "transforms": ("transforms", _parse_transforms),
    "type": ("value_type", _choice_reader(ValueType)),
    "conditions": ("conditions", parse_conditions),
    "when_missing": ("when_missing", _choice_reader(WhenMissing)),
    "default": ("default", _read_json_value),
    "merge": ("merge", _choice_reader(Merge)),
    "required": ("required", _read_boolean),
    "order": ("order", _read_integer),
    "enabled": ("enabled", _read_boolean),
}
_NAME_OF_MEMBER: Final = {attribute: member for member, (attribute, _) in _RULE.items()}


def parse_rule(data: Mapping[str, Any]) -> MapperRule:
    """Parse a rule.

    Raises:
        UnusableRule: with all problems found; ``where`` is the invalid member of ``data``.

    Not checked: whether the sources exist and may be mapped, which depends on the site.
    """
    problems: list[RuleProblem] = []
    values: dict[str, Any] = {}
    if not isinstance(data, dict):
        raise refuse("name", gettext_noop("A mapper must be an object with members such as “claim” and “source”."))
    problems += _unknown_members(data, _RULE)
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
    _check_usable(rule)
    return rule


def _check_usable(rule: MapperRule) -> None:
    # Not checked: whether the site has the keys that hashes name.
    compiled = compile_rule(rule, find_hash_key=lambda _name: "any key")
    if isinstance(rule.source, Constant):
        try:
            compiled.value(SourceValues(), {})
        except MapperFailure as failure:
            raise refuse(
                "source",
                gettext_noop("The constant is not of type “%(type)s” after the transforms: %(reason)s."),
                type=rule.value_type.value,
                reason=failure.detail,
            ) from None
    if isinstance(rule.source, (Groups, Permissions)) and not rule.transforms and rule.value_type != ValueType.STRINGS:
        raise refuse("type", gettext_noop("The source is a list of texts: choose “strings”, or add a transform."))


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


def _unknown_members(
    data: Mapping[Any, Any], known: Mapping[str, object], where: str | None = None
) -> Iterator[RuleProblem]:
    for name in data:
        if name not in known:
            name = name if isinstance(name, str) else type(name).__name__  # noqa: PLW2901 - a name that can be shown
            text = gettext_noop("“%(name)s” is not a member. Use %(known)s.")
            nearest = ", ".join(nearest_names(name, known))
            yield RuleProblem(where=where or name, text=text, parameters={"name": name, "known": nearest})


def _required(cls: Any) -> set[str]:
    return {each.name for each in fields(cls) if each.default is MISSING and each.default_factory is MISSING}


def write_rule(rule: MapperRule) -> dict[str, Any]:
    """Return the data that :func:`parse_rule` parses into this rule, without defaults."""
    return {_NAME_OF_MEMBER[name]: value for name, value in _written(rule).items()}


def write_part(part: Any) -> dict[str, Any]:
    """Return the data of a source, a transform or conditions, without defaults."""
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
