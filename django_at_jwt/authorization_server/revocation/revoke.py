"""Revoke tokens by user, client, authorization or ``jti``.

Each function writes the entries of the deny list and ends the codes, device codes and refresh tokens that can bring
more tokens, in one transaction; with several databases, the entries are committed first. Each takes a constant number
of statements for each thousand users or authorizations, unless a swapped model overrides ``revoke()``.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import connections, router, transaction
from django.db.models import Max, Q
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_device_grant_model,
    get_grant_model,
    get_refresh_token_model,
)

from django_at_jwt.authorization_server.client_options import some_tokens_are_unstored
from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.conf import app_settings, token_user_model
from django_at_jwt.core.deny_list import DenyKind
from django_at_jwt.core.quotation import is_storable, quote
from django_at_jwt.core.token_id import LONGEST_TOKEN_ID, TokenId, is_unstored
from django_at_jwt.models import Authorization, ClientOptions, DenyListEntry, IssuedToken, SigningKey
from django_at_jwt.models.authorization import EndReason, credential_hash, label_of
from django_at_jwt.models.primary import primary_rows

from .entries import deny_audience, deny_authorizations, deny_client, deny_tokens, shorten_audience_entries
from .rows import (
    BATCH,
    access_tokens_with,
    databases,
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

    from django.db.models import QuerySet


class UnknownToken(LookupError):
    """The issuer stored no token with this ``jti``, or it has been purged since it expired."""


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
            expire_access_tokens(of_users(get_access_token_model(), batch))
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
        latest = tokens.aggregate(latest=Max("updated"))["latest"]
        revoke_refresh_tokens(Q(application=client.pk))
        expire_access_tokens(Q(application=client.pk))
        delete_codes(Q(application=client.pk))
        end_device_codes(Q(client_id=client.client_id))
        # Last: until now, tokens were issued whose authorizations or rows have ended here.
        deny_tokens_of_client(client.client_id, latest, reason=reason)
    return ended


def deny_tokens_of_client(
    client_id: str, latest: datetime | None = None, *, reason: EndReason = EndReason.CLIENT_REVOKED
) -> None:
    """Deny all tokens with a ``client_id`` that were issued until now.

    A server whose clock is ahead leaves no trace of tokens without rows. If there can be any, those that are issued
    within the leeway from now are denied too.

    Args:
        latest: when its last token was stored, which can be later by another server's clock.
    """
    now = timezone.now()
    until = now if latest is None else max(now, latest)
    if some_tokens_are_unstored():
        until = max(until, now + timedelta(seconds=app_settings().leeway))
    deny_client(client_id, issued_until=until, expires_at=_latest_expiry(until), reason=reason)


def revoke_audience(audience: str, *, reason: EndReason = EndReason.ADMINISTRATOR) -> None:
    """Revoke all tokens for an API that were issued until now, at that API only.

    Args:
        audience: the identifier of the API, or a former one. Tokens with its other identifiers are revoked too.
    """
    server = registry.current().named(audience)
    revoke_audiences((audience, *(() if server is None else server.names)), reason=reason)


def revoke_audiences(audiences: Iterable[str], *, reason: EndReason) -> None:
    """Revoke all tokens with these values of ``aud`` that were issued until now, at their APIs only."""
    _deny_audiences(audiences, issued_until=timezone.now(), reason=reason)


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
            audience, issued_until=now, expires_at=_latest_expiry(now), reason=EndReason.API_DISABLED
        )


def _deny_audiences(audiences: Iterable[str], *, issued_until: datetime, reason: EndReason) -> None:
    for audience in dict.fromkeys(audiences):
        deny_audience(audience, issued_until=issued_until, expires_at=_latest_expiry(issued_until), reason=reason)


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


def find_authorization(identifier: str) -> Authorization:
    """Return the authorization with an identifier.

    Raises:
        Authorization.DoesNotExist: no such authorization.
    """
    row = primary_rows(Authorization).filter(identifier=identifier).first() if is_storable(identifier) else None
    if row is None:
        raise Authorization.DoesNotExist(f"no authorization has the identifier {quote(identifier)}")
    return row


def revoke_token(token_id: str, *, reason: EndReason = EndReason.ADMINISTRATOR) -> bool:
    """Revoke one access token by its ``jti``, and the refresh token that was issued with it.

    Whether a token without a row and without a user was ever issued is not known; it is denied in any case.

    Returns:
        Whether this call revoked it: ``False`` if it was revoked before or has expired.

    Raises:
        UnknownToken: the issuer stored no such token.
    """
    link = issued_token(token_id)
    if link is None or not is_live(link):
        return False
    with one_transaction():
        deny_tokens([(link.token_id, link.expires_at)], reason=reason)
        if link.access_token:
            revoke_refresh_tokens(Q(access_token=link.access_token))
            expire_access_tokens(Q(pk=link.access_token))
    return True


def issued_token(token_id: str) -> IssuedToken | None:
    """Return the stored link of a ``jti``, or ``None`` if the token was revoked and its link is gone.

    For a token that was issued without a row, it is an unsaved one that expires with the last token issued until now.

    Raises:
        UnknownToken: the issuer stored no such token.
    """
    link = None
    if len(token_id) <= LONGEST_TOKEN_ID and is_storable(token_id):
        link = primary_rows(IssuedToken).filter(token_id=token_id).first()
        if link is None and _is_denied(token_id):
            return None
        if link is None and is_unstored(token_id) and _names_known_authorization(token_id):
            link = IssuedToken(token_id=token_id, expires_at=_latest_expiry(timezone.now()))
    if link is None:
        raise UnknownToken(
            f"no token with the jti {quote(token_id)} is stored: it expired and was purged, or the jti is mistyped"
        )
    return link


def links_of(identifier: str) -> list[IssuedToken]:
    """Return the stored link of a ``jti``, or the latest links of an authorization, at most a thousand."""
    if len(identifier) > LONGEST_TOKEN_ID or not identifier or not is_storable(identifier):
        return []
    named = Q(token_id=identifier) | Q(authorization=identifier)
    return list(primary_rows(IssuedToken).filter(named).order_by("-pk")[:BATCH])


def _names_known_authorization(token_id: str) -> bool:
    """Return whether the authorization that a ``jti`` names exists; ``True`` if the client acts for itself."""
    identifier = token_id.partition(".")[0]
    return not identifier or primary_rows(Authorization).filter(identifier=identifier).exists()


def is_live(link: IssuedToken) -> bool:
    """Return whether a token is neither expired nor denied by its ``jti`` or its authorization."""
    return link.expires_at > timezone.now() and not _is_denied(link.token_id)


def _is_denied(token_id: str) -> bool:
    condition = Q(kind=DenyKind.TOKEN, value=token_id)
    parsed = TokenId.parse(token_id)
    if parsed is not None and parsed.authorization:
        condition |= Q(kind=DenyKind.AUTHORIZATION, value=parsed.authorization)
    return primary_rows(DenyListEntry).filter(condition).exists()


def live_authorizations_of_users(users: Sequence[Any], model: Any) -> QuerySet[Authorization]:
    """Return the authorizations of users of one model that have not ended."""
    return authorizations_of_users(users, model).filter(ended_at__isnull=True)


def live_authorizations_of_client(client: Any) -> QuerySet[Authorization]:
    """Return the authorizations of a client that have not ended."""
    return authorizations_of_client(client).filter(ended_at__isnull=True)


def lock_authorizations(rows: QuerySet[Authorization]) -> QuerySet[Authorization]:
    """Lock authorizations in the order of their keys until the end of the transaction, and return the same query.

    Everything that changes authorizations locks them in this order, and before rows of users, clients and tokens. Else
    two of them could wait for each other. Outside a transaction, nothing is locked.
    """
    if connections[rows.db].in_atomic_block:
        for _key in rows.select_for_update().order_by("pk").values_list("pk", flat=True).iterator():
            pass
    return rows


def authorizations_of_users(users: Sequence[Any], model: Any) -> QuerySet[Authorization]:
    """Return all authorizations of users of one model."""
    meta = model._meta.concrete_model._meta
    keys = [str(getattr(user, meta.pk.attname)) for user in users]
    return primary_rows(Authorization).filter(user_model=meta.label, user_key__in=keys)


def authorizations_of_client(client: Any) -> QuerySet[Authorization]:
    """Return all authorizations of a client."""
    return authorizations_of_clients([client.pk])


def authorizations_of_clients(keys: Iterable[Any]) -> QuerySet[Authorization]:
    """Return all authorizations of clients by their primary keys."""
    return primary_rows(Authorization).filter(
        client_model=label_of(get_application_model()), client_key__in=[str(key) for key in keys]
    )


def forget_clients(keys: Sequence[Any]) -> None:
    """Delete what is stored about clients by their primary keys. The deny list names their tokens by value."""
    options = primary_rows(ClientOptions).filter(client_model=label_of(get_application_model()))
    options.filter(client_key__in=[str(key) for key in keys]).delete()
    forget_authorizations(authorizations_of_clients(keys))
    own = primary_rows(get_access_token_model()).filter(application__in=keys, user__isnull=True)
    for tokens in in_batches(list(own.values_list("pk", flat=True))):
        primary_rows(IssuedToken).filter(access_token__in=[str(each) for each in tokens]).delete()


def forget_authorizations(authorizations: QuerySet[Authorization]) -> None:
    """Delete authorizations and the links of their tokens, which the deny list names by value."""
    for identifiers in in_batches(list(authorizations.values_list("identifier", flat=True))):
        primary_rows(IssuedToken).filter(authorization__in=identifiers).delete()
    authorizations.delete()


def authorizations_of_access_tokens(keys: Iterable[Any]) -> QuerySet[Authorization]:
    """Return the authorizations of access tokens by the primary keys of their rows."""
    found = Q(pk__in=[])
    for batch in in_batches(keys):
        links = primary_rows(IssuedToken).filter(access_token__in=[str(key) for key in batch])
        # Tokens from before this app stored links are known by their refresh token.
        families = primary_rows(get_refresh_token_model()).filter(access_token__in=batch)
        found |= Q(identifier__in=list(links.values_list("authorization", flat=True)))
        found |= Q(family__in=list(families.values_list("token_family", flat=True)))
    return primary_rows(Authorization).filter(found)


def authorizations_of_refresh_tokens(keys: Iterable[Any]) -> QuerySet[Authorization]:
    """Return the authorizations of refresh tokens by the primary keys of their rows."""
    found = Q(pk__in=[])
    for batch in in_batches(keys):
        families = primary_rows(get_refresh_token_model()).filter(pk__in=batch)
        found |= Q(family__in=list(families.values_list("token_family", flat=True)))
    return primary_rows(Authorization).filter(found)


def one_transaction() -> ExitStack:
    """Return transactions of all databases concerned; that of the deny list commits first."""
    others = (*databases(), *(router.db_for_write(model) for model in (IssuedToken, Authorization)))
    denying = router.db_for_write(DenyListEntry)
    stack = ExitStack()
    # The last one entered is the first one left.
    for database in (*(name for name in dict.fromkeys(others) if name != denying), denying):
        stack.enter_context(transaction.atomic(using=database))
    return stack


def _latest_expiry(now: datetime) -> datetime:
    """Return when all access tokens issued until now have expired, also those with a lifetime of former settings."""
    signed = primary_rows(SigningKey).aggregate(latest=Max("last_token_expires_at"))["latest"]
    stored = primary_rows(IssuedToken).aggregate(latest=Max("expires_at"))["latest"]
    # A token may be issued at this moment.
    issued_now = now + timedelta(seconds=registry.longest_lifetime())
    return max(issued_now, signed or now, stored or now)


def _end_batch(keys: Sequence[int], reason: EndReason) -> int:
    # Locked before the rows of tokens, as by a token request. It may have stored a family in the meantime.
    rows = primary_rows(Authorization)
    live = list(rows.select_for_update().filter(pk__in=keys, ended_at__isnull=True).order_by("pk"))
    if not live:
        return 0
    now = timezone.now()
    latest = _latest_expiry(now)
    deny_authorizations(((row.identifier, max(row.tokens_expire_at or now, latest)) for row in live), reason=reason)
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
