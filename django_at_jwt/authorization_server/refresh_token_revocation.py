"""Revoking refresh tokens after a signing key has leaked, in a way that can be resumed."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.utils import timezone
from oauth2_provider.models import get_refresh_token_model

from django_at_jwt.models.primary import primary_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import QuerySet

logger = logging.getLogger("django_at_jwt")

_BATCH: Final = 500


class RefreshTokens(StrEnum):
    """Which refresh tokens go with a key."""

    NONE = "none"
    OF_ITS_TOKENS = "of its tokens"
    ALL = "all"


class Ended(NamedTuple):
    """How many refresh tokens were revoked, or would be, and how many could not be."""

    revoked: int = 0
    failed: int = 0


def revoke_refresh_tokens(which: RefreshTokens, *, access_tokens: QuerySet[Any], dry_run: bool) -> Ended:
    """Revoke living refresh tokens that were issued up to now.

    One that cannot be revoked is left, and the log says why for the first of them. To run this again takes up those.

    Args:
        which: those of ``access_tokens``, or all that there are, or none.

    Raises:
        django.db.Error: they cannot be read.
    """
    if which is RefreshTokens.NONE:
        return Ended()
    living = primary_rows(get_refresh_token_model()).filter(revoked__isnull=True, created__lte=timezone.now())
    if which is RefreshTokens.OF_ITS_TOKENS:
        living = living.filter(access_token__in=access_tokens)
    if dry_run:
        return Ended(revoked=living.count())
    revoked = failed = 0
    for token in _in_batches(living):
        # One by one, as the toolkit does it: a site may have swapped the model and its revoke().
        try:
            token.revoke()
            revoked += 1
        except Exception:
            # Whatever a site's own revoke() raises is no reason to leave the others.
            if not failed:
                logger.exception("A refresh token could not be revoked")
            failed += 1
    return Ended(revoked=revoked, failed=failed)


def _in_batches(rows: QuerySet[Any]) -> Iterator[Any]:
    # Revoking one deletes its access token, so a batch is read before; and all of them may be very many.
    last: Any = None
    while batch := list((rows if last is None else rows.filter(pk__gt=last)).order_by("pk")[:_BATCH]):
        yield from batch
        last = batch[-1].pk
