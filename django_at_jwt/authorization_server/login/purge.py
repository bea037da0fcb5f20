"""Delete authorizations that can no longer be used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils import timezone
from oauth2_provider.models import get_refresh_token_model

from django_at_jwt.models import Authorization
from django_at_jwt.models.primary import primary_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from uuid import UUID

_BATCH: Final = 1000


def purge_authorizations(*, dry_run: bool = False) -> int:
    """Delete the authorizations of expired codes and of deleted refresh tokens.

    Run it after DOT's ``cleartokens``, which deletes expired refresh tokens.

    Args:
        dry_run: only count.

    Returns:
        The number of rows deleted, or to be deleted.
    """
    ended = 0
    for batch in _batches():
        ended += len(batch)
        if not dry_run:
            Authorization.objects.filter(pk__in=batch).delete()
    return ended


def _batches() -> Iterator[list[int]]:
    """Yield batches of primary keys. No join: refresh tokens may be in another database."""
    expired = primary_rows(Authorization).filter(expires_at__lt=timezone.now()).order_by("pk")
    last = 0
    while rows := list(expired.filter(pk__gt=last).values_list("pk", "family")[:_BATCH]):
        last = rows[-1][0]
        families = {pk: family for pk, family in rows if family is not None}
        living = _living(families.values())
        yield [pk for pk, _ in rows if families.get(pk) not in living]


def _living(families: Collection[UUID]) -> set[UUID]:
    refresh_tokens = primary_rows(get_refresh_token_model()).filter(token_family__in=list(families))
    return set(refresh_tokens.values_list("token_family", flat=True))
