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
from oauth2_provider.models import AbstractRefreshToken, get_access_token_model, get_refresh_token_model
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.authorization_server.revocation.entries import GREATEST_LEEWAY, deny_tokens
from django_at_jwt.authorization_server.revocation.reasons import without_revocation
from django_at_jwt.conf import app_settings
from django_at_jwt.core.token_id import TokenId
from django_at_jwt.models import IssuedToken
from django_at_jwt.models.authorization import EndReason
from django_at_jwt.models.change_times import change_times
from django_at_jwt.models.primary import primary_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    from django_at_jwt.models import Authorization


class LockedFamily(NamedTuple):
    """The locked rows of a family.

    Attributes:
        token: the current row of the refresh token, or ``None`` if it was deleted or revoked with its access token.
        siblings: the family's other live refresh tokens.
    """

    token: Any
    siblings: Sequence[Any]

    def end_siblings(self) -> None:
        """Revoke the siblings and their access tokens."""
        for sibling in self.siblings:
            # The model's method: a site may have swapped the model.
            sibling.revoke()


class Superseded(NamedTuple):
    """What a refresh has ended.

    Attributes:
        replaced: whether it ended the former access token, whose row can then be overwritten.
        link: the former access token's link to its ``jti``, which the new one takes over if it replaces the token;
            unsaved if that was the first token.
    """

    replaced: bool
    link: IssuedToken | None


def lock_family(refresh_token: Any) -> LockedFamily:
    """Lock the live refresh tokens of a family until the end of the transaction, and return their current rows.

    The family's authorization must be locked before. Only a statement that starts after the wait for that lock sees the
    rows that another request has added.

    Args:
        refresh_token: a row of the refresh token model; may be stale.

    Raises:
        django.db.transaction.TransactionManagementError: not in a transaction, on a database with row locks.
    """
    rows = get_refresh_token_model().objects.select_for_update()
    if refresh_token.token_family is None:
        return LockedFamily(rows.filter(pk=refresh_token.pk).first(), ())
    family = rows.filter(token_family=refresh_token.token_family)
    members = list(family.filter(Q(pk=refresh_token.pk) | Q(revoked__isnull=True)).order_by("pk"))
    return LockedFamily(
        token=next((member for member in members if member.pk == refresh_token.pk), None),
        siblings=[member for member in members if member.pk != refresh_token.pk],
    )


def end_replaced(
    family: LockedFamily,
    replaced: Any,
    *,
    audience: Sequence[str],
    authorization: Authorization,
    ends_used: bool,
    keeps_row: bool,
) -> Superseded:
    """End the tokens that a refresh replaces: siblings, and access tokens for the same resources.

    An access token for other resources lives on with its row, and so do all if ``REVOKE_SUPERSEDED_TOKENS`` is off. No
    refresh token refers to such a row any more, but its authorization still ends it.

    Args:
        replaced: the access token of the refresh token.
        audience: the registered identifiers of the APIs of the new access token.
        authorization: that of the family. It may be stale: its identifier and its first token never change.
        ends_used: whether to end the refresh token itself.
        keeps_row: whether to leave the row of ``replaced`` to be overwritten, rather than delete it.
    """
    own_key, accepted_after = replaced.pk, timezone.now() - GREATEST_LEEWAY
    of_siblings = {sibling.access_token_id for sibling in family.siblings} - {None}
    identifier = authorization.identifier
    may_be_accepted = Q(authorization=identifier, has_refresh_token=True, expires_at__gt=accepted_after)
    # Not locked: MariaDB would lock gaps, and with them the links of other authorizations.
    found = primary_rows(IssuedToken).filter(Q(access_token=str(own_key)) | may_be_accepted)
    # Last those found, since another request may have overwritten the row of the first token since it was read.
    links = {link.access_token: link for link in (*_first_link(authorization, replaced, accepted_after), *found)}
    ended = _lock_superseded(replaced, links.keys(), of_siblings, audience)
    ended_links = [links[str(key)] for key in ended if str(key) in links]
    deny_tokens(
        (
            (link.token_id, link.expires_at)
            for link in ended_links
            if TokenId.parse(link.token_id) is not None and link.expires_at > accepted_after
        ),
        reason=EndReason.SUPERSEDED,
    )
    with without_revocation():
        for refresh_token in (*family.siblings, family.token) if ends_used else family.siblings:
            _end_refresh_token(refresh_token)
        for key, row in ended.items():
            if key != own_key or not keeps_row:
                row.revoke()
    # The first use of a refresh token is known by its access token. One that lives on must not allow another retry.
    kept = {own_key, *of_siblings} - ended.keys()
    if kept:
        get_access_token_model().objects.filter(pk__in=kept).update(source_refresh_token=None)
    # That of the first token is part of the authorization, and has no key.
    deleted = [link.pk for link in ended_links if link.pk and link.access_token != str(own_key)]
    if deleted:
        IssuedToken.objects.filter(pk__in=deleted).delete()
    return Superseded(replaced=own_key in ended, link=links.get(str(own_key)))


def _first_link(authorization: Authorization, replaced: Any, accepted_after: datetime) -> Iterator[IssuedToken]:
    """Yield the link of the authorization's first token, if it is the replaced one or may still be accepted."""
    checksum, expires_at = authorization.first_token_checksum, authorization.first_token_expires_at
    if checksum == replaced.token_checksum:
        yield authorization.first_link(str(replaced.pk))
    elif expires_at is not None and expires_at > accepted_after:
        for key in primary_rows(get_access_token_model()).filter(token_checksum=checksum).values_list("pk", flat=True):
            yield authorization.first_link(str(key))


def _lock_superseded(
    replaced: Any, linked: Collection[str], of_siblings: Collection[Any], audience: Sequence[str]
) -> dict[Any, Any]:
    """Lock the access tokens that a refresh ends, and return their rows by primary key."""
    if not app_settings().revoke_superseded_tokens:
        return {}
    keys = {*map(str, of_siblings), *linked} - {str(replaced.pk)}
    others = get_access_token_model().objects.select_for_update().filter(pk__in=keys) if keys else ()
    known = registry.current()
    return {
        row.pk: row
        for row in (replaced, *others)
        if row.pk in of_siblings or not row.resource or {*known.registered(row.resource)} == {*audience}
    }


def _end_refresh_token(row: Any) -> None:
    """Revoke a refresh token, but not its access token."""
    row.access_token = None
    if type(row).revoke is AbstractRefreshToken.revoke:
        row.revoked = timezone.now()
        row.save(update_fields=["access_token", "revoked", *change_times(type(row))])
    else:
        # A swapped model may do more.
        row.save(update_fields=["access_token", *change_times(type(row))])
        row.revoke()


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


def access_tokens_of_client(checksum: str, client: Any) -> Sequence[Any]:
    """Return the primary keys of a client's access tokens that have a checksum."""
    own = primary_rows(get_access_token_model()).filter(application_id=getattr(client, "pk", None))
    return list(own.filter(token_checksum=checksum).values_list("pk", flat=True))
