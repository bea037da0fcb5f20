"""Database connections in threads where no request of Django begins or ends."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from django.db import connections
from django.views.decorators.debug import sensitive_variables

if TYPE_CHECKING:
    from collections.abc import Callable

    _Parameters = ParamSpec("_Parameters")
    _Result = TypeVar("_Result")


def without_broken_connections(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Close this thread's connections that an error has made unusable before the function runs, so that it reconnects.

    Django does so when its own requests begin and end, but not for WebSockets or for applications of other frameworks.
    """

    @wraps(function)
    @sensitive_variables()
    def run(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        for connection in connections.all(initialized_only=True):
            if connection.errors_occurred and not connection.in_atomic_block:
                connection.close_if_unusable_or_obsolete()
        return function(*args, **kwargs)

    return run
