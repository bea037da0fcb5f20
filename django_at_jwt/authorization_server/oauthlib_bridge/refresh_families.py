"""Families of refresh tokens: those of one authorization, including the siblings that retries add.

A client that did not receive the response to a refresh retries with the same refresh token. Within
``REFRESH_TOKEN_GRACE_PERIOD_SECONDS`` it gets another pair of tokens, whose refresh token is a sibling of the first
one. Using one sibling revokes the others.

All live refresh tokens of a family are siblings, so rows need not store which token each of them replaces.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import Q
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model
from oauth2_provider.settings import oauth2_settings

if TYPE_CHECKING:
    from collections.abc import Sequence


class LockedFamily(NamedTuple):
    """The locked rows of a family.

    Attributes:
        token: the current row of the refresh token, or ``None`` if it was deleted.
        siblings: the family's other live refresh tokens.
    """

    token: Any
    siblings: Sequence[Any]

    def end_siblings(self) -> None:
        """Revoke the siblings and their access tokens."""
        for sibling in self.siblings:
            # The model's method: a site may have swapped the model.
            sibling.revoke()


def lock_family(refresh_token: Any) -> LockedFamily:
    """Lock the family of a refresh token until the end of the transaction, and return its current rows.

    Args:
        refresh_token: a row of the refresh token model; may be stale.

    Raises:
        django.db.transaction.TransactionManagementError: not in a transaction, on a database with row locks.
    """
    rows = get_refresh_token_model().objects.select_for_update()
    if refresh_token.token_family is None:
        return LockedFamily(rows.filter(pk=refresh_token.pk).first(), ())
    family = rows.filter(token_family=refresh_token.token_family)
    # The oldest row is the lock, so that requests with different siblings wait for each other. Only a statement that
    # starts after the wait sees rows that the other request has added.
    family.order_by("created", "pk").first()
    members = list(family.filter(Q(pk=refresh_token.pk) | Q(revoked__isnull=True)).order_by("pk"))
    return LockedFamily(
        token=next((member for member in members if member.pk == refresh_token.pk), None),
        siblings=[member for member in members if member.pk != refresh_token.pk],
    )


def first_replacement(refresh_token: Any) -> Any:
    """Lock and return the access token issued at the first use of a refresh token, or ``None``.

    DOT deletes it when the refresh token issued with it is used or revoked.
    """
    return get_access_token_model().objects.select_for_update().filter(source_refresh_token=refresh_token).first()


def can_have_sibling(refresh_token: Any, replacement: Any) -> bool:
    """Return whether a retry with a replaced refresh token may get another pair of tokens.

    Args:
        refresh_token: a used refresh token of a locked family.
        replacement: the result of :func:`first_replacement` for it.
    """
    if refresh_token.token_family is None:
        # Without a family, siblings could not be found and revoked.
        return False
    period = timedelta(seconds=oauth2_settings.REFRESH_TOKEN_GRACE_PERIOD_SECONDS)
    if refresh_token.revoked <= timezone.now() - period:
        return False
    # If its refresh token was deleted, the replacement would survive the use of a sibling and allow later retries.
    return bool(get_refresh_token_model().objects.filter(access_token=replacement, revoked__isnull=True).exists())


def live_of_client(checksum: str, client: Any) -> Sequence[Any]:
    """Return a client's live refresh tokens that have a checksum, or whose access token has it."""
    same = Q(token_checksum=checksum) | Q(access_token__token_checksum=checksum)
    own = get_refresh_token_model().objects.filter(application_id=getattr(client, "pk", None))
    return list(own.filter(same, revoked__isnull=True))
