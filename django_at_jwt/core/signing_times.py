"""When keys of an algorithm have signed, looking back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from .lifecycle import KeyTimes


def signs_throughout(keys: Iterable[KeyTimes], algorithm: str, starts: datetime, ends: datetime) -> bool:
    """Tell whether a key of an algorithm signed at each instant of a span, those that were revoked since included.

    A row that was deleted cannot be looked at: then the answer is no.
    """
    covered = starts
    for key in sorted((key for key in keys if key.algorithm == algorithm), key=lambda key: key.signing_at):
        if key.signing_at <= covered:
            stops = min((at for at in (key.retained_at, key.revoked_at) if at is not None), default=ends)
            covered = max(covered, stops)
    return covered >= ends
