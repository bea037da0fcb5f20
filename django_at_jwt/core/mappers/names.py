r"""The names of claims: nested with dots, where ``\.`` is a dot in a name and ``\\`` a backslash.

``address.country`` is the member ``country`` of the claim ``address``; ``https://example\.com/tenant`` is one claim.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from django_at_jwt.core.profile import RESERVED_CLAIMS

from .escaping import divided
from .problems import gettext_noop, refuse

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
