"""Revoke a signing key at once, and then the refresh tokens of the tokens that it signed."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.db import router
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from django_at_jwt.authorization_server.revocation.authorizations import lock_authorizations
from django_at_jwt.authorization_server.revocation.entries import deny_tokens
from django_at_jwt.authorization_server.revocation.issued_tokens import first_links
from django_at_jwt.authorization_server.revocation.revoke import end_authorizations, one_transaction
from django_at_jwt.authorization_server.revocation.rows import (
    access_token_keys,
    expire_access_tokens,
    has_own_revoke,
    interleaved_batches,
    revoke_refresh_tokens,
    values_for,
)
from django_at_jwt.conf import app_settings
from django_at_jwt.core.errors import KeyChangeRefused, NoSigningKey, NoSuccessor
from django_at_jwt.core.key_lifecycle import KeyTimes, RotationPlan, plan_revocation
from django_at_jwt.core.quotation import single_line
from django_at_jwt.events import KeyRevoked, emit
from django_at_jwt.models import Authorization, IssuedToken, SigningKey
from django_at_jwt.models.authorization import EndReason
from django_at_jwt.models.primary import primary_rows
from django_at_jwt.models.signing_key_event import KeyAction

from .affected_tokens import AffectedTokens, affected_tokens, live_first_tokens, live_links, live_tokens
from .history import UNKNOWN_ORIGIN, ChangeOrigin, key_event, record_events
from .lock import signing_key_lock
from .rotation import apply_plan, planned_rotation, report_made_keys, require_keys_that_open, site_policy
from .store import key_store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from django.db.models import QuerySet


logger = logging.getLogger("django_at_jwt")

_BATCH: Final = 5000


class RefreshTokens(StrEnum):
    """Which refresh tokens to revoke together with a key."""

    NONE = "none"
    OF_ITS_TOKENS = "of its tokens"
    ALL = "all"


class RefreshTokenCounts(NamedTuple):
    """How many refresh tokens were (or would be) revoked, and how many could not be."""

    revoked: int = 0
    failed: int = 0


def revoke_refresh_tokens_of_key(which: RefreshTokens, key: KeyTimes, *, dry_run: bool) -> RefreshTokenCounts:
    """Revoke refresh tokens that were issued up to now and are not revoked yet, and end their authorizations.

    :attr:`RefreshTokens.ALL` includes those that replace them while it runs.

    It takes a few statements for each batch. If a swapped model overrides ``revoke()``, that is called for each token:
    one that cannot be revoked is skipped, and the first such error is logged. Run it again to retry.

    No entry of the deny list names access tokens of the revoked key, which no process accepts, but those of the same
    authorizations that other keys have signed.

    Args:
        which: none, those of live access tokens that the key has signed or may have signed, or all.
        key: the revoked key.

    Raises:
        django.db.Error: the refresh tokens cannot be read, or not be written. Batches before the error are revoked.
    """
    if which is RefreshTokens.NONE:
        return RefreshTokenCounts()
    now = timezone.now()
    living = primary_rows(get_refresh_token_model()).filter(revoked__isnull=True, created__lte=now)
    if dry_run:
        if which is RefreshTokens.ALL:
            return RefreshTokenCounts(revoked=living.count())
        own = (living.filter(access_token__in=rows).count() for rows in live_tokens(key, now))
        return RefreshTokenCounts(revoked=sum(own))
    revoked = failed = 0
    for condition in _batches(which, key, living, now):
        batch = living.filter(condition)
        instances = list(batch) if has_own_revoke() else None
        with one_transaction():
            families = values_for(Authorization, batch.values_list("token_family", flat=True))
            live = primary_rows(Authorization).filter(family__in=families, ended_at__isnull=True)
            # Before the rows of tokens, as by a token request.
            lock_authorizations(live)
            expiring = _deny_tokens_of_other_keys(live, key.kid)
            live.update(ended_at=timezone.now(), end_reason=EndReason.KEY_REVOKED)
            if instances is None:
                tokens = primary_rows(get_access_token_model()).filter(expires__gt=timezone.now())
                tokens = tokens.filter(pk__in=batch.values_list("access_token", flat=True))
                expiring.update(map(str, tokens.values_list("pk", flat=True)))
                revoked += revoke_refresh_tokens(Q(condition, created__lte=now))
            expire_access_tokens(Q(pk__in=expiring))
        if instances is not None:
            counts = _revoke_each(instances, is_first_failure=not failed)
            revoked, failed = revoked + counts.revoked, failed + counts.failed
    if which is RefreshTokens.ALL:
        revoked += end_authorizations(_refreshed_since(now), reason=EndReason.KEY_REVOKED)
    return RefreshTokenCounts(revoked=revoked, failed=failed)


def _refreshed_since(now: datetime) -> QuerySet[Authorization]:
    """Return the live authorizations in which a newer refresh token has replaced one from before ``now``."""
    model = get_refresh_token_model()
    newer = primary_rows(model).filter(revoked__isnull=True, created__gt=now).values_list("token_family", flat=True)
    older = primary_rows(model).filter(token_family__in=values_for(model, newer), created__lte=now)
    families = values_for(Authorization, older.values_list("token_family", flat=True))
    return primary_rows(Authorization).filter(family__in=families, ended_at__isnull=True)


def _batches(which: RefreshTokens, key: KeyTimes, living: QuerySet[Any], now: datetime) -> Iterator[Q]:
    """Yield conditions for batches of the refresh tokens that are chosen."""
    if which is RefreshTokens.ALL:
        yield from interleaved_batches(living, size=_BATCH)
        return
    refresh_tokens, access_tokens = get_refresh_token_model(), get_access_token_model()
    links = live_links(key, now)
    for condition in interleaved_batches(links, size=_BATCH):
        # The condition limits the subquery: no batch evaluates it for all tokens of the key.
        keys = access_token_keys(links.filter(condition))
        yield Q(access_token__in=values_for(refresh_tokens, keys))
    first = live_first_tokens(key, now)
    for condition in interleaved_batches(first, size=_BATCH):
        checksums = first.filter(condition).values_list("first_token_checksum", flat=True)
        rows = primary_rows(access_tokens).filter(token_checksum__in=values_for(access_tokens, checksums))
        yield Q(access_token__in=values_for(refresh_tokens, rows.values_list("pk", flat=True)))


def _deny_tokens_of_other_keys(authorizations: QuerySet[Authorization], kid: str) -> set[str]:
    """Deny the unexpired tokens of authorizations that other keys have signed, and return the keys of their rows."""
    now = timezone.now()
    identifiers = values_for(IssuedToken, authorizations.values_list("identifier", flat=True))
    links = primary_rows(IssuedToken).filter(authorization__in=identifiers, expires_at__gt=now)
    others = [
        *links.exclude(kid=kid),
        *first_links(authorizations.filter(first_token_expires_at__gt=now).exclude(first_token_kid=kid)),
    ]
    if others:
        deny_tokens(((link.token_id, link.expires_at) for link in others), reason=EndReason.KEY_REVOKED)
    return {link.access_token for link in others if link.access_token}


def _revoke_each(tokens: Iterable[Any], *, is_first_failure: bool) -> RefreshTokenCounts:
    revoked = failed = 0
    for token in tokens:
        try:
            token.revoke()
            revoked += 1
        except Exception:
            # A site's own revoke() may raise anything; go on with the others.
            if is_first_failure and not failed:
                logger.exception("A refresh token could not be revoked")
            failed += 1
    return RefreshTokenCounts(revoked=revoked, failed=failed)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRevocation:
    """The result of a revocation, or of its dry run.

    Attributes:
        times: times of the revoked key before the revocation.
        already: whether it was already revoked, so that nothing was done.
        successor: the announced key that replaces it sooner than planned, or ``None``.
        signs_now: whether the successor signs from now on, because the revoked key was signing.
        plan: changes to other keys, including the successor: new keys and changed ends.
        made: the new keys.
        problem: a sentence that explains why planned new keys were not made, or ``None``.
        reaches_every_worker_within: seconds until every process has read the change.
        last_token_expires_at: recorded expiry of the key's last token, or ``None``.
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
    """The tokens of a revoked key.

    ``affected_tokens`` is ``None`` if they could not be counted. ``problems`` has a sentence for each failure.
    """

    affected_tokens: AffectedTokens | None
    refresh_tokens: RefreshTokenCounts
    problems: tuple[str, ...]


def revoke_signing_key(
    kid: str,
    *,
    reason: str,
    origin: ChangeOrigin = UNKNOWN_ORIGIN,
    once_more: bool = False,
    dry_run: bool = False,
) -> KeyRevocation:
    """Revoke a key: remove it from the JWK set and erase its private half. The announced key signs from now on.

    A failure to make the next key does not prevent the revocation; ``problem`` of the result reports it. The key's
    tokens are not changed: call :func:`revoke_issued_tokens` afterwards.

    Args:
        reason: shown to administrators; truncated to 200 characters.
        origin: who revokes it, for the history of each key that changes. Its reason is ``reason``.
        once_more: accept a key that is already revoked and do nothing, so that its tokens can be revoked again.
        dry_run: return what would be done, and change nothing.

    Raises:
        KeyChangeRefused: no such key, already revoked, or no other key could sign.
        TimeoutError, django.db.Error: another change to the signing keys is running, or the database failed.
    """
    with signing_key_lock(dry_run=dry_run) as database:
        now = timezone.now()
        concerned = SigningKey.not_retired(now) | Q(kid=kid)
        rows = {row.kid: row for row in SigningKey.objects.using(database).filter(concerned)}
        already = once_more and kid in rows and rows[kid].revoked_at is not None
        effect = _Effect() if already else _effect_on_others(rows, kid, now)
        times = rows[kid].stored_times
        made: tuple[SigningKey, ...] = ()
        if not (dry_run or already):
            origin = replace(origin, reason=reason)
            _revoke_row(rows[kid], now, database, origin=origin)
            origin = origin.because(gettext("%(kid)s was revoked") % {"kid": kid})
            effect, made = _carry_out(effect, rows, database, origin=origin)
    if not dry_run:
        key_store.forget()
        report_made_keys(made, cause="revocation")
        if not already:
            emit(KeyRevoked(kid=kid, algorithm=times.algorithm, since=now, noticed=False))
    return KeyRevocation(
        times=times,
        already=already,
        successor=effect.successor,
        signs_now=_signs_now(effect.successor, now),
        plan=effect.plan,
        made=made,
        problem=effect.problem,
        reaches_every_worker_within=app_settings().key_ring_max_age,
        last_token_expires_at=rows[kid].last_token_expires_at,
    )


def _signs_now(successor: KeyTimes | None, now: datetime) -> bool:
    # On a process whose clock is behind, it is planned slightly in the future.
    return successor is not None and successor.signing_at <= now + timedelta(seconds=app_settings().leeway)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Effect:
    """The effect of a revocation on the other keys.

    ``takeover`` has the changes of the revocation itself, ``plan`` these and the rotation that follows.
    """

    takeover: RotationPlan = field(default_factory=RotationPlan)
    plan: RotationPlan = field(default_factory=RotationPlan)
    successor: KeyTimes | None = None
    problem: str | None = None

    def without_new_keys(self, error: NoSigningKey) -> _Effect:
        """Return the effect without the rotation, if the next key cannot be made.

        A leaked key must not keep signing because of that; a later rotation makes the next key.
        """
        problem = gettext("The next key could not be made: %(problem)s. Once fixed, run manage.py rotate_signing_keys.")
        return replace(self, plan=self.takeover, problem=problem % {"problem": error})


def _effect_on_others(rows: Mapping[str, SigningKey], kid: str, now: datetime) -> _Effect:
    settings = app_settings()
    # A key that is revoked only by REVOKED_KIDS must be revoked in its row too.
    before = {row.kid: row.stored_times if row.kid == kid else row.times for row in rows.values()}
    try:
        changed = plan_revocation(
            tuple(before.values()),
            kid,
            policy=site_policy(),
            algorithms=settings.signing_algorithms,
            now=now,
            leeway=timedelta(seconds=settings.leeway),
        )
    except KeyChangeRefused as error:
        [message] = error.args
        remedy = gettext(" Run manage.py rotate_signing_keys first.") if isinstance(error, NoSuccessor) else ""
        raise KeyChangeRefused(gettext(message.text) % message.parameters + remedy) from None
    promoted = {key.kid: key for key in changed}
    # The announced key may sign now, so the next one must be announced.
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
    effect: _Effect, rows: Mapping[str, SigningKey], database: str, *, origin: ChangeOrigin
) -> tuple[_Effect, tuple[SigningKey, ...]]:
    """Apply the changes to the other keys; return the changes applied and the new keys."""
    try:
        return effect, apply_plan(effect.plan, rows, database, origin=origin)
    except NoSigningKey as error:
        logger.error("The next signing key could not be made: %s", error)  # noqa: TRY400 - no traceback is needed
        effect = effect.without_new_keys(error)
        return effect, apply_plan(effect.plan, rows, database, origin=origin)


def _revoke_row(row: SigningKey, now: datetime, database: str, *, origin: ChangeOrigin) -> None:
    row.revoked_at = now
    row.private_jwe = ""
    row.revocation_reason = origin.reason[:200]
    row.save(using=database, update_fields=["revoked_at", "private_jwe", "revocation_reason"])
    record_events([key_event(row.stored_times, KeyAction.REVOKED, origin)], database)


def revoke_issued_tokens(
    revocation: KeyRevocation,
    *,
    refresh_tokens: RefreshTokens = RefreshTokens.NONE,
    origin: ChangeOrigin = UNKNOWN_ORIGIN,
    exact: bool = True,
    dry_run: bool = False,
) -> RevocationReport:
    """Count the tokens that a revoked key signed, and revoke refresh tokens, which the key's history records.

    It can be called again to retry what failed. Errors are reported in ``problems``, not raised: the key is already
    revoked, and the administrator must see that too.

    Args:
        exact: count the tokens exactly even if there are many, as :func:`affected_tokens` does.
    """
    now, problems = timezone.now(), []
    affected = None
    try:
        affected = affected_tokens(
            revocation.times, now, last_token_expires_at=revocation.last_token_expires_at, exact=exact
        )
    except Exception as error:
        logger.exception("The tokens of signing key %s could not be counted", revocation.kid)
        text = gettext("The tokens that the key signed could not be counted: %(problem)s")
        problems.append(text % {"problem": single_line(error)})
    counts = RefreshTokenCounts()
    try:
        counts = revoke_refresh_tokens_of_key(refresh_tokens, revocation.times, dry_run=dry_run)
        if refresh_tokens is not RefreshTokens.NONE and not dry_run:
            _record_refresh_tokens(revocation.times, refresh_tokens, counts, origin)
    except Exception as error:
        logger.exception("The refresh tokens of signing key %s could not be revoked", revocation.kid)
        text = gettext("The refresh tokens could not be revoked: %(problem)s")
        problems.append(text % {"problem": single_line(error)})
    if counts.failed:
        text = ngettext(
            "%(number)d refresh token could not be revoked; see the log.",
            "%(number)d refresh tokens could not be revoked; see the log.",
            counts.failed,
        )
        problems.append(text % {"number": counts.failed})
    return RevocationReport(affected_tokens=affected, refresh_tokens=counts, problems=tuple(problems))


def _record_refresh_tokens(
    key: KeyTimes, which: RefreshTokens, counts: RefreshTokenCounts, origin: ChangeOrigin
) -> None:
    if which is RefreshTokens.ALL:
        text = gettext("All refresh tokens were revoked: %(number)d.") % {"number": counts.revoked}
    else:
        text = gettext("The refresh tokens of its access tokens were revoked: %(number)d.") % {"number": counts.revoked}
    if counts.failed:
        failed = gettext("%(number)d could not be revoked.")
        text += " " + failed % {"number": counts.failed}
    event = key_event(key, KeyAction.REFRESH_TOKENS_REVOKED, origin, text)
    record_events([event], router.db_for_write(SigningKey))
