"""Revoke tokens by user, client, authorization or ``jti``.

Each function writes the entries of the deny list and ends the codes, device codes and refresh tokens that can bring
more tokens, in one transaction; with several databases, the entries are written first. Each takes a constant number of
statements for each thousand authorizations.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from django.db import router, transaction
from django.db.models import Max, Q
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_device_grant_model,
    get_grant_model,
    get_refresh_token_model,
)

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.models import Authorization, DenyListEntry, IssuedToken, SigningKey
from django_at_jwt.models.authorization import EndReason, hash_of_code, reference_to
from django_at_jwt.models.primary import primary_rows

from .entries import deny_audience, deny_authorizations, deny_client, deny_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

_BATCH: Final = 1000


class UnknownToken(LookupError):
    """The issuer stored no token with this ``jti``, or it has been purged since it expired."""


def end_authorizations(authorizations: Iterable[Authorization], *, reason: EndReason) -> int:
    """End authorizations: deny their tokens, and end their codes, device codes and refresh tokens.

    Authorizations that have ended before are skipped.

    Returns:
        The number of authorizations that this call ended.
    """
    ended = 0
    with _one_transaction():
        for batch in _batches(authorizations):
            ended += _end_batch(batch, reason)
    return ended


def revoke_user(user: Any, *, reason: EndReason = EndReason.ADMINISTRATOR) -> int:
    """Revoke all tokens of a user: end all their authorizations.

    Returns:
        The number of authorizations that this call ended.
    """
    with _one_transaction():
        ended = end_authorizations(live_authorizations_of_user(user), reason=reason)
        # Tokens from before this app recorded authorizations.
        _end_rows(access_tokens=Q(user=user.pk), refresh_tokens=Q(user=user.pk))
        get_grant_model().objects.filter(user=user.pk).delete()
        _end_device_codes(Q(user=user.pk))
    return ended


def revoke_client(client: Any, *, reason: EndReason = EndReason.CLIENT_REVOKED) -> int:
    """Revoke all tokens of a client that were issued until now, those of its users included.

    One entry of the deny list concerns all of them.

    Returns:
        The number of authorizations that this call ended.
    """
    now = timezone.now()
    with _one_transaction():
        deny_client(client.client_id, issued_until=now, expires_at=_latest_expiry(now), reason=reason)
        model, key = reference_to(client)
        live = primary_rows(Authorization).filter(client_model=model, client_key=key, ended_at__isnull=True)
        ended = live.update(ended_at=now, end_reason=reason)
        _end_rows(access_tokens=Q(application=client.pk), refresh_tokens=Q(application=client.pk))
        get_grant_model().objects.filter(application=client.pk).delete()
        _end_device_codes(Q(client_id=client.client_id))
    return ended


def revoke_audience(audience: str, *, reason: str = "the API was disabled") -> None:
    """Revoke all tokens for an API that were issued until now, at that API only.

    Args:
        audience: the identifier of the API.
        reason: a short constant text for administrators.
    """
    now = timezone.now()
    deny_audience(audience, issued_until=now, expires_at=_latest_expiry(now), reason=reason)


def revoke_authorization(identifier: str, *, reason: EndReason = EndReason.ADMINISTRATOR) -> int:
    """Revoke all tokens of one authorization.

    Args:
        identifier: the authorization's identifier, which is the first part of the ``jti`` of its tokens.

    Returns:
        1, or 0 if it had ended before.

    Raises:
        Authorization.DoesNotExist: no such authorization.
    """
    return end_authorizations([primary_rows(Authorization).get(identifier=identifier)], reason=reason)


def revoke_token(token_id: str, *, reason: EndReason = EndReason.ADMINISTRATOR) -> bool:
    """Revoke one access token by its ``jti``, and the refresh token that was issued with it.

    Returns:
        Whether this call revoked it: ``False`` if it was revoked before or has expired.

    Raises:
        UnknownToken: no row leads to this ``jti``.
    """
    link = primary_rows(IssuedToken).filter(token_id=token_id).first()
    if link is None:
        raise UnknownToken(f"no token with the jti {token_id} is stored")
    if link.expires_at <= timezone.now() or primary_rows(DenyListEntry).filter(kind="token", value=token_id).exists():
        return False
    with _one_transaction():
        deny_tokens([(token_id, link.expires_at)], reason=reason)
        _end_rows(access_tokens=Q(pk=link.access_token), refresh_tokens=Q(access_token=link.access_token))
    return True


def live_authorizations_of_user(user: Any) -> Any:
    """Return the authorizations of a user that have not ended."""
    model, key = reference_to(user)
    return primary_rows(Authorization).filter(user_model=model, user_key=key, ended_at__isnull=True)


def _one_transaction() -> ExitStack:
    """Return transactions of all databases concerned; that of the deny list commits first."""
    models = (get_access_token_model(), get_refresh_token_model(), get_grant_model(), Authorization, DenyListEntry)
    stack = ExitStack()
    for database in dict.fromkeys(router.db_for_write(model) for model in models):
        stack.enter_context(transaction.atomic(using=database))
    return stack


def _latest_expiry(now: datetime) -> datetime:
    """Return when all access tokens issued until now have expired, also those with a lifetime of former settings."""
    recorded = primary_rows(SigningKey).aggregate(latest=Max("last_token_expires_at"))["latest"]
    return max(recorded or now, now + timedelta(seconds=registry.longest_lifetime()))


def _batches(rows: Iterable[Authorization]) -> Iterator[Sequence[Authorization]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _end_batch(batch: Sequence[Authorization], reason: EndReason) -> int:
    now = timezone.now()
    # A token may be signed right now; the entry covers it, too.
    latest = _latest_expiry(now)
    deny_authorizations(((row.identifier, max(row.tokens_expire_at or now, latest)) for row in batch), reason=reason)
    same = primary_rows(Authorization).filter(pk__in=[row.pk for row in batch], ended_at__isnull=True)
    ended = same.update(ended_at=now, end_reason=reason)
    families = [row.family for row in batch if row.family is not None]
    links = primary_rows(IssuedToken).filter(authorization__in=[row.identifier for row in batch])
    _end_rows(
        access_tokens=Q(pk__in=list(links.values_list("access_token", flat=True))),
        refresh_tokens=Q(token_family__in=families),
    )
    _end_codes(batch)
    return ended


def _end_rows(*, access_tokens: Q, refresh_tokens: Q) -> None:
    """Revoke refresh tokens and expire rows of access tokens, in the order in which DOT locks them."""
    now = timezone.now()
    primary_rows(get_refresh_token_model()).filter(refresh_tokens, revoked__isnull=True).update(
        revoked=now, updated=now
    )
    primary_rows(get_access_token_model()).filter(access_tokens, expires__gt=now).update(expires=now, updated=now)


def _end_codes(batch: Sequence[Authorization]) -> None:
    """Delete the codes of authorizations. Only their hashes are known, so those of the same users are compared."""
    hashes = {row.code_hash for row in batch if row.code_hash}
    users = {row.user_key for row in batch if row.user_key}
    if not hashes or not users:
        return
    grants = get_grant_model().objects.filter(user__in=users)
    codes = [pk for pk, code in grants.values_list("pk", "code") if hash_of_code(code) in hashes]
    get_grant_model().objects.filter(pk__in=codes).delete()
    devices = get_device_grant_model().objects.filter(user__in=users).values_list("pk", "device_code")
    _end_device_codes(Q(pk__in=[pk for pk, code in devices if hash_of_code(code) in hashes]))


def _end_device_codes(condition: Q) -> None:
    model = get_device_grant_model()
    model.objects.filter(condition, status__in=[model.AUTHORIZED, model.AUTHORIZATION_PENDING]).update(
        status=model.EXPIRED
    )
