"""Delete authorizations that can no longer be used, and what is stored about expired tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.db.models import Q
from django.utils import timezone
from oauth2_provider.models import get_refresh_token_model

from django_at_jwt.authorization_server.revocation.rows import rows_in_batches
from django_at_jwt.models import Authorization, DenyListEntry, IssuedToken
from django_at_jwt.models.primary import primary_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from django.db.models import QuerySet

_BATCH: Final = 1000


class Purged(NamedTuple):
    """How many rows were deleted, or would be."""

    authorizations: int
    issued_tokens: int
    deny_list_entries: int


def purge_authorizations(*, dry_run: bool = False) -> Purged:
    """Delete authorizations that can no longer be used, and links and deny list entries of expired tokens.

    An authorization stays until its code and access tokens have expired, and its refresh tokens were revoked or
    deleted. Run it after DOT's ``cleartokens``, which deletes expired refresh tokens.

    Args:
        dry_run: only count.
    """
    now = timezone.now()
    expired = Q(expires_at__lt=now)
    without_tokens = Q(tokens_expire_at__isnull=True) | Q(tokens_expire_at__lt=now)
    authorizations = primary_rows(Authorization).filter(expired, without_tokens)
    return Purged(
        authorizations=_delete(authorizations, dry_run=dry_run, choose=_without_refresh_token),
        issued_tokens=_delete(primary_rows(IssuedToken).filter(expired), dry_run=dry_run),
        deny_list_entries=_delete(primary_rows(DenyListEntry).filter(expired), dry_run=dry_run),
    )


def _delete(
    rows: QuerySet[Any], *, dry_run: bool, choose: Callable[[Sequence[int]], Collection[int]] | None = None
) -> int:
    """Delete rows in batches, of each batch those that ``choose`` returns, and return their number."""
    deleted = 0
    for batch in rows_in_batches(rows.values_list("pk", named=True), size=_BATCH):
        keys = [row.pk for row in batch]
        chosen = keys if choose is None else choose(keys)
        deleted += len(chosen)
        if not dry_run:
            rows.filter(pk__in=chosen).delete()
    return deleted


def _without_refresh_token(keys: Sequence[int]) -> Collection[int]:
    """Return those of some authorizations that have no live refresh token."""
    # No join: refresh tokens may be in another database.
    families = dict(primary_rows(Authorization).filter(pk__in=keys, family__isnull=False).values_list("pk", "family"))
    live = primary_rows(get_refresh_token_model()).filter(token_family__in=families.values(), revoked__isnull=True)
    living = set(live.values_list("token_family", flat=True))
    return [key for key in keys if families.get(key) not in living]
