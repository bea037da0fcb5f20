"""Why tokens are revoked, where django-oauth-toolkit revokes them and only the receivers of its signals see it."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from django_at_jwt.models.authorization import EndReason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

_reason: Final[ContextVar[EndReason | None]] = ContextVar("django_at_jwt_end_reason", default=EndReason.TOKEN_REVOKED)


@contextmanager
def because(reason: EndReason | None) -> Iterator[None]:
    """Record a reason for the tokens that are deleted or revoked within the block."""
    token = _reason.set(reason)
    try:
        yield
    finally:
        _reason.reset(token)


def without_revocation() -> AbstractContextManager[None]:
    """Revoke nothing because of rows that are deleted or revoked within the block.

    Use it if the caller has denied the tokens itself, as a refresh does, or no token can be used any more.
    """
    return because(None)


def current_reason() -> EndReason | None:
    """Return why tokens are being revoked in this thread or task; ``None`` within :func:`without_revocation`."""
    return _reason.get()
