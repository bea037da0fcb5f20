"""Whom the loss of a signing key concerns: the live tokens that it may have signed, and whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Max, Q, QuerySet
from oauth2_provider.models import get_access_token_model
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.conf import app_settings
from django_at_jwt.core.key_lifecycle import signs_throughout
from django_at_jwt.core.profile import header_segment_of
from django_at_jwt.core.resource_servers import TokenFormat
from django_at_jwt.models import SigningKey
from django_at_jwt.models.primary import primary_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from django_at_jwt.core.key_lifecycle import KeyTimes


@dataclass(frozen=True, kw_only=True, slots=True)
class AffectedTokens:
    """Whom the loss of a key concerns.

    A row that has its token in clear says which key signed it. Of one that has only a hash nobody can tell, so all are
    counted that were issued while the key signed, give or take what clocks and processes may lag behind, but for those
    of resource servers whose tokens, as they are registered now, are opaque or signed with another algorithm.

    Attributes:
        tokens: how many.
        unproven: how many of them have only a hash.
        clients: pairs of a client's name and its number of tokens.
        users: how many.
        last_expires_at: when the last of the tokens would have expired, or ``None`` where there is none.
        without_rows: whether there may be others: where refresh tokens are not rotated, the row of a token is
            overwritten by the one that replaces it, and the former is good until it expires.
    """

    tokens: int
    unproven: int
    clients: tuple[tuple[str, int], ...]
    users: int
    last_expires_at: datetime | None
    without_rows: bool


def live_tokens(key: KeyTimes, now: datetime) -> QuerySet[Any]:
    """Give the rows of unexpired access tokens that a key has signed, or may have."""
    rows: QuerySet[Any] = primary_rows(get_access_token_model()).filter(expires__gt=now)
    # The header of what a key signs is always the same text.
    in_clear = Q(token__startswith=f"{header_segment_of(key.algorithm, key.kid).decode()}.")
    hashed = Q(token="") & _while_it_signed(key)
    for resource in _resources_of_others(rows.filter(hashed), key, now):
        hashed &= ~Q(resource=resource)
    return rows.filter(in_clear | hashed)


def affected_tokens(key: KeyTimes, now: datetime, *, last_token_expires_at: datetime | None = None) -> AffectedTokens:
    """Count the live tokens that a key may have signed, and whose they are.

    Args:
        last_token_expires_at: when the last of its tokens expires, as far as that was recorded.
    """
    live = live_tokens(key, now)
    totals = live.aggregate(
        tokens=Count("pk"),
        unproven=Count("pk", filter=Q(token="")),
        users=Count("user", distinct=True),
        last=Max("expires"),
    )
    clients = live.values("application__client_id", "application__name").annotate(number=Count("pk"))
    return AffectedTokens(
        tokens=totals["tokens"],
        unproven=totals["unproven"],
        users=totals["users"],
        last_expires_at=max(
            (at for at in (totals["last"], last_token_expires_at) if at is not None and at > now), default=None
        ),
        clients=tuple(
            (each["application__name"] or each["application__client_id"] or "a deleted client", each["number"])
            for each in clients.order_by("-number", "application__client_id")
        ),
        without_rows=not oauth2_settings.ROTATE_REFRESH_TOKEN,
    )


def _lag() -> timedelta:
    settings = app_settings()
    return timedelta(seconds=settings.leeway + settings.key_ring_max_age)


def _while_it_signed(key: KeyTimes) -> Q:
    issued = Q(updated__gte=key.signing_at - _lag())
    ended = min((at for at in (key.retained_at, key.revoked_at) if at is not None), default=None)
    return issued if ended is None else issued & Q(updated__lt=ended + _lag())


def _resources_of_others(rows: QuerySet[Any], key: KeyTimes, now: datetime) -> Sequence[Any]:
    """What the rows of tokens have as their resources that this key cannot have signed."""
    servers, default = registry.latest(), app_settings().signing_algorithms[0]
    others = {server.identifier for server in servers if server.token_format is TokenFormat.OPAQUE}
    elsewhere = {server.identifier: server.algorithm or default for server in servers}
    wanted = {*elsewhere.values()} - {key.algorithm}
    if wanted:
        signed = _signed_themselves(wanted, key, now)
        others |= {identifier for identifier, algorithm in elsewhere.items() if algorithm in signed}
    if not others:
        return ()
    found = rows.order_by().values_list("resource", flat=True).distinct()
    # A row from before this app was installed has none, and is a token for the default resource.
    return [resource for resource in found if others.issuperset(resource or [servers.default])]


def _signed_themselves(algorithms: Collection[str], key: KeyTimes, now: datetime) -> set[str]:
    """Those that had a key of their own whenever a live token of this key can have been issued.

    Before an algorithm's first key signs, another one signs in its place, which may have been this key.
    """
    keys = [row.times for row in primary_rows(SigningKey).defer("private_jwe")]
    retention = app_settings().rotation_policy(longest_lifetime=registry.longest_lifetime()).retention
    starts = max(key.signing_at, now - retention - _lag())
    ends = min(at for at in (key.retained_at, key.revoked_at, now) if at is not None)
    return {name for name in algorithms if signs_throughout(keys, name, starts, ends)}
