"""Rotate signing keys: apply the plan of :mod:`django_at_jwt.core.key_lifecycle` in one transaction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_variables

from django_at_jwt.authorization_server.client_secrets.hasher import is_preferred
from django_at_jwt.authorization_server.client_secrets.keys import create_client_secret_key
from django_at_jwt.authorization_server.resource_servers import registry
from django_at_jwt.conf import app_settings
from django_at_jwt.core.errors import KeyChangeRefused, NoSigningKey
from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.jose.keys import public_members
from django_at_jwt.core.key_lifecycle import (
    KeyState,
    KeyTimes,
    NewKey,
    RotationPlan,
    is_usable,
    next_signer,
    plan_rotation,
)
from django_at_jwt.core.key_schedule import next_rotation
from django_at_jwt.core.quotation import single_line
from django_at_jwt.events import KeyMade, RotationRan, emit
from django_at_jwt.models import SigningKey
from django_at_jwt.models.signing_key_event import KeyAction

from .encryption import encrypt_private_key, require_row_that_opens
from .history import UNKNOWN_ORIGIN, ChangeOrigin, describe_times, key_event, record_events
from .last_expiry import STEP_SECONDS
from .lock import signing_key_lock
from .store import key_store

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from jwcrypto.jwk import JWK

    from django_at_jwt.core.key_lifecycle import RotationPolicy
    from django_at_jwt.core.key_schedule import NextRotation


@dataclass(frozen=True, kw_only=True, slots=True)
class Takeover:
    """When the next key of an algorithm starts to sign.

    ``kid`` is ``None`` for a key that is not made yet. ``planned_at`` is when it would start without the rotation, or
    ``None`` for a new key.
    """

    algorithm: str
    kid: str | None
    at: datetime
    planned_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rotation:
    """The result of a rotation, or of its dry run: the plan, and the rows afterwards, without those of retired keys.

    ``client_secret_key`` is the kid of a new key for client secrets, or ``None``.
    """

    plan: RotationPlan
    made: tuple[SigningKey, ...]
    keys: tuple[SigningKey, ...]
    at: datetime
    client_secret_key: str | None = None

    @property
    def times_after(self) -> tuple[KeyTimes, ...]:
        """The planned times of the keys, applied or not. Keys that were not made have no kid yet."""
        times = {row.kid: row.times for row in self.keys} | {key.kid: key for key in self.plan.changed}
        return (*times.values(), *(() if self.made else (_times_of(new, "a new key") for new in self.plan.new)))

    def takeovers(self, algorithms: Iterable[str]) -> tuple[Takeover, ...]:
        """Return the next takeover of each algorithm that has an announced key.

        If the rotation was applied, ``planned_at`` is the new instant too.
        """
        stored = {row.kid: row.signing_at for row in self.keys}
        times = self.times_after
        after = ((name, next_signer(times, name, self.at)) for name in algorithms)
        return tuple(
            Takeover(
                algorithm=name,
                kid=key.kid if key.kid in stored else None,
                at=key.signing_at,
                planned_at=stored.get(key.kid),
            )
            for name, key in after
            if key is not None
        )


def rotate_signing_keys(
    *,
    early: Collection[str] = (),
    origin: ChangeOrigin = UNKNOWN_ORIGIN,
    dry_run: bool = False,
    key_encryption_key_lost: bool = False,
) -> Rotation:
    """Make and schedule signing keys as the policy requires, or do nothing if they already are.

    The first one also makes the key of the hasher for client secrets, if ``CLIENT_SECRET_HASHER`` names it.

    Only one rotation runs at a time; a concurrent one waits, and then finds nothing to do.

    Args:
        early: algorithms whose announced key must sign as soon as it has been announced for the propagation time.
        origin: who rotates and why, for the history of each key that changes.
        dry_run: return what would be done, and change nothing.
        key_encryption_key_lost: continue even if a signing or announced key cannot be decrypted.

    Raises:
        KeyChangeRefused: under this policy a key would sign before all APIs have it, or tokens would outlive their key.
        NoSigningKey: a signing or announced key or the client secret key cannot be decrypted, or a new key could not be
            encrypted.
        TimeoutError, django.db.Error: another change to the signing keys is running, or the database failed.
    """
    try:
        rotation = _rotated(
            early=early, origin=origin, dry_run=dry_run, key_encryption_key_lost=key_encryption_key_lost
        )
    except Exception as error:
        if not dry_run:
            emit(RotationRan(outcome="failed", problem=single_line(error)))
        raise
    if not dry_run:
        report_made_keys(rotation.made, cause="rotation")
        emit(_report(rotation))
    return rotation


def _rotated(*, early: Collection[str], origin: ChangeOrigin, dry_run: bool, key_encryption_key_lost: bool) -> Rotation:
    require_sound_policy()
    with signing_key_lock(dry_run=dry_run) as database:
        rows = rows_in_use(database)
        if not key_encryption_key_lost:
            require_keys_that_open(rows, timezone.now())
        cause = gettext("Early rotation") if early else gettext("Rotation")
        rotation = carry_out_rotation(rows, database, early=early, origin=origin.because(cause), dry_run=dry_run)
        if is_preferred():
            made = create_client_secret_key(database, key_encryption_key_lost=key_encryption_key_lost, dry_run=dry_run)
            rotation = replace(rotation, client_secret_key=made)
    if rotation.plan and not dry_run:
        key_store.forget()
    return rotation


def _report(rotation: Rotation) -> RotationRan:
    keys, now = rotation.times_after, rotation.at
    states = {state: [key for key in keys if key.state_at(now) is state] for state in KeyState}
    return RotationRan(
        outcome="changed" if rotation.plan or rotation.client_secret_key else "unchanged",
        made=len(rotation.made),
        changed=len(rotation.plan.changed),
        signing=tuple(key.kid for key in states[KeyState.SIGNING]),
        announced=tuple(key.kid for key in states[KeyState.ANNOUNCED]),
        next_signing_at=min((key.signing_at for key in states[KeyState.ANNOUNCED]), default=None),
        next_due_at=rotation_due(keys, now).due_at,
    )


def report_made_keys(made: Iterable[SigningKey], *, cause: str) -> None:
    """Emit an event for each new key, after they were committed.

    Args:
        cause: ``rotation``, ``revocation`` or ``import``.
    """
    for row in made:
        emit(KeyMade(kid=row.kid, algorithm=row.algorithm, cause=cause, signing_at=row.signing_at))


def require_sound_policy() -> None:
    """Check that the rotation policy is one that ``manage.py check`` accepts.

    Revocations don't call it: they go ahead under any policy.

    Raises:
        KeyChangeRefused: with a sentence for each rule that it breaks.
    """
    problems = policy_problems(registry.longest_lifetime())
    if problems:
        raise KeyChangeRefused(" ".join(problems))


def policy_problems(longest_lifetime: int) -> tuple[str, ...]:
    """Return a sentence for each rule that the site's policy breaks.

    Args:
        longest_lifetime: of any access token that can be issued, in seconds.
    """
    settings = app_settings()
    problems = settings.rotation_policy(longest_lifetime=longest_lifetime).problems(
        jwk_set_max_age=settings.jwk_set_max_age,
        key_ring_max_age=timedelta(seconds=settings.key_ring_max_age),
        longest_lifetime=timedelta(seconds=longest_lifetime),
        leeway=timedelta(seconds=settings.leeway),
    )
    return tuple(gettext(problem.text) % problem.parameters for problem in problems)


def rows_in_use(database: str) -> tuple[SigningKey, ...]:
    """Return the rows of all keys that are not retired, in the order in which they sign."""
    rows = SigningKey.objects.using(database).filter(SigningKey.not_retired(timezone.now()))
    return tuple(rows.order_by("signing_at", "kid"))


def carry_out_rotation(
    rows: Sequence[SigningKey],
    database: str,
    *,
    origin: ChangeOrigin,
    early: Collection[str] = (),
    dry_run: bool = False,
) -> Rotation:
    """Rotate while the caller holds :func:`signing_key_lock`.

    Args:
        rows: those of :func:`rows_in_use`, read with the lock.
    """
    now = timezone.now()
    plan = planned_rotation([row.times for row in rows], now, early=early)
    made = () if dry_run else apply_plan(plan, {row.kid: row for row in rows}, database, origin=origin)
    return Rotation(plan=plan, made=made, keys=(*rows, *made), at=now)


def require_keys_that_open(rows: Iterable[SigningKey], now: datetime) -> None:
    """Check that each signing or announced key can be decrypted, before another key is made.

    Otherwise this process has other key-encryption keys than those that issue tokens, and they could not decrypt a key
    made here.

    Raises:
        NoSigningKey: a key cannot be decrypted; the message has its kid, the reason and the remedy.
    """
    for row in rows:
        if is_usable(row.times, now):
            try:
                require_row_that_opens(row)
            except NoSigningKey as error:
                raise NoSigningKey(f"{error}. {_REMEDY}") from None


_REMEDY: Final = (
    "Run this with the settings of the processes that issue tokens. If they cannot decrypt it either, restore the "
    "former key-encryption key or revoke the signing key. If the key-encryption key is lost, see rotate_signing_keys "
    "--key-encryption-key-lost"
)


def site_policy() -> RotationPolicy:
    """Return the rotation policy of the settings, for the longest lifetime of a token.

    Raises:
        django.db.Error: the resource servers, which may set longer lifetimes, cannot be read.
    """
    return app_settings().rotation_policy(longest_lifetime=registry.longest_lifetime())


def planned_rotation(keys: Sequence[KeyTimes], now: datetime, *, early: Collection[str] = ()) -> RotationPlan:
    """Plan a rotation by the site's policy.

    Raises:
        django.db.Error: as for :func:`site_policy`.
    """
    return plan_rotation(keys, policy=site_policy(), algorithms=app_settings().signing_algorithms, now=now, early=early)


def rotation_due(keys: Sequence[KeyTimes], now: datetime) -> NextRotation:
    """Return when the next rotation is due and late by the site's policy.

    Raises:
        django.db.Error: as for :func:`site_policy`.
    """
    return next_rotation(keys, policy=site_policy(), algorithms=app_settings().signing_algorithms, now=now)


def apply_plan(
    plan: RotationPlan, rows: Mapping[str, SigningKey], database: str, *, origin: ChangeOrigin
) -> tuple[SigningKey, ...]:
    """Store the planned changes and their history, and return the new keys.

    Args:
        rows: the rows that the plan was made from, by kid.
        origin: who changes the keys and why.

    Raises:
        NoSigningKey: a new private key could not be encrypted; nothing was stored.
    """
    made = tuple(_make_key(new) for new in plan.new)
    events = []
    for times in plan.changed:
        row = rows[times.kid]
        events.append(key_event(times, KeyAction.RESCHEDULED, origin, describe_times(times, row.stored_times)))
        row.take_times(times, using=database)
    for row in made:
        row.save(using=database, force_insert=True)
        events.append(key_event(row.stored_times, KeyAction.CREATED, origin, describe_times(row.stored_times)))
    record_events(events, database)
    return made


def purge_signing_keys(
    *, force: bool = False, origin: ChangeOrigin = UNKNOWN_ORIGIN, dry_run: bool = False
) -> tuple[str, ...]:
    """Delete retired keys, and return their kids. Their history is kept.

    A key is kept while tokens that it signed may be alive, unless ``force``. Revoked keys are always kept: their rows
    record the revocation.

    Raises:
        TimeoutError: another change to the signing keys is running.
    """
    with signing_key_lock(dry_run=dry_run) as database:
        now = timezone.now()
        retired = [
            row
            for row in SigningKey.objects.using(database)
            if row.state_at(now) is KeyState.RETIRED
            and (force or ((safe := safe_to_purge_after(row)) is not None and safe <= now))
        ]
        if not dry_run:
            text = gettext("Forced: tokens that it signed may not have expired.") if force else ""
            record_events((key_event(row.stored_times, KeyAction.DELETED, origin, text) for row in retired), database)
            for row in retired:
                row.delete(using=database)
    return tuple(row.kid for row in retired)


def safe_to_purge_after(row: SigningKey) -> datetime | None:
    """Return when the last token of a key has expired.

    Returns:
        ``None`` if the key's end is not planned yet, or if the key is revoked: its row is never purged.
    """
    if row.state_at(timezone.now()) is KeyState.REVOKED:
        return None
    last = _last_acceptance(row)
    return row.retired_at if row.retired_at is None or last is None else max(row.retired_at, last)


def is_spent(row: SigningKey, now: datetime) -> bool:
    """Return whether all recorded tokens of a key have expired. Not meaningful for a key that still signs."""
    last = _last_acceptance(row)
    return last is None or last <= now


def _last_acceptance(row: SigningKey) -> datetime | None:
    """Return until when a recorded token of a key may be accepted, or ``None`` if none is recorded."""
    last = row.last_token_expires_at
    return None if last is None else last + timedelta(seconds=app_settings().leeway + STEP_SECONDS)


def _times_of(new: NewKey, kid: str) -> KeyTimes:
    return KeyTimes(
        kid=kid,
        algorithm=new.algorithm,
        announced_at=new.announced_at,
        signing_at=new.signing_at,
        retained_at=new.retained_at,
        retired_at=new.retired_at,
    )


@sensitive_variables()
def _make_key(new: NewKey) -> SigningKey:
    private_jwk = ALGORITHMS[new.algorithm].generate_key()
    while (kid := private_jwk.thumbprint()).startswith("-"):
        # On a command line, such a kid would be parsed as an option.
        private_jwk = ALGORITHMS[new.algorithm].generate_key()
    return new_row(private_jwk, _times_of(new, kid))


@sensitive_variables()
def new_row(private_jwk: JWK, times: KeyTimes) -> SigningKey:
    """Return the unsaved row of a key pair, with its private half encrypted.

    Raises:
        NoSigningKey: the private half could not be encrypted.
    """
    return SigningKey(
        kid=times.kid,
        algorithm=times.algorithm,
        public_jwk=public_members(private_jwk),
        private_jwe=encrypt_private_key(private_jwk, kid=times.kid),
        announced_at=times.announced_at,
        signing_at=times.signing_at,
        retained_at=times.retained_at,
        retired_at=times.retired_at,
    )
