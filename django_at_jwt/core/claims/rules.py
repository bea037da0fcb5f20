"""A claim mapper as data: where its value comes from, what is done to it, when, and what becomes of it.

Nothing here is checked. A rule that a person wrote comes from :func:`~.parsing.parse_rule`, and one that breaks a rule
for rules anyway is told apart when it is compiled.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from django_at_jwt.core.profile import RESERVED_CLAIMS

from .conditions import Conditions
from .errors import gettext_noop, refuse
from .values import ValueType

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_NAME: Final = 255
DEEPEST_NAME: Final = 8

ClaimPath = tuple[str, ...]


def parse_claim_name(name: object, *, where: str = "claim") -> ClaimPath:
    """Take a claim's name apart at its dots.

    Raises:
        UnusableRule: a segment is empty, begins or ends with a space, or holds a character that cannot be seen; or the
            name is too long.

    Whether the claim is reserved is not checked: see :func:`refuse_reserved`.
    """
    if not isinstance(name, str) or not name:
        raise refuse(where, gettext_noop("Give the claim a name."))
    if len(name) > LONGEST_NAME:
        raise refuse(where, gettext_noop("A name has at most %(longest)d characters."), longest=LONGEST_NAME)
    problem = gettext_noop(r"A backslash stands before a dot or another backslash: \. or \\")
    path = tuple(divided(name, ".", where=where, problem=problem))
    if len(path) > DEEPEST_NAME:
        raise refuse(where, gettext_noop("A claim is nested at most %(deepest)d deep."), deepest=DEEPEST_NAME)
    for segment in path:
        if not segment:
            raise refuse(
                where, gettext_noop(r"There is nothing before, after or between dots. Write \. for a dot in a name.")
            )
        if segment != segment.strip():
            raise refuse(where, gettext_noop("A name must not begin or end with a space."))
        if not segment.isprintable():
            # Control characters, zero-width letters and lone surrogates: names that look the same and are not.
            raise refuse(where, gettext_noop("A name must not hold characters that cannot be seen."))
    return path


def write_claim_name(path: ClaimPath) -> str:
    """Give the name that :func:`parse_claim_name` reads as this path."""
    return ".".join(segment.replace("\\", "\\\\").replace(".", "\\.") for segment in path)


def refuse_reserved(path: ClaimPath, *, where: str = "claim") -> None:
    """Refuse the claims of the protocol, in whatever spelling, and everything below them.

    Raises:
        UnusableRule: the first segment is a reserved claim, or differs from one by its case or by compatibility forms
            of its letters (full-width letters). Look-alikes from other scripts are other names.
    """
    first = path[0]
    if first in RESERVED_CLAIMS or unicodedata.normalize("NFKC", first).casefold().strip() in RESERVED_CLAIMS:
        raise refuse(
            where,
            gettext_noop("“%(name)s” belongs to the protocol, and no mapper may set it. Choose another name."),
            name=first,
        )


def divided(text: str, at: str, *, where: str, problem: str) -> Sequence[str]:
    r"""Divide a text at each ``at`` that has no backslash before it, and take the backslashes away.

    Args:
        at: one character. Only it and the backslash may have a backslash before them.
        where, problem: what to refuse any other text with, as for :func:`~.problems.refuse`.

    Raises:
        UnusableRule: a backslash stands before another character, or at the end.
    """
    parts, letters, escaped = [], [], False
    for letter in text:
        if escaped:
            if letter not in (at, "\\"):
                raise refuse(where, problem)
            letters.append(letter)
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == at:
            parts.append("".join(letters))
            letters = []
        else:
            letters.append(letter)
    if escaped:
        raise refuse(where, problem)
    return [*parts, "".join(letters)]


# Sources


@dataclass(frozen=True, kw_only=True, slots=True)
class UserField:
    """A field of the user, through relations where the path has dots: ``email``, ``profile.department.code``."""

    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Groups:
    """The names of the user's groups, a list in the order of the alphabet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Permissions:
    """The permissions that the user was given, one by one or by a group: ``app.codename``, in alphabetical order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientField:
    """A field of the client application."""

    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceServerField:
    """A field of the resource server; no value in a token for more than one."""

    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Constant:
    """Always the same JSON value."""

    value: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """A text with places for other sources: ``{user:first_name} {user:last_name}``.

    The places are ``{user:PATH}``, ``{client:FIELD}``, ``{resource_server:FIELD}``, ``{claim:NAME}`` and
    ``{registered:NAME}``; ``{{`` and ``}}`` are braces. If one of them has no value, neither has the template.
    """

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredSource:
    """What a function gives that a developer registered under a name."""

    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ExistingClaim:
    """A claim of the protocol, or one that a mapper before this one has set."""

    claim: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreadable:
    """In place of the source of a rule that could not be read: its mapper always fails, and says why."""

    problem: str


Source: TypeAlias = (
    UserField
    | Groups
    | Permissions
    | ClientField
    | ResourceServerField
    | Constant
    | Template
    | RegisteredSource
    | ExistingClaim
    | Unreadable
)

# Transforms


class Place(StrEnum):
    """Which entry of a list is picked."""

    FIRST = "first"
    LAST = "last"


class Others(StrEnum):
    """What becomes of texts that a table does not rename."""

    KEEP = "keep"
    DROP = "drop"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cast:
    """Convert a value, or each entry of a list, to a scalar type.

    Dates and times become ISO 8601 text or, where they are aware, seconds since the epoch (RFC 7519 §2, NumericDate).
    """

    to: ValueType


@dataclass(frozen=True, kw_only=True, slots=True)
class Join:
    """Make one text of a list of texts."""

    separator: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Make a list of a text; spaces around the entries go, and empty entries."""

    separator: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Pick:
    """Take one entry of a list."""

    which: Place


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """Keep the texts that match one of the patterns or, where ``drop`` is set, all others."""

    patterns: tuple[str, ...]
    drop: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Prefix:
    """Put a text before the text."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Strip:
    """Take a text away at the beginning and one at the end, where they are there."""

    prefix: str = ""
    suffix: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rename:
    """Replace texts by a table of pairs."""

    table: tuple[tuple[str, str], ...]
    others: Others = Others.KEEP


@dataclass(frozen=True, kw_only=True, slots=True)
class Lower:
    """Write a text in lower case."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Default:
    """Take this value where there is none at this point."""

    value: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Hash:
    """Replace a text by its HMAC-SHA-256 in hexadecimal digits.

    Whoever has the key can find out which text it was by trying; whoever has it not can only tell equal texts. So the
    rule had better hold no more than the name of a key that the site keeps; it has either that or the key itself.
    """

    key_name: str = ""
    key: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wrap:
    """Make an object with one member of a value, or of each entry of a list: the shape of RFC 7643 §4.1.2."""

    member: str


Transform: TypeAlias = Cast | Join | Split | Pick | Filter | Prefix | Strip | Rename | Lower | Default | Hash | Wrap

# The rule


class WhenMissing(StrEnum):
    """What happens where there is no value: ``None``, an empty text or an empty list."""

    LEAVE_OUT = "leave_out"
    DEFAULT = "default"
    FAIL = "fail"


class Merge(StrEnum):
    """What happens where the claim is there already, from a mapper before this one."""

    OVERWRITE = "overwrite"
    APPEND = "append"
    IF_ABSENT = "if_absent"


@dataclass(frozen=True, kw_only=True, slots=True)
class MapperRule:
    """One claim mapper.

    Attributes:
        key: the mapper's name, which no other has.
        claim: the name of the claim, nested with dots.
        value_type: what the value must be in the end.
        default: the value for :attr:`WhenMissing.DEFAULT`.
        required: whether no token is issued when this mapper fails.
        order: mappers are applied in ascending order, those of the same order by their keys.
        enabled: whether it is applied at all.
    """

    key: str
    claim: str
    source: Source
    transforms: tuple[Transform, ...] = ()
    value_type: ValueType = ValueType.STRING
    conditions: Conditions = field(default_factory=Conditions)
    when_missing: WhenMissing = WhenMissing.LEAVE_OUT
    default: Any = None
    merge: Merge = Merge.OVERWRITE
    required: bool = False
    order: int = 0
    enabled: bool = True
