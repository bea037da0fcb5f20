"""Revoke tokens by user, client, authorization or ``jti``.

Each function writes the entries of the deny list and ends the codes, device codes and refresh tokens that can bring
more tokens, in one transaction; with several databases, the entries are committed first. Each takes a constant number
of statements for each thousand users or authorizations, unless a swapped model overrides ``revoke()``.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import router, transaction
from django.db.models import Max, Q
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_device_grant_model,
    get_grant_model,
    get_refresh_token_model,
)

from django_at_jwt.authorization_server.client_options import some_tokens_are_unstored
from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.conf import app_settings, token_user_model
from django_at_jwt.models import Authorization, DenyListEntry, IssuedToken
from django_at_jwt.models.authorization import EndReason, credential_hash
from django_at_jwt.models.change_times import last_change
from django_at_jwt.models.primary import primary_rows

from .authorizations import (
    find_authorization,
    live_authorizations_of_client,
    live_authorizations_of_users,
    lock_authorizations,
)
from .entries import deny_audience, deny_authorizations, deny_client, deny_tokens, shorten_audience_entries
from .issued_tokens import access_tokens_of, is_live, issued_token, latest_expiry
from .rows import (
    access_tokens_of_users,
    access_tokens_with,
    delete_codes,
    end_device_codes,
    expire_access_tokens,
    in_batches,
    of_users,
    revoke_refresh_tokens,
    user_model_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime


def end_authorizations(authorizations: Iterable[Authorization], *, reason: EndReason) -> int:
    """End authorizations: deny their tokens, and end their codes, device codes and refresh tokens.

    Authorizations that have ended before are skipped.

    Returns:
        The number of authorizations that this call ended.
    """
    ended = 0
    for keys in in_batches(sorted(row.pk for row in authorizations)):
        with one_transaction():
            ended += _end_batch(keys, reason)
    return ended


def deny_all_tokens(authorizations: Iterable[Authorization], *, reason: EndReason, reports: bool) -> None:
    """Deny the access tokens of authorizations, without a lock. Nothing else ends.

    Args:
        reports: whether to emit an event.
    """
    now = timezone.now()
    latest = latest_expiry(now)
    expiries = ((row.identifier, max(row.tokens_expire_at or now, latest)) for row in authorizations)
    deny_authorizations(expiries, reason=reason, reports=reports)


def revoke_user(user: Any, *, reason: EndReason = EndReason.ADMINISTRATOR) -> int:
    """Revoke all tokens of a user: end all their authorizations.

    Args:
        user: an instance of the model that ``AccessToken.user`` refers to, usually ``AUTH_USER_MODEL``.

    Returns:
        The number of authorizations that this call ended.

    Raises:
        TypeError: the user is of another model, whose primary keys mean other users.
    """
    model = token_user_model()
    if not isinstance(user, model._meta.concrete_model or model):
        raise TypeError(
            f"user must be of {model._meta.label}, the model of AccessToken.user (got {type(user).__name__})"
        )
    return revoke_users([user], model=model, reason=reason)


def revoke_users(users: Iterable[Any], *, model: Any, reason: EndReason = EndReason.ADMINISTRATOR) -> int:
    """Revoke all tokens of users of one model, and return the number of authorizations that ended.

    Only rows that refer to this model are changed.
    """
    ended = 0
    for batch in in_batches(users):
        with one_transaction():
            ended += end_authorizations(live_authorizations_of_users(batch, model), reason=reason)
            # Also tokens from before this app recorded authorizations.
            revoke_refresh_tokens(of_users(get_refresh_token_model(), batch))
            expire_access_tokens(access_tokens_of_users(batch))
            delete_codes(of_users(get_grant_model(), batch))
            end_device_codes(of_users(get_device_grant_model(), batch))
    return ended


def revoke_client(client: Any, *, reason: EndReason = EndReason.CLIENT_REVOKED) -> int:
    """Revoke all tokens of a client that were issued until now, those of its users included.

    One entry of the deny list concerns all of them.

    Returns:
        The number of authorizations that this call ended.
    """
    with one_transaction():
        live = lock_authorizations(live_authorizations_of_client(client))
        ended = live.update(ended_at=timezone.now(), end_reason=reason)
        tokens = primary_rows(get_access_token_model()).filter(application=client.pk)
        latest = tokens.aggregate(latest=Max(last_change(tokens.model)))["latest"]
        revoke_refresh_tokens(Q(application=client.pk))
        expire_access_tokens(Q(application=client.pk))
        delete_codes(Q(application=client.pk))
        end_device_codes(Q(client_id=client.client_id))
        # Last: until now, tokens were issued whose authorizations or rows have ended here.
        deny_tokens_of_client(client.client_id, latest, reason=reason)
    return ended


def deny_tokens_of_client(
    client_id: str,
    latest: datetime | None = None,
    *,
    reason: EndReason = EndReason.CLIENT_REVOKED,
    reports: bool = True,
) -> None:
    """Deny all tokens with a ``client_id`` that were issued until now.

    A server whose clock is ahead leaves no trace of tokens without rows. If there can be any, those that are issued
    within the leeway from now are denied too.

    Args:
        latest: when its last token was stored, which can be later by another server's clock.
        reason: why, for administrators.
        reports: whether to emit an event.
    """
    now = timezone.now()
    until = now if latest is None else max(now, latest)
    if some_tokens_are_unstored():
        until = max(until, now + timedelta(seconds=app_settings().leeway))
    deny_client(client_id, issued_until=until, expires_at=latest_expiry(until), reason=reason, reports=reports)


def revoke_audience(audience: str, *, reason: EndReason = EndReason.ADMINISTRATOR) -> None:
    """Revoke all tokens for an API that were issued until now, at that API only.

    Args:
        audience: the identifier of the API, or a former one. Tokens with its other identifiers are revoked too.
    """
    server = registry.current().named(audience)
    names = (audience, *(() if server is None else server.names))
    _deny_audiences(names, issued_until=timezone.now(), reason=reason)


def close_audiences(audiences: Iterable[str]) -> None:
    """Revoke all tokens with these values of ``aud``, whose API was disabled or deleted.

    Other processes may issue more until they read the rows again, so these are denied too.
    """
    settings = app_settings()
    delay = timedelta(seconds=settings.key_ring_max_age + settings.leeway)
    _deny_audiences(audiences, issued_until=timezone.now() + delay, reason=EndReason.API_DISABLED)


def reopen_audiences(audiences: Iterable[str]) -> None:
    """Accept tokens with these values of ``aud`` issued from now on, if their API was disabled or deleted just before.

    Tokens issued before stay revoked. APIs in other projects keep the entries that they have read.
    """
    now = timezone.now()
    for audience in dict.fromkeys(audiences):
        shorten_audience_entries(
            audience, issued_until=now, expires_at=latest_expiry(now), reason=EndReason.API_DISABLED
        )


def _deny_audiences(audiences: Iterable[str], *, issued_until: datetime, reason: EndReason) -> None:
    for audience in dict.fromkeys(audiences):
        deny_audience(audience, issued_until=issued_until, expires_at=latest_expiry(issued_until), reason=reason)


def revoke_authorization(identifier: str, *, reason: EndReason = EndReason.ADMINISTRATOR) -> int:
    """Revoke all tokens of one authorization.

    Args:
        identifier: the authorization's identifier, which is the first part of the ``jti`` of its tokens.

    Returns:
        1, or 0 if it had ended before.

    Raises:
        Authorization.DoesNotExist: no such authorization.
    """
    return end_authorizations([find_authorization(identifier)], reason=reason)


def revoke_token(token_id: str, *, reason: EndReason = EndReason.ADMINISTRATOR) -> bool:
    """Revoke one access token by its ``jti``, and the refresh token that was issued with it.

    If its authorization has no other live token then, it ends.

    Whether a token without a row and without a user was ever issued is not known; it is denied in any case.

    Returns:
        ``True``, or ``False`` if it was revoked before or has expired.

    Raises:
        UnknownToken: the issuer stored no such token.
    """
    link = issued_token(token_id)
    if link is None or not is_live(link):
        return False
    with one_transaction():
        authorizations = lock_authorizations(primary_rows(Authorization).filter(identifier=link.authorization))
        deny_tokens([(link.token_id, link.expires_at)], reason=reason)
        if link.access_token:
            of_token = Q(access_token=link.access_token)
            # The use of a revoked refresh token would count as reuse of its family, and end the others.
            primary_rows(get_refresh_token_model()).filter(of_token, revoked__isnull=True).update(token_family=None)
            revoke_refresh_tokens(of_token)
            expire_access_tokens(Q(pk=link.access_token))
            end_authorizations([row for row in authorizations if not _has_live_tokens(row)], reason=reason)
    return True


def _has_live_tokens(authorization: Authorization) -> bool:
    """Return whether an authorization has a live refresh token, or a stored access token that has not expired."""
    refresh_tokens = primary_rows(get_refresh_token_model()).filter(revoked__isnull=True)
    if authorization.family is not None and refresh_tokens.filter(token_family=authorization.family).exists():
        return True
    access_tokens = primary_rows(get_access_token_model()).filter(expires__gt=timezone.now())
    return bool(access_tokens.filter(access_tokens_of(authorization)).exists())


def one_transaction() -> ExitStack:
    """Return transactions of all databases concerned; that of the deny list commits first."""
    toolkit_models = (get_access_token_model(), get_refresh_token_model(), get_grant_model(), get_device_grant_model())
    # The last one entered is the first one left.
    denying, *others = dict.fromkeys(
        router.db_for_write(model) for model in (DenyListEntry, *toolkit_models, IssuedToken, Authorization)
    )
    stack = ExitStack()
    for database in (*others, denying):
        stack.enter_context(transaction.atomic(using=database))
    return stack


def _end_batch(keys: Sequence[int], reason: EndReason) -> int:
    # Locked before the rows of tokens, as by a token request. It may have stored a family in the meantime.
    rows = primary_rows(Authorization)
    live = list(rows.select_for_update().filter(pk__in=keys, ended_at__isnull=True).order_by("pk"))
    if not live:
        return 0
    now = timezone.now()
    deny_all_tokens(live, reason=reason, reports=True)
    ended = rows.filter(pk__in=[row.pk for row in live]).update(ended_at=now, end_reason=reason)
    of_families = Q(token_family__in=[row.family for row in live if row.family is not None])
    # Tokens from before this app stored links are known by their refresh token.
    tokens = {str(key) for key in access_tokens_with(of_families, lock=True)}
    revoke_refresh_tokens(of_families)
    # A locking read, to see what was committed since this transaction began.
    links = primary_rows(IssuedToken).select_for_update().filter(authorization__in=[row.identifier for row in live])
    tokens.update(links.filter(expires_at__gt=now).values_list("access_token", flat=True))
    for some in in_batches(tokens):
        expire_access_tokens(Q(pk__in=some))
    first = [row.first_token_checksum for row in live if (row.first_token_expires_at or now) > now]
    if first:
        expire_access_tokens(Q(token_checksum__in=first))
    _end_codes([row for row in live if row.code_hash], now)
    return ended


def _end_codes(authorizations: Sequence[Authorization], now: datetime) -> None:
    """End the codes and device codes of authorizations.

    Only their hashes are known, so those of the same users are compared. A device code without a user brings no token.
    """
    hashes = {row.code_hash for row in authorizations}
    for model, column, end in (
        (get_grant_model(), "code", delete_codes),
        (get_device_grant_model(), "device_code", end_device_codes),
    ):
        label = user_model_of(model)._meta.label
        users = {row.user_key for row in authorizations if row.user_key and row.user_model == label}
        if users:
            usable = primary_rows(model).filter(user__in=users, expires__gt=now)
            keys = [key for key, code in usable.values_list("pk", column) if credential_hash(code) in hashes]
            if keys:
                end(Q(pk__in=keys))
