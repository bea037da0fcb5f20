"""For how long a response may be used: RFC 9111, within bounds that are the resource server's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_DIRECTIVE: Final = re.compile(r'([!#$%&\'*+.^_`|~0-9A-Za-z-]+)(?:=("(?:[^"\\]|\\.)*"|[^\s,;"]*))?')
_SECONDS: Final = re.compile(r"\d{1,9}", re.ASCII)
_REVALIDATED_FROM: Final = 0.8


@dataclass(frozen=True, kw_only=True, slots=True)
class Lifetimes:
    """Between which bounds a response's own word counts. All are seconds.

    Attributes:
        least: for so long it is used even if it says less, so that no issuer is asked all the time.
        most: for no longer it is used, so that a revoked key is noticed.
        usual: for so long it is used where it says nothing.
    """

    least: float
    most: float
    usual: float

    def of(self, cache_control: str | None, age: str | None) -> float:
        """Give the seconds for which a response may be used from now on.

        Args:
            cache_control: the value of ``Cache-Control``, or ``None`` where there is none.
            age: the value of ``Age``: how long a cache on the way has held the response.
        """
        said = max_age(cache_control)
        if said is None:
            return min(max(self.usual, self.least), self.most)
        held = int(age) if age is not None and _SECONDS.fullmatch(age) else 0
        return min(max(said - held, self.least), self.most)


def max_age(cache_control: str | None) -> int | None:
    """Give what ``Cache-Control`` allows in seconds (RFC 9111 §5.2.2), 0 for never, ``None`` where it does not say."""
    directives = {name.lower(): value.strip('"') for name, value in _DIRECTIVE.findall(cache_control or "")}
    if directives.keys() & {"no-store", "no-cache"}:
        return 0
    said = directives.get("max-age")
    if said is None:
        return None
    # What cannot be read counts as stale (RFC 9111 §4.2.1).
    return int(said) if _SECONDS.fullmatch(said) else 0


def refresh_after(lifetime: float) -> float:
    """Give the seconds after which a response is asked for again: a while before it runs out."""
    return lifetime * _REVALIDATED_FROM


def entity_tag(value: str | None) -> str | None:
    """Give an ``ETag`` that can be sent back as it is (RFC 9110 §8.8.3), or ``None``."""
    return value if value is not None and _ENTITY_TAG.fullmatch(value) else None


_ENTITY_TAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,256}"')
