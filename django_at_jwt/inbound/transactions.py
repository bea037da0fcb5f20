"""Views outside the transaction of their request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.db import connections

if TYPE_CHECKING:
    from collections.abc import Callable

    _View = TypeVar("_View", bound=Callable[..., Any])


def outside_transactions(view: _View) -> _View:
    """Make a view exempt from ``ATOMIC_REQUESTS`` for every database, and return it."""
    # Django's decorator would change the set that functools.wraps() copied from a wrapped view.
    view._non_atomic_requests = set(connections)  # type: ignore[attr-defined]
    return view
