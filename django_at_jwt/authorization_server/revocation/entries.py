"""Write entries of the deny list.

An entry lives until the last token that it can concern has expired, as it was issued, plus the greatest leeway that a
verifier may allow.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from django.db import router, transaction

from django_at_jwt.conf import MAX_LEEWAY_SECONDS
from django_at_jwt.core.deny_list import DenyKind
from django_at_jwt.events import TokensRevoked, emit
from django_at_jwt.models import DenyListEntry
from django_at_jwt.models.primary import primary_rows

from .deny_list import deny_list
from .rows import BATCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from django_at_jwt.models.authorization import EndReason

GREATEST_LEEWAY: Final = timedelta(seconds=MAX_LEEWAY_SECONDS)


def deny_tokens(tokens: Iterable[tuple[str, datetime]], *, reason: EndReason) -> None:
    """Add tokens to the deny list.

    Args:
        tokens: pairs of a ``jti`` and when the token expires.
        reason: why, for administrators.
    """
    _add(_entry(DenyKind.TOKEN, token_id, expires_at, reason) for token_id, expires_at in tokens)


def deny_authorizations(
    authorizations: Iterable[tuple[str, datetime]], *, reason: EndReason, reports: bool = True
) -> None:
    """Add authorizations to the deny list.

    Args:
        authorizations: pairs of an identifier and when the authorization's last token expires.
        reason: why, for administrators.
        reports: whether to emit an event.
    """
    entries = (_entry(DenyKind.AUTHORIZATION, each, expires_at, reason) for each, expires_at in authorizations)
    _add(entries, reports=reports)


def deny_client(
    client_id: str, *, issued_until: datetime, expires_at: datetime, reason: EndReason, reports: bool = True
) -> None:
    """Deny a client's tokens that were issued up to an instant.

    Args:
        issued_until: the instant, compared with ``iat``.
        expires_at: when the last of these tokens expires.
        reason: why, for administrators.
        reports: whether to emit an event.
    """
    _add([_entry(DenyKind.CLIENT, client_id, expires_at, reason, issued_until=issued_until)], reports=reports)


def deny_audience(audience: str, *, issued_until: datetime, expires_at: datetime, reason: EndReason) -> None:
    """Deny the tokens for an API that were issued up to an instant, at that API only.

    Args:
        issued_until: the instant, compared with ``iat``.
        expires_at: when the last of these tokens expires.
        reason: why, for administrators.
    """
    _add([_entry(DenyKind.AUDIENCE, audience, expires_at, reason, issued_until=issued_until)])


def shorten_audience_entries(audience: str, *, issued_until: datetime, expires_at: datetime, reason: EndReason) -> None:
    """Shorten the entries for an API that deny tokens issued after an instant; tokens issued up to it stay denied.

    Args:
        issued_until: the instant, compared with ``iat``.
        expires_at: when the last of the tokens that stay denied expires.
        reason: of the entries.
    """
    shortened = _entry(DenyKind.AUDIENCE, audience, expires_at, reason, issued_until=issued_until)
    rows = primary_rows(DenyListEntry).filter(
        kind=DenyKind.AUDIENCE, value=audience, reason=reason, issued_until__gt=issued_until
    )
    # Databases may compare text without case. Entries that end in the same second are equal.
    later = [row for row in rows if row.value == audience and row.digest != shortened.digest]
    if not later:
        return
    # These tokens were revoked before.
    shortened.created_at = min(row.created_at for row in later)
    _add([shortened], reports=False)
    DenyListEntry.objects.filter(pk__in=[row.pk for row in later]).delete()
    # This process knows at once; the others compare the number of entries every minute.
    removed = [row.entry for row in later]
    transaction.on_commit(partial(deny_list.remove, removed), using=router.db_for_write(DenyListEntry))


def _entry(
    kind: DenyKind, value: str, expires_at: datetime, reason: EndReason, *, issued_until: datetime | None = None
) -> DenyListEntry:
    return DenyListEntry(
        kind=kind, value=value, issued_until=issued_until, reason=reason, expires_at=expires_at + GREATEST_LEEWAY
    )


def _add(rows: Iterable[DenyListEntry], *, reports: bool = True) -> None:
    # An entry that already exists stays as it is.
    written = DenyListEntry.objects.bulk_create(rows, batch_size=BATCH, ignore_conflicts=True)
    if written:
        # This process knows at once; the others read the entries within REVOCATION_MAX_AGE.
        entries = [row.entry for row in written]
        database = router.db_for_write(DenyListEntry)
        transaction.on_commit(partial(deny_list.add, entries), using=database)
        if reports:
            transaction.on_commit(partial(emit, _revoked(written)), using=database)


def _revoked(rows: Sequence[DenyListEntry]) -> TokensRevoked:
    first = rows[0]  # All have the same kind and reason.
    return TokensRevoked(
        kind=first.kind,
        reason=first.reason,
        count=len(rows),
        client_id=first.value if first.kind == DenyKind.CLIENT else None,
        audience=first.value if first.kind == DenyKind.AUDIENCE else None,
    )
