"""Distinguish tokens that a refresh replaces from revoked ones: django-oauth-toolkit revokes both alike."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_refreshing: Final[ContextVar[bool]] = ContextVar("django_at_jwt_refreshing", default=False)


@contextmanager
def refreshing() -> Iterator[None]:
    """Treat tokens that are deleted or revoked within the block as superseded by a refresh.

    The refresh has written the entries of the deny list and the links of these tokens; receivers of signals write
    nothing for them.
    """
    token = _refreshing.set(True)
    try:
        yield
    finally:
        _refreshing.reset(token)


def is_refreshing() -> bool:
    """Return whether tokens are being replaced by a refresh in this thread or task."""
    return _refreshing.get()
