"""Templates: texts with places for other sources. They are data, not code: a place names a source, and no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .problems import gettext_noop, refuse
from .rules import ClientField, ExistingClaim, RegisteredSource, ResourceServerField, UserField

if TYPE_CHECKING:
    from collections.abc import Callable

    from .rules import Source

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
    """Take a template apart into texts and sources.

    Raises:
        UnusableRule: it is too long or has too many places, a brace is alone, or a place names no kind of source.
    """
    if not isinstance(text, str) or not text or len(text) > LONGEST_TEMPLATE:
        raise refuse(
            where, gettext_noop("A template is a text of 1 to %(longest)d characters."), longest=LONGEST_TEMPLATE
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
                raise refuse(where, gettext_noop("A brace is alone. Write {{ or }} for a brace."))
            parts.append(_place(text[at + 1 : close], where))
            end = close + 1
        at = end
    if sum(not isinstance(part, str) for part in parts) > MOST_PLACES:
        raise refuse(where, gettext_noop("A template has at most %(most)d places."), most=MOST_PLACES)
    return tuple(parts)


def _place(text: str, where: str) -> Source:
    kind, colon, name = text.partition(":")
    if not colon or not name or kind not in _PLACES:
        raise refuse(
            where,
            gettext_noop(
                "“{%(place)s}” names no source. Write for instance {user:email}, {client:name} or {claim:sub}."
            ),
            place=text,
        )
    return _PLACES[kind](name)
