"""Sources of values: which values they need, and reading them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from django_at_jwt.core.quotation import gettext_noop

from .errors import FailureReason, MapperFailure, refuse
from .rules import (
    ClaimPath,
    ClientField,
    Constant,
    ExistingClaim,
    Groups,
    Permissions,
    RegisteredSource,
    ResourceServerField,
    Template,
    Unreadable,
    UserField,
    parse_claim_name,
)
from .transforms import check_size

if TYPE_CHECKING:
    from .rules import Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """The values that mappers need, in addition to the client and the resource server.

    ``user_fields`` are paths, ``registered`` the names of registered sources.
    """

    user_fields: frozenset[str] = frozenset()
    groups: bool = False
    permissions: bool = False
    registered: frozenset[str] = frozenset()

    @classmethod
    def of_all(cls, needs: Iterable[Needs]) -> Self:
        """Return the union of several needs."""
        needs = list(needs)
        return cls(
            user_fields=frozenset().union(*(each.user_fields for each in needs)),
            groups=any(each.groups for each in needs),
            permissions=any(each.permissions for each in needs),
            registered=frozenset().union(*(each.registered for each in needs)),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceValues:
    """The values of all sources for one token.

    Attributes:
        user: the user's fields by path; empty if the client acts for itself.
        groups: the names of the user's groups, sorted.
        permissions: ``app.codename``, sorted.
        client: fields of the client.
        resource_server: fields of the token's resource server; empty if there are several.
        registered: functions without arguments, by the names of the registered sources. Each is called when its mapper
            is applied; any exception makes the mapper fail.
        protocol: the protocol claims that will be signed.
    """

    user: Mapping[str, Any] = field(default_factory=dict)
    groups: Collection[str] = ()
    permissions: Collection[str] = ()
    client: Mapping[str, Any] = field(default_factory=dict)
    resource_server: Mapping[str, Any] = field(default_factory=dict)
    registered: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    protocol: Mapping[str, Any] = field(default_factory=dict)


Reader = Callable[[SourceValues, Mapping[str, Any]], Any]
"""Reads a source; the second argument is the claims mapped so far."""


def compile_source(source: Any) -> tuple[Reader, Needs]:  # noqa: C901, PLR0911 - one for each kind of source
    """Return the function that reads a source, and the values that it needs.

    Raises:
        UnusableRule: the rule could not be parsed, or names an invalid claim or placeholder.
        TypeError: this is not a source.
    """
    match source:
        case UserField(path=path):
            return lambda values, _mapped: values.user.get(path), Needs(user_fields=frozenset({path}))
        case Groups():
            return lambda values, _mapped: list(values.groups), Needs(groups=True)
        case Permissions():
            return lambda values, _mapped: list(values.permissions), Needs(permissions=True)
        case ClientField(name=name):
            return lambda values, _mapped: values.client.get(name), Needs()
        case ResourceServerField(name=name):
            return lambda values, _mapped: values.resource_server.get(name), Needs()
        case Constant(value=value):
            return lambda _values, _mapped: value, Needs()
        case RegisteredSource(name=name):
            return lambda values, _mapped: _call(name, values.registered), Needs(registered=frozenset({name}))
        case ExistingClaim(claim=claim):
            return _claim_reader(parse_claim_name(claim, where="source")), Needs()
        case Template(text=text):
            return _compile_template(text)
        case Unreadable(problem=problem):
            raise refuse("source", gettext_noop("The rule cannot be used: %(problem)s"), problem=problem)
    raise TypeError(f"{type(source).__name__} is not a source")


def _call(name: str, registered: Mapping[str, Callable[[], Any]]) -> Any:
    function = registered.get(name)
    if function is None:
        raise MapperFailure(FailureReason.SOURCE_FAILED, f"the source {name!r} is not registered")
    try:
        return function()
    except MapperFailure:
        raise
    except Exception as error:  # noqa: BLE001 - an error in the site's code must not affect other claims
        # The message may contain personal data, so only report where it was raised.
        raise MapperFailure(FailureReason.SOURCE_FAILED, _where_raised(error, name)) from None


def _claim_reader(path: ClaimPath) -> Reader:
    def read(values: SourceValues, mapped: Mapping[str, Any]) -> Any:
        # Reserved claims are never mapped, so no name is in both.
        value: Any = values.protocol if path[0] in values.protocol else mapped
        for segment in path:
            if not isinstance(value, Mapping) or segment not in value:
                return None
            value = value[segment]
        return value

    return read


def _compile_template(text: str) -> tuple[Reader, Needs]:
    compiled = [part if isinstance(part, str) else compile_source(part) for part in parse_template(text)]
    parts = [part if isinstance(part, str) else part[0] for part in compiled]

    def fill(values: SourceValues, mapped: Mapping[str, Any]) -> str | None:
        texts = []
        for part in parts:
            value = part if isinstance(part, str) else part(values, mapped)
            if value is None or value == "":
                return None
            texts.append(_as_text(value))
        return "".join(texts)

    return fill, Needs.of_all(part[1] for part in compiled if not isinstance(part, str))


def _as_text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise MapperFailure(
            FailureReason.WRONG_TYPE,
            f"a placeholder of the template must be a text or an integer (got {type(value).__name__})",
        )
    check_size(value)
    return str(value)


def _where_raised(error: Exception, name: str) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return f"the source {name!r} raised {type(error).__name__}"
    code = trace.tb_frame.f_code
    return f"the source {name!r} raised {type(error).__name__} in {code.co_qualname}, line {trace.tb_lineno}"


def parts_of(source: Source) -> tuple[Source, ...]:
    """Return the sources in the placeholders of a template, or the source itself."""
    if isinstance(source, Template):
        return tuple(part for part in parse_template(source.text) if not isinstance(part, str))
    return (source,)


LONGEST_TEMPLATE: Final = 1000
MOST_PLACES: Final = 20

_PLACES: Final[dict[str, Callable[[str], Source]]] = {
    "user": lambda name: UserField(path=name),
    "client": lambda name: ClientField(name=name),
    "resource_server": lambda name: ResourceServerField(name=name),
    "claim": lambda name: ExistingClaim(claim=name),
    "registered": lambda name: RegisteredSource(name=name),
}


def parse_template(text: object, *, where: str = "source") -> tuple[str | Source, ...]:
    """Split a template into texts and sources.

    Raises:
        UnusableRule: it is too long or has too many placeholders, a brace is unmatched, or a placeholder is invalid.
    """
    if not isinstance(text, str) or not text or len(text) > LONGEST_TEMPLATE:
        raise refuse(
            where, gettext_noop("A template must be a text of 1 to %(longest)d characters."), longest=LONGEST_TEMPLATE
        )
    parts: list[str | Source] = []
    at = 0
    while at < len(text):
        letter = text[at]
        if letter not in "{}":
            end = min((found for brace in "{}" if (found := text.find(brace, at)) >= 0), default=len(text))
            parts.append(text[at:end])
        elif text.startswith(letter, at + 1):
            parts.append(letter)
            end = at + 2
        else:
            close = text.find("}", at)
            if letter == "}" or close < 0:
                raise refuse(where, gettext_noop("A brace is unmatched. Write {{ or }} for a brace."))
            parts.append(_place(text[at + 1 : close], where))
            end = close + 1
        at = end
    if sum(not isinstance(part, str) for part in parts) > MOST_PLACES:
        raise refuse(where, gettext_noop("A template must have at most %(most)d placeholders."), most=MOST_PLACES)
    return tuple(parts)


def _place(text: str, where: str) -> Source:
    kind, colon, name = text.partition(":")
    if not colon or not name or kind not in _PLACES:
        raise refuse(
            where,
            gettext_noop("“{%(place)s}” is not a source. Use for example {user:email}, {client:name} or {claim:sub}."),
            place=text,
        )
    return _PLACES[kind](name)
