"""Hostile access tokens, a row for each: what is changed, its threat and section, and the expected reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.core.token_factory import EVERY_KIND, EXPECTED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from django_at_jwt.core.errors import RejectionReason
    from django_at_jwt.core.verifier import Expectations
    from tests.core.token_factory import TokenFactory


@dataclass(frozen=True, kw_only=True)
class Row:
    """One hostile token: ``change`` creates it with a factory that has the issuer's key."""

    name: str
    threat: int
    section: str
    requirements: tuple[str, ...]
    change: Callable[[TokenFactory], str]
    reason: RejectionReason
    algorithms: tuple[str, ...]
    expected: Expectations


def rows(
    threat: int,
    section: str,
    reason: RejectionReason,
    changes: Mapping[str, Callable[[TokenFactory], str]],
    *,
    shows: tuple[str, ...] = (),
    algorithms: tuple[str, ...] = EVERY_KIND,
    expected: Expectations = EXPECTED,
) -> list[Row]:
    """Return rows that differ only in the change."""
    return [
        Row(
            name=name,
            threat=threat,
            section=section,
            requirements=shows,
            change=change,
            reason=reason,
            algorithms=algorithms,
            expected=expected,
        )
        for name, change in changes.items()
    ]
