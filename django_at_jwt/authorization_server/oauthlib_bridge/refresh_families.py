"""Families of refresh tokens: what came of one authorization, and the siblings that retries add to it.

A client whose refresh was answered, but who did not get the answer, retries with the same refresh token. Within
``REFRESH_TOKEN_GRACE_PERIOD_SECONDS`` it gets another pair of tokens. Its refresh token is a sibling of the first
one's. The first sibling that is used ends the others.

So all live refresh tokens of a family are siblings, and no row has to say which token each of them replaces.
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
    """The rows of a family that matter to one of its refresh tokens.

    Attributes:
        token: the refresh token as it is now, or ``None`` if its row was deleted.
        siblings: the family's other live refresh tokens.
    """

    token: Any
    siblings: Sequence[Any]

    def end_siblings(self) -> None:
        """Revoke the siblings and their access tokens."""
        for sibling in self.siblings:
            # The model's own method, since a site may have swapped the model.
            sibling.revoke()


def lock_family(refresh_token: Any) -> LockedFamily:
    """Lock the family of a refresh token until the end of the transaction, and return its current rows.

    Args:
        refresh_token: a row of the refresh token model, which may be out of date.

    Raises:
        django.db.transaction.TransactionManagementError: there is no transaction, on a database that has row locks.
    """
    rows = get_refresh_token_model().objects.select_for_update()
    if refresh_token.token_family is None:
        return LockedFamily(rows.filter(pk=refresh_token.pk).first(), ())
    family = rows.filter(token_family=refresh_token.token_family)
    # The oldest row is the lock: requests with different siblings have to wait for each other. Only a statement that
    # begins after the wait sees what the other request has added.
    family.order_by("created", "pk").first()
    members = list(family.filter(Q(pk=refresh_token.pk) | Q(revoked__isnull=True)).order_by("pk"))
    return LockedFamily(
        token=next((member for member in members if member.pk == refresh_token.pk), None),
        siblings=[member for member in members if member.pk != refresh_token.pk],
    )


def first_replacement(refresh_token: Any) -> Any:
    """Return the access token that the first use of a refresh token brought, locked, or ``None``.

    django-oauth-toolkit deletes it when the refresh token that came with it is used or revoked.
    """
    return get_access_token_model().objects.select_for_update().filter(source_refresh_token=refresh_token).first()


def can_have_sibling(refresh_token: Any, replacement: Any) -> bool:
    """Return whether a retry with a refresh token that was replaced may bring another pair.

    Args:
        refresh_token: a refresh token that was used, of a locked family.
        replacement: what :func:`first_replacement` has returned for it.
    """
    if refresh_token.token_family is None:
        # Nothing would hold the siblings together.
        return False
    period = timedelta(seconds=oauth2_settings.REFRESH_TOKEN_GRACE_PERIOD_SECONDS)
    if refresh_token.revoked <= timezone.now() - period:
        return False
    # If its refresh token was deleted, the replacement would outlive the use of a sibling, and permit retries after it.
    return bool(get_refresh_token_model().objects.filter(access_token=replacement, revoked__isnull=True).exists())


def live_of_client(checksum: str, client: Any) -> Sequence[Any]:
    """Return a client's live refresh tokens with a checksum, or whose access token has it."""
    same = Q(token_checksum=checksum) | Q(access_token__token_checksum=checksum)
    own = get_refresh_token_model().objects.filter(application_id=getattr(client, "pk", None))
    return list(own.filter(same, revoked__isnull=True))
