"""Tokens, clients and users affected by a compromised signing key."""

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
    """Live tokens that a key has signed or may have signed, and their clients and users.

    The header of a token stored in clear names its key. For a token stored as a hash the key is unknown: all are
    counted that were issued while the key signed (extended at both ends by the leeway and ``KEY_RING_MAX_AGE``), except
    those for resource servers that, as now registered, use opaque tokens or another algorithm.

    Attributes:
        tokens: number of tokens.
        unproven: number of these tokens that are stored as a hash.
        clients: pairs of a client's name and its number of tokens.
        users: number of users.
        last_expires_at: when the last of the tokens expires, or ``None`` if there are none.
        without_rows: whether there may be more. If refresh tokens are not rotated, a refresh overwrites the row of the
            previous access token, which stays valid until it expires.
    """

    tokens: int
    unproven: int
    clients: tuple[tuple[str, int], ...]
    users: int
    last_expires_at: datetime | None
    without_rows: bool


def live_tokens(key: KeyTimes, now: datetime) -> QuerySet[Any]:
    """Return the rows of unexpired access tokens that a key has signed or may have signed."""
    rows: QuerySet[Any] = primary_rows(get_access_token_model()).filter(expires__gt=now)
    # All tokens of a key have the same header segment.
    in_clear = Q(token__startswith=f"{header_segment_of(key.algorithm, key.kid).decode()}.")
    hashed = Q(token="") & _issued_while_signing(key)
    for resource in _resources_of_other_keys(rows.filter(hashed), key, now):
        hashed &= ~Q(resource=resource)
    return rows.filter(in_clear | hashed)


def affected_tokens(key: KeyTimes, now: datetime, *, last_token_expires_at: datetime | None = None) -> AffectedTokens:
    """Count the live tokens that a key may have signed, and their clients and users.

    Args:
        last_token_expires_at: recorded expiry of the key's last token, or ``None``.
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


def _issued_while_signing(key: KeyTimes) -> Q:
    issued = Q(updated__gte=key.signing_at - _lag())
    ended = min((at for at in (key.retained_at, key.revoked_at) if at is not None), default=None)
    return issued if ended is None else issued & Q(updated__lt=ended + _lag())


def _resources_of_other_keys(rows: QuerySet[Any], key: KeyTimes, now: datetime) -> Sequence[Any]:
    """Return the values of ``resource`` in ``rows`` whose tokens this key cannot have signed."""
    servers, default = registry.latest(), app_settings().signing_algorithms[0]
    others = {server.identifier for server in servers if server.token_format is TokenFormat.OPAQUE}
    elsewhere = {server.identifier: server.algorithm or default for server in servers}
    wanted = {*elsewhere.values()} - {key.algorithm}
    if wanted:
        signed = _with_own_key(wanted, key, now)
        others |= {identifier for identifier, algorithm in elsewhere.items() if algorithm in signed}
    if not others:
        return ()
    found = rows.order_by().values_list("resource", flat=True).distinct()
    # A row from before this app was installed has no resource; its token is for the default one.
    return [resource for resource in found if others.issuperset(resource or [servers.default])]


def _with_own_key(algorithms: Collection[str], key: KeyTimes, now: datetime) -> set[str]:
    """Return the algorithms that had a signing key for as long as live tokens of this key can have been issued.

    Before an algorithm's first key signs, a key of another algorithm signs instead, possibly this one.
    """
    keys = [row.times for row in primary_rows(SigningKey).defer("private_jwe")]
    retention = app_settings().rotation_policy(longest_lifetime=registry.longest_lifetime()).retention
    starts = max(key.signing_at, now - retention - _lag())
    ends = min(at for at in (key.retained_at, key.revoked_at, now) if at is not None)
    return {name for name in algorithms if signs_throughout(keys, name, starts, ends)}
