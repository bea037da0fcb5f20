"""Claim mappers as data: source, transforms, conditions and merge strategy.

Not checked: the values of these classes. :func:`~.schema.parse_rule` checks input, and
:func:`~.compiler.compile_rule` rejects rules that are invalid nevertheless.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from django_at_jwt.core.profile import RESERVED_CLAIMS
from django_at_jwt.core.quotation import gettext_noop

from .conditions import Conditions
from .errors import refuse
from .values import ValueType

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_NAME: Final = 255
DEEPEST_NAME: Final = 8

ClaimPath = tuple[str, ...]


def parse_claim_name(name: object, *, where: str = "claim") -> ClaimPath:
    """Split a claim's name at its dots.

    Raises:
        UnusableRule: a segment is empty, begins or ends with a space, or contains unprintable characters; or the name
            is too long.

    Not checked: whether the claim is reserved; see :func:`refuse_reserved`.
    """
    if not isinstance(name, str) or not name:
        raise refuse(where, gettext_noop("Enter the name of the claim."))
    if len(name) > LONGEST_NAME:
        raise refuse(where, gettext_noop("A name must have at most %(longest)d characters."), longest=LONGEST_NAME)
    problem = gettext_noop(r"A backslash must be followed by a dot or another backslash: \. or \\")
    path = tuple(split_escaped(name, ".", where=where, problem=problem))
    if len(path) > DEEPEST_NAME:
        raise refuse(where, gettext_noop("A claim must have at most %(deepest)d levels."), deepest=DEEPEST_NAME)
    for segment in path:
        if not segment:
            raise refuse(
                where, gettext_noop(r"A segment before, after or between dots is empty. Write \. for a dot in a name.")
            )
        if segment != segment.strip():
            raise refuse(where, gettext_noop("A name must not begin or end with a space."))
        if not segment.isprintable():
            # Control characters, zero-width characters and lone surrogates would make names that look the same.
            raise refuse(where, gettext_noop("A name must not contain unprintable characters."))
    return path


def write_claim_name(path: ClaimPath) -> str:
    """Return the name that :func:`parse_claim_name` parses into this path."""
    return ".".join(segment.replace("\\", "\\\\").replace(".", "\\.") for segment in path)


def refuse_reserved(path: ClaimPath, *, where: str = "claim") -> None:
    """Check that a claim is not a protocol claim or part of one.

    Raises:
        UnusableRule: the first segment is a reserved claim, or differs from one only in case or in compatibility forms
            (full-width letters).

    Not checked: look-alikes from other scripts. They are different names.
    """
    first = path[0]
    if first in RESERVED_CLAIMS or unicodedata.normalize("NFKC", first).casefold().strip() in RESERVED_CLAIMS:
        raise refuse(
            where,
            gettext_noop("“%(name)s” is a protocol claim, which mappers cannot set. Choose another name."),
            name=first,
        )


def split_escaped(text: str, at: str, *, where: str, problem: str) -> Sequence[str]:
    r"""Split a text at each ``at`` that is not escaped with a backslash, and remove the escapes.

    Args:
        at: one character. Only it and the backslash may be escaped.
        where, problem: for the error, as for :func:`~.errors.refuse`.

    Raises:
        UnusableRule: a backslash is followed by another character or ends the text.
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
    """A field of the user; dots follow relations: ``email``, ``profile.department.code``."""

    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Groups:
    """The names of the user's groups, a sorted list."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Permissions:
    """The user's own and group permissions as ``app.codename``, a sorted list."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientField:
    """A field of the client application."""

    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceServerField:
    """A field of the resource server; missing in a token for several."""

    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Constant:
    """A constant JSON value."""

    value: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """A text with placeholders for other sources: ``{user:first_name} {user:last_name}``.

    Placeholders are ``{user:PATH}``, ``{client:FIELD}``, ``{resource_server:FIELD}``, ``{claim:NAME}`` and
    ``{registered:NAME}``; ``{{`` and ``}}`` are braces. If the value of one is missing, so is the template's.
    """

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredSource:
    """The result of a function that a developer registered under a name."""

    name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ExistingClaim:
    """A protocol claim, or a claim that an earlier mapper set."""

    claim: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Unreadable:
    """The source of a rule that could not be parsed. Its mapper always fails with the problem as its reason."""

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
    """Which entry of a list to pick."""

    FIRST = "first"
    LAST = "last"


class Others(StrEnum):
    """What to do with texts that are not in the table."""

    KEEP = "keep"
    DROP = "drop"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cast:
    """Convert a value, or each entry of a list, to a scalar type.

    Dates and times become ISO 8601 text; aware datetimes can also become seconds since the epoch (RFC 7519 section 2,
    NumericDate).
    """

    to: ValueType


@dataclass(frozen=True, kw_only=True, slots=True)
class Join:
    """Join a list of texts into one text."""

    separator: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Split:
    """Split a text into a list; entries are stripped, and empty ones removed."""

    separator: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Pick:
    """Pick one entry of a list."""

    which: Place


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """Keep the texts that match one of the patterns or, with ``drop``, those that do not."""

    patterns: tuple[str, ...]
    drop: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Prefix:
    """Add a prefix to a text."""

    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Strip:
    """Remove a prefix and a suffix from a text, if present."""

    prefix: str = ""
    suffix: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rename:
    """Replace texts by a table."""

    table: tuple[tuple[str, str], ...]
    others: Others = Others.KEEP


@dataclass(frozen=True, kw_only=True, slots=True)
class Lower:
    """Convert a text to lower case."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Default:
    """Use this value if the value is missing at this point."""

    value: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Hash:
    """Replace a text by its HMAC-SHA-256 in hexadecimal digits.

    With the key, texts can be guessed and checked; without it, only equal texts are recognised. So prefer ``key_name``,
    the name of a key in the settings, to ``key``, the key itself. Exactly one of them is set.
    """

    key_name: str = ""
    key: str = field(default="", repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Wrap:
    """Wrap a value, or each entry of a list, in an object with one member, as in RFC 7643 section 4.1.2."""

    member: str


Transform: TypeAlias = Cast | Join | Split | Pick | Filter | Prefix | Strip | Rename | Lower | Default | Hash | Wrap

# The rule


class WhenMissing(StrEnum):
    """What to do if the value is missing: ``None``, an empty text or an empty list."""

    LEAVE_OUT = "leave_out"
    DEFAULT = "default"
    FAIL = "fail"


class Merge(StrEnum):
    """What to do if an earlier mapper has set the claim."""

    OVERWRITE = "overwrite"
    APPEND = "append"
    IF_ABSENT = "if_absent"


@dataclass(frozen=True, kw_only=True, slots=True)
class MapperRule:
    """One claim mapper.

    Attributes:
        key: the mapper's unique name.
        claim: the name of the claim; dots nest it.
        value_type: the type of the value after all transforms.
        default: the value for :attr:`WhenMissing.DEFAULT`.
        required: whether a failure of this mapper prevents the token from being issued.
        order: mappers are applied in ascending order; mappers with the same order by key.
        enabled: whether it is applied.
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
