"""JSON that people write and review: what they saw first in it must not be replaced by what comes later."""

from __future__ import annotations

import json
from typing import Any

from .problems import gettext_noop, refuse


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
