"""Write entries of the deny list.

An entry lives until the last token that it can concern has expired, as it was issued, plus the greatest leeway that a
verifier may allow.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from django.db import router, transaction

from django_at_jwt.core.deny_list import DenyKind
from django_at_jwt.models import DenyListEntry

from .deny_list import deny_list

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

GREATEST_LEEWAY: Final = timedelta(seconds=600)
_BATCH: Final = 1000


def deny_tokens(tokens: Iterable[tuple[str, datetime]], *, reason: str) -> None:
    """Add tokens to the deny list.

    Args:
        tokens: pairs of a ``jti`` and when the token expires.
        reason: a short constant text for administrators.
    """
    _add(
        DenyListEntry(kind=DenyKind.TOKEN, value=token_id, reason=reason, expires_at=expires_at + GREATEST_LEEWAY)
        for token_id, expires_at in tokens
    )


def deny_authorizations(authorizations: Iterable[tuple[str, datetime]], *, reason: str) -> None:
    """Add authorizations to the deny list.

    Args:
        authorizations: pairs of an identifier and when the authorization's last token expires.
        reason: a short constant text for administrators.
    """
    _add(
        DenyListEntry(
            kind=DenyKind.AUTHORIZATION, value=identifier, reason=reason, expires_at=expires_at + GREATEST_LEEWAY
        )
        for identifier, expires_at in authorizations
    )


def deny_client(client_id: str, *, issued_until: datetime, expires_at: datetime, reason: str) -> None:
    """Deny a client's tokens that were issued up to an instant.

    Args:
        issued_until: the instant, compared with ``iat``.
        expires_at: when the last of these tokens expires.
        reason: a short constant text for administrators.
    """
    _add_bounded(DenyKind.CLIENT, client_id, issued_until, expires_at, reason)


def deny_audience(audience: str, *, issued_until: datetime, expires_at: datetime, reason: str) -> None:
    """Deny the tokens for an API that were issued up to an instant, at that API only.

    Args:
        issued_until: the instant, compared with ``iat``.
        expires_at: when the last of these tokens expires.
        reason: a short constant text for administrators.
    """
    _add_bounded(DenyKind.AUDIENCE, audience, issued_until, expires_at, reason)


def _add_bounded(kind: DenyKind, value: str, issued_until: datetime, expires_at: datetime, reason: str) -> None:
    row = DenyListEntry(
        kind=kind, value=value, issued_until=issued_until, reason=reason, expires_at=expires_at + GREATEST_LEEWAY
    )
    _add([row])


def _add(rows: Iterable[DenyListEntry]) -> None:
    # An entry that already exists stays as it is.
    written = DenyListEntry.objects.bulk_create(rows, batch_size=_BATCH, ignore_conflicts=True)
    if written:
        # This process knows at once; the others read the entries within REVOCATION_MAX_AGE.
        entries = [row.entry for row in written]
        transaction.on_commit(partial(deny_list.add, entries), using=router.db_for_write(DenyListEntry))
