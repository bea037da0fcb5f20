"""Revoking a signing key at once, and saying whom that concerns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Count, Max, QuerySet
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from django_at_jwt.conf import app_settings
from django_at_jwt.core.revocation_plan import plan_revocation
from django_at_jwt.models import SigningKey
from django_at_jwt.models.primary import primary_rows

from .keystore import key_store
from .locking import changing_signing_keys
from .resource_servers import registry
from .rotation import carry_out_rotation

if TYPE_CHECKING:
    from datetime import datetime

    from django_at_jwt.core.lifecycle import KeyTimes


@dataclass(frozen=True, kw_only=True, slots=True)
class BlastRadius:
    """Whom the loss of a key concerns: the live tokens that it may have signed.

    The rows of tokens do not name their key. These are all live ones that were issued while the key signed, give or
    take what clocks and processes may lag behind; with several algorithms in use they are too many. Tokens that a
    refresh without rotation replaced have no row any more and are not among them.

    ``clients`` are pairs of a client's name and its number of tokens. ``last_expires_at`` is when the last of the
    tokens would have expired, or ``None`` where there is none.
    """

    tokens: int
    clients: tuple[tuple[str, int], ...]
    users: int
    last_expires_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Revocation:
    """What a revocation did, or would do; ``made`` are the keys that were announced in turn.

    ``reaches_every_worker_within`` is in seconds.
    """

    kid: str
    successor: KeyTimes | None
    made: tuple[SigningKey, ...]
    blast_radius: BlastRadius
    refresh_tokens_revoked: int
    reaches_every_worker_within: float


def live_tokens(key: KeyTimes, now: datetime) -> QuerySet[Any]:
    """Give the rows of unexpired access tokens that were issued while a key signed."""
    settings = app_settings()
    lag = timedelta(seconds=settings.leeway + settings.key_ring_max_age)
    rows = primary_rows(get_access_token_model()).filter(expires__gt=now, updated__gte=key.signing_at - lag)
    ended = min((at for at in (key.retained_at, key.revoked_at) if at is not None), default=None)
    live: QuerySet[Any] = rows if ended is None else rows.filter(updated__lt=ended + lag)
    return live


def blast_radius(key: KeyTimes, now: datetime, *, last_token_expires_at: datetime | None = None) -> BlastRadius:
    """Count the live tokens that a key may have signed, and whose they are."""
    live = live_tokens(key, now)
    totals = live.aggregate(tokens=Count("pk"), users=Count("user", distinct=True), last=Max("expires"))
    clients = live.values("application__client_id", "application__name").annotate(number=Count("pk"))
    return BlastRadius(
        tokens=totals["tokens"],
        users=totals["users"],
        last_expires_at=max(
            (at for at in (totals["last"], last_token_expires_at) if at is not None and at > now), default=None
        ),
        clients=tuple(
            (each["application__name"] or each["application__client_id"] or "a deleted client", each["number"])
            for each in clients.order_by("-number", "application__client_id")
        ),
    )


def revoke_signing_key(
    kid: str, *, reason: str, revoke_refresh_tokens: bool = False, dry_run: bool = False
) -> Revocation:
    """Withdraw a key at once: out of the JWK set, its private half erased; the announced key signs from now on.

    Args:
        reason: for whoever reads the row later; at most 200 characters are kept.
        revoke_refresh_tokens: revoke the refresh tokens of the live tokens that it may have signed, too.
        dry_run: say what would be done, and change nothing.

    Raises:
        KeyChangeRefused: no such key, revoked already, or the only usable one of its algorithm.
        TimeoutError: another change to the keys is running.
    """
    settings = app_settings()
    with changing_signing_keys(dry_run=dry_run) as database:
        now = timezone.now()
        rows = {row.kid: row for row in SigningKey.objects.using(database)}
        # A key that only the settings call revoked is to be revoked in its row as well.
        times_of = [row.stored_times if row.kid == kid else row.times for row in rows.values()]
        changed = plan_revocation(
            times_of,
            kid,
            policy=settings.rotation_policy(longest_lifetime=registry.longest_lifetime()),
            algorithms=settings.signing_algorithms,
            now=now,
            leeway=timedelta(seconds=settings.leeway),
        )
        before = rows[kid].stored_times
        made: tuple[SigningKey, ...] = ()
        if not dry_run:
            for times in changed:
                rows[times.kid].take_times(times, using=database)
            _erase(rows[kid], reason, database)
            # The announced key may sign now, so the one after it must be announced.
            made = carry_out_rotation(database).made
    # The key comes first: nothing that happens to the tokens can hold up its revocation, or undo it.
    if not dry_run:
        key_store.forget()
    radius = blast_radius(before, now, last_token_expires_at=rows[kid].last_token_expires_at)
    ended = 0
    if revoke_refresh_tokens:
        ended = _revoke_refresh_tokens(live_tokens(before, now), dry_run=dry_run)
    return Revocation(
        kid=kid,
        successor=changed[1] if len(changed) > 1 else None,
        made=made,
        blast_radius=radius,
        refresh_tokens_revoked=ended,
        reaches_every_worker_within=app_settings().key_ring_max_age,
    )


def _erase(row: SigningKey, reason: str, database: str) -> None:
    row.private_jwe = ""
    row.revocation_reason = reason[:200]
    row.save(using=database, update_fields=["private_jwe", "revocation_reason"])


def _revoke_refresh_tokens(tokens: QuerySet[Any], *, dry_run: bool) -> int:
    # One by one, as the toolkit does it: a site may have swapped the model and its revoke(). Revoking one deletes its
    # access token, so the rows are read first.
    refresh_tokens = primary_rows(get_refresh_token_model())
    living = list(refresh_tokens.filter(access_token__in=tokens, revoked__isnull=True))
    for token in () if dry_run else living:
        token.revoke()
    return len(living)
