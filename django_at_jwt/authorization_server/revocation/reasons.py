"""Why tokens are revoked, where django-oauth-toolkit revokes them and only the receivers of its signals see it."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from django_at_jwt.models.authorization import EndReason

if TYPE_CHECKING:
    from collections.abc import Iterator

_reason: Final[ContextVar[EndReason]] = ContextVar("django_at_jwt_end_reason", default=EndReason.TOKEN_REVOKED)

_deletes_unused: Final[ContextVar[bool]] = ContextVar("django_at_jwt_deletes_unused", default=False)


@contextmanager
def because(reason: EndReason) -> Iterator[None]:
    """Record a reason for the tokens that are deleted or revoked within the block.

    With ``SUPERSEDED``, the receivers of signals write nothing: the refresh has written the entries of the deny list
    and the links of these tokens.
    """
    token = _reason.set(reason)
    try:
        yield
    finally:
        _reason.reset(token)


@contextmanager
def without_revocation() -> Iterator[None]:
    """Don't revoke the tokens of clients deleted within the block. Use it if no token can be used any more."""
    token = _deletes_unused.set(True)
    try:
        yield
    finally:
        _deletes_unused.reset(token)


def revokes_nothing() -> bool:
    """Return whether this thread or task is within :func:`without_revocation`."""
    return _deletes_unused.get()


def current_reason() -> EndReason:
    """Return the reason for which tokens are being revoked in this thread or task."""
    return _reason.get()
