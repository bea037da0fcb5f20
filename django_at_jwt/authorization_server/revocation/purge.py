"""Delete authorizations that can no longer be used, and what is stored about expired tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from oauth2_provider.models import get_refresh_token_model

from django_at_jwt.models import Authorization, DenyListEntry, IssuedToken
from django_at_jwt.models.primary import primary_rows

from .entries import GREATEST_LEEWAY
from .rows import rows_in_batches

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from django.db.models import QuerySet

    Progress = Callable[[str, int], None]
    """Called after each batch with the plural name of the rows and how many of them were deleted so far."""

_BATCH: Final = 1000


class Purged(NamedTuple):
    """How many rows were deleted, or would be."""

    authorizations: int
    issued_tokens: int
    deny_list_entries: int


def purge_authorizations(*, dry_run: bool = False, progress: Progress | None = None) -> Purged:
    """Delete authorizations that can no longer be used, and links and deny list entries of expired tokens.

    An authorization stays until its code and access tokens have expired, and its refresh tokens were revoked or
    deleted. Everything stays for the greatest leeway, 10 minutes, after its expiry. Run it after DOT's ``cleartokens``,
    which deletes expired refresh tokens.

    With nothing to delete, it takes one statement for each of the three models. Rows are deleted a thousand at a time,
    each batch in a transaction. If refresh tokens are in another database than authorizations, it takes two statements
    for each thousand authorizations whose code and access tokens have expired.

    Tokens can be issued meanwhile: an authorization or link that gets another token is not deleted.

    Args:
        dry_run: only count.
        progress: called after each batch.

    Raises:
        django.db.Error: the database failed. Batches before the error are deleted.
    """
    # A request that began before then may still use the row, and an API may still accept the token.
    expired_before = timezone.now() - GREATEST_LEEWAY
    expired = Q(expires_at__lt=expired_before)
    without_tokens = Q(tokens_expire_at__isnull=True) | Q(tokens_expire_at__lt=expired_before)
    authorizations = primary_rows(Authorization).filter(expired, without_tokens)
    return Purged(
        _purge(_unusable(authorizations), authorizations, dry_run=dry_run, progress=progress),
        *(
            _purge(_in_batches(rows), rows, dry_run=dry_run, progress=progress)
            for rows in (primary_rows(model).filter(expired) for model in (IssuedToken, DenyListEntry))
        ),
    )


def _purge(batches: Iterator[Collection[int]], rows: QuerySet[Any], *, dry_run: bool, progress: Progress | None) -> int:
    """Delete the rows with the keys of each batch that still meet the conditions of ``rows``; return their number."""
    meta, total = rows.model._meta, 0
    for keys in batches:
        if dry_run:
            total += len(keys)
            continue
        # With the conditions: since the keys were read, a row may have got another token, which extends its expiry.
        _, deleted = rows.filter(pk__in=keys).delete()
        total += deleted.get(meta.label, 0)
        if progress is not None:
            progress(str(meta.verbose_name_plural), total)
    return total


def _unusable(authorizations: QuerySet[Authorization]) -> Iterator[Collection[int]]:
    """Yield the keys of those of some authorizations that have no live refresh token."""
    live = primary_rows(get_refresh_token_model()).filter(revoked__isnull=True)
    if live.db == authorizations.db:
        yield from _in_batches(authorizations.exclude(Exists(live.filter(token_family=OuterRef("family")))))
    else:
        for keys in _in_batches(authorizations):
            families = dict(authorizations.filter(pk__in=keys, family__isnull=False).values_list("pk", "family"))
            found = live.filter(token_family__in=families.values())
            living = set(found.values_list("token_family", flat=True))
            yield [key for key in keys if families.get(key) not in living]


def _in_batches(rows: QuerySet[Any]) -> Iterator[Sequence[int]]:
    for batch in rows_in_batches(rows.values_list("pk", named=True), size=_BATCH):
        yield [row.pk for row in batch]
