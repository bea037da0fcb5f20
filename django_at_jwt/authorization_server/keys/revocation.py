"""Revoking a signing key at once, and after that what concerns the tokens that it has signed."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.utils import timezone
from oauth2_provider.models import get_refresh_token_model

from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.conf import app_settings
from django_at_jwt.core.errors import NoSigningKey
from django_at_jwt.core.key_lifecycle import KeyTimes, RotationPlan, plan_revocation
from django_at_jwt.core.quotation import single_line
from django_at_jwt.models import SigningKey
from django_at_jwt.models.primary import primary_rows

from .affected_tokens import AffectedTokens, affected_tokens, live_tokens
from .lock import signing_key_lock
from .rotation import apply_plan, planned_rotation, require_keys_that_open
from .store import key_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Revocation:
    """What the revocation of a key did, or would do.

    Attributes:
        times: of the revoked key, as they were before.
        already: it was revoked before, and nothing was done.
        successor: the announced key that takes its place sooner than was planned.
        signs_now: whether the successor signs from now on, because the revoked key was signing.
        plan: all that changes for other keys, the successor among them: new keys, and other ends.
        made: the new keys.
        problem: why there are none although they were planned, in a sentence, or ``None``.
        reaches_every_worker_within: seconds.
        last_token_expires_at: when the last of its tokens expires, as far as that was recorded.
    """

    times: KeyTimes
    already: bool
    successor: KeyTimes | None
    signs_now: bool
    plan: RotationPlan
    made: tuple[SigningKey, ...]
    problem: str | None
    reaches_every_worker_within: float
    last_token_expires_at: datetime | None

    @property
    def kid(self) -> str:
        """The key's ``kid``."""
        return self.times.kid


@dataclass(frozen=True, kw_only=True, slots=True)
class RevocationReport:
    """What concerns the tokens of a revoked key.

    ``affected_tokens`` is ``None`` where they could not be counted. ``problems`` are sentences about what did not work.
    """

    affected_tokens: AffectedTokens | None
    refresh_tokens: Ended
    problems: tuple[str, ...]


def revoke_signing_key(kid: str, *, reason: str, once_more: bool = False, dry_run: bool = False) -> Revocation:
    """Withdraw a key at once: out of the JWK set, its private half erased; the announced key signs from now on.

    Nothing else can hold that up, or undo it. Where the next key cannot be made, what is given says so. The tokens are
    not looked at: that is what :func:`revoke_issued_tokens` is for, afterwards.

    Args:
        reason: for whoever reads the row later; at most 200 characters are kept.
        once_more: let a key be that is revoked already, instead of refusing, so that its tokens can be seen to.
        dry_run: say what would be done, and change nothing.

    Raises:
        KeyChangeRefused: no such key, revoked already, or nothing could sign in its place.
        TimeoutError, django.db.Error: another change to the keys is running, or the database failed.
    """
    with signing_key_lock(dry_run=dry_run) as database:
        now = timezone.now()
        rows = {row.kid: row for row in SigningKey.objects.using(database)}
        already = once_more and kid in rows and rows[kid].revoked_at is not None
        effect = _Effect() if already else _effect_on_others(rows, kid, now)
        times = rows[kid].stored_times
        made: tuple[SigningKey, ...] = ()
        if not (dry_run or already):
            _erase(rows[kid], reason, now, database)
            effect, made = _carry_out(effect, rows, database)
    if not dry_run:
        key_store.forget()
    return Revocation(
        times=times,
        already=already,
        successor=effect.successor,
        signs_now=_signs(effect.successor, now),
        plan=effect.plan,
        made=made,
        problem=effect.problem,
        reaches_every_worker_within=app_settings().key_ring_max_age,
        last_token_expires_at=rows[kid].last_token_expires_at,
    )


def _signs(successor: KeyTimes | None, now: datetime) -> bool:
    # A process whose clock is behind plans it for an instant that is still to come.
    return successor is not None and successor.signing_at <= now + timedelta(seconds=app_settings().leeway)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Effect:
    """What a revocation means for the other keys.

    ``takeover`` is what the revocation itself changes, ``plan`` that and the rotation which follows.
    """

    takeover: RotationPlan = field(default_factory=RotationPlan)
    plan: RotationPlan = field(default_factory=RotationPlan)
    successor: KeyTimes | None = None
    problem: str | None = None

    def without_new_keys(self, error: NoSigningKey) -> _Effect:
        """Return what can be done where the next key cannot be made.

        A key that leaked must not go on signing because of that: a rotation has to make it, later.
        """
        problem = f"The next key could not be made: {error}. Then run: manage.py rotate_signing_keys."
        return replace(self, plan=self.takeover, problem=problem)


def _effect_on_others(rows: Mapping[str, SigningKey], kid: str, now: datetime) -> _Effect:
    settings = app_settings()
    # A key that only the settings call revoked is to be revoked in its row as well.
    before = {row.kid: row.stored_times if row.kid == kid else row.times for row in rows.values()}
    changed = plan_revocation(
        tuple(before.values()),
        kid,
        policy=settings.rotation_policy(longest_lifetime=registry.longest_lifetime()),
        algorithms=settings.signing_algorithms,
        now=now,
        leeway=timedelta(seconds=settings.leeway),
    )
    promoted = {key.kid: key for key in changed}
    # The announced key may sign now, so the one after it must be announced.
    following = planned_rotation(tuple({**before, **promoted}.values()), now)
    others = {**promoted, **{key.kid: key for key in following.changed}}
    del others[kid], promoted[kid]
    effect = _Effect(
        takeover=RotationPlan(changed=tuple(promoted.values())),
        plan=RotationPlan(new=following.new, changed=tuple(others.values())),
        successor=next((others[taking_over] for taking_over in promoted), None),
    )
    if following.new:
        try:
            require_keys_that_open((row for row in rows.values() if row.kid != kid), now)
        except NoSigningKey as error:
            return effect.without_new_keys(error)
    return effect


def _carry_out(
    effect: _Effect, rows: Mapping[str, SigningKey], database: str
) -> tuple[_Effect, tuple[SigningKey, ...]]:
    """Change the other keys, and return what was done and the keys that were made."""
    try:
        return effect, apply_plan(effect.plan, rows, database)
    except NoSigningKey as error:
        logger.error("The next signing key could not be made: %s", error)  # noqa: TRY400 - the text says all
        effect = effect.without_new_keys(error)
        return effect, apply_plan(effect.plan, rows, database)


def _erase(row: SigningKey, reason: str, now: datetime, database: str) -> None:
    row.revoked_at = now
    row.private_jwe = ""
    row.revocation_reason = reason[:200]
    row.save(using=database, update_fields=["revoked_at", "private_jwe", "revocation_reason"])


def revoke_issued_tokens(
    revocation: Revocation, *, refresh_tokens: RefreshTokens = RefreshTokens.NONE, dry_run: bool = False
) -> RevocationReport:
    """Count the tokens that a revoked key has signed, and revoke refresh tokens.

    It may be done again, and takes up what was left. Whatever goes wrong is in what it gives: the key is revoked, and
    whoever did that has to be told.
    """
    now, problems = timezone.now(), []
    radius = None
    try:
        radius = affected_tokens(revocation.times, now, last_token_expires_at=revocation.last_token_expires_at)
    except Exception as error:
        logger.exception("The tokens of signing key %s could not be counted", revocation.kid)
        problems.append(f"The tokens that it has signed could not be counted: {single_line(error)}")
    ended = Ended()
    try:
        tokens = live_tokens(revocation.times, now)
        ended = revoke_refresh_tokens(refresh_tokens, access_tokens=tokens, dry_run=dry_run)
    except Exception as error:
        logger.exception("The refresh tokens of signing key %s could not be revoked", revocation.kid)
        problems.append(f"The refresh tokens could not be revoked: {single_line(error)}")
    if ended.failed:
        problems.append(f"{ended.failed} refresh tokens could not be revoked; the log says why.")
    return RevocationReport(affected_tokens=radius, refresh_tokens=ended, problems=tuple(problems))
