"""The key store: the key ring of the local issuer, made from the rows of signing keys. It never writes."""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from django.db import Error as AnyDatabaseError
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from django_at_jwt.authorization_server.row_cache import RowCache, usual_age_unless_empty
from django_at_jwt.conf import app_settings, register_process_cache
from django_at_jwt.core.errors import KeysUnavailable, NoSigningKey, UnacceptableKey
from django_at_jwt.core.jose.keyring import KeyRing, Signer
from django_at_jwt.core.jose.keys import PrivateKey, PublicKey
from django_at_jwt.core.key_lifecycle import PUBLISHED_STATES, KeyState, KeyTimes, is_usable, signer_at
from django_at_jwt.core.quotation import single_line
from django_at_jwt.events import KeyAnnounced, KeyRetained, KeyRetired, KeyRevoked, KeySigning, emit
from django_at_jwt.models import SigningKey as SigningKeyRow
from django_at_jwt.models.primary import primary_rows

from .encryption import open_signing_key

if TYPE_CHECKING:
    from datetime import datetime

    from django_at_jwt.conf import AppSettings
    from django_at_jwt.events import Event

logger = logging.getLogger("django_at_jwt")

_NEVER: Final = float("-inf")
_RETRY_AFTER: Final = 1.0
_LEAST_JWK_SET_MAX_AGE: Final = 60
# Within this time, each process has noticed that a key retired.
_RETIREMENT_NOTICED: Final = timedelta(days=7)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Record:
    """What this process keeps of a row: its times, its public key, and the encrypted private key."""

    times: KeyTimes
    public_key: PublicKey
    private_jwe: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _DerivedRing:
    """A key ring, and what it was derived from. It is valid until ``ends_at`` (seconds since the epoch)."""

    ring: KeyRing
    records: tuple[_Record, ...] | None
    settings: AppSettings | None
    ends_at: float


_NO_RING: Final = _DerivedRing(ring=KeyRing(), records=None, settings=None, ends_at=math.inf)


class KeyStore:
    """The key ring of the local issuer, shared by the threads of this process.

    The rows are read from the primary database again when they are older than ``KEY_RING_MAX_AGE``, except those of
    keys that retired long ago. Transitions that the rows already contain happen on time without a read. If a read fails
    or hangs, the former keys are used for ``KEY_RING_MAX_STALE``: after that, one of them may have been revoked without
    this process knowing. No request waits longer than
    :data:`~django_at_jwt.authorization_server.row_cache.READ_PATIENCE` for a read.
    """

    def __init__(self) -> None:
        self._rows = RowCache(
            SigningKeyRow, self._read, max_age=usual_age_unless_empty, retry_after=_RETRY_AFTER, keep_after_change=True
        )
        # Held while the ring is derived, never while rows are read.
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Discard everything read so far, as in a new process."""
        self._rows.clear()
        # Replaced as a whole, so that no reader sees one part without the other.
        self._derived = _NO_RING
        self._opened: dict[str, tuple[str, PrivateKey]] = {}
        self._states: dict[str, KeyState] | None = None
        self._unknown_kid_read_at = _NEVER

    def at_hand(self) -> KeyRing | None:
        """Return the key ring if it is valid now and it is not time to read the rows, else ``None``."""
        derived, records = self._derived, self._rows.at_hand()
        return derived.ring if records is not None and _is_valid(derived, records, app_settings()) else None

    def current(self) -> KeyRing:
        """Return the current key ring; read the rows at most once in ``KEY_RING_MAX_AGE``.

        Raises:
            KeysUnavailable: the rows cannot be read, and were not read within ``KEY_RING_MAX_STALE``.
        """
        try:
            records = self._rows.current()
        except AnyDatabaseError as error:
            too_old = "" if self._rows.last_read is None else ", and those read before are too old"
            raise KeysUnavailable(f"the signing keys cannot be read{too_old}: {single_line(error)}") from error
        return self._ring_of(records)

    def after_unknown_kid(self, kid: str) -> KeyRing | None:
        """Read the rows again because a token has an unknown ``kid``, or do nothing.

        Returns:
            The key ring, or ``None`` if it could not be read again: within ``UNKNOWN_KID_COOLDOWN`` of the last such
            read (a flood of invented ``kid`` values costs one read in that time), while another thread reads, or if the
            read fails.
        """
        # Don't wait for the cooldown or for another thread's read: any client can send such tokens.
        with self._lock:
            now = time.monotonic()
            if now - self._unknown_kid_read_at < app_settings().unknown_kid_cooldown:
                return None
            self._unknown_kid_read_at = now
        try:
            records = self._rows.reread()
        except AnyDatabaseError:
            return None
        return None if records is None else self._ring_of(records)

    def forget(self) -> None:
        """Read the rows again at the next use, for instance after a change in this process."""
        self._rows.forget()
        with self._lock:
            self._unknown_kid_read_at = _NEVER

    def end_of(self, kid: str) -> datetime | None:
        """Return when a key is no longer published, or ``None`` if that is not planned or not known."""
        return next((record.times.retired_at for record in self._records if record.times.kid == kid), None)

    def revoked_kids(self) -> set[str]:
        """Return the kids of the revoked keys that this process has read, and ``REVOKED_KIDS``."""
        revoked = {record.times.kid for record in self._records if record.times.revoked_at is not None}
        return revoked | set(app_settings().revoked_kids)

    def times(self) -> tuple[KeyTimes, ...]:
        """Return the instants of all keys that this process has read."""
        return tuple(record.times for record in self._records)

    def unopenable_keys(self) -> dict[str, NoSigningKey]:
        """Return why signing and announced keys cannot be decrypted, by kid. Each key is decrypted once."""
        now, errors = timezone.now(), {}
        for record in self._records:
            if is_usable(record.times, now):
                try:
                    self._open(record)
                except NoSigningKey as error:
                    # Without the frames, whose variables hold keys.
                    errors[record.times.kid] = error.with_traceback(None)
        return errors

    def jwk_set_max_age(self) -> int:
        """Return the seconds for which the JWK set may be cached now.

        They decrease towards the next transition, so that cached copies seldom outlive it, and are few for a while
        after a revocation, so that caches drop the key soon.
        """
        now = timezone.now()
        usual = app_settings().jwk_set_max_age
        revoked = (record.times.revoked_at for record in self._records)
        if any(at is not None and now - usual < at for at in revoked):
            return int(min(usual.total_seconds(), _LEAST_JWK_SET_MAX_AGE))
        until_transition = self._derived.ends_at - now.timestamp()
        return int(min(usual.total_seconds(), max(_LEAST_JWK_SET_MAX_AGE, until_transition)))

    @property
    def _records(self) -> tuple[_Record, ...]:
        return self._rows.last_read or ()

    def _read(self, _database: str) -> tuple[_Record, ...]:
        known = {record.times.kid: record.public_key for record in self._records}
        condition = SigningKeyRow.not_retired(timezone.now() - _RETIREMENT_NOTICED)
        rows = primary_rows(SigningKeyRow).filter(condition).order_by("signing_at", "kid")
        return tuple(record for row in rows if (record := _record_of(row, known.get(row.kid))) is not None)

    def _ring_of(self, records: tuple[_Record, ...]) -> KeyRing:
        settings = app_settings()
        with self._lock:
            if _is_valid(self._derived, records, settings):
                return self._derived.ring
            usable = {record.times.kid for record in records if record.private_jwe}
            self._opened = {kid: opened for kid, opened in self._opened.items() if kid in usable}
            self._derived = derived = self._derive(records, settings)
            transitions = self._transitions(records)
        # Without the lock, since receivers may use the key ring.
        for event in transitions:
            emit(event)
        return derived.ring

    def _transitions(self, records: tuple[_Record, ...]) -> list[Event]:
        """Return an event for each key whose state differs from that of the last ring; none for the first ring."""
        now, before = timezone.now(), self._states
        self._states = {record.times.kid: record.times.state_at(now) for record in records}
        if before is None:
            return []
        return [
            _entered(each.times, now)
            for each in records
            if before.get(each.times.kid) is not self._states[each.times.kid]
        ]

    def _derive(self, records: tuple[_Record, ...], settings: AppSettings) -> _DerivedRing:
        now = timezone.now()
        times = [record.times for record in records]
        signers = {}
        for algorithm in dict.fromkeys(each.algorithm for each in times):
            signer = signer_at(times, algorithm, now, leeway=timedelta(seconds=settings.leeway))
            record = next((each for each in records if each.times is signer), None)
            if record is not None:
                signers[algorithm] = Signer(public_key=record.public_key, open=partial(self._open, record))
        ring = KeyRing.of(
            (each.public_key for each in records if each.times.state_at(now) in PUBLISHED_STATES),
            signers=signers,
            algorithms=settings.signing_algorithms,
        )
        transitions = (at.timestamp() for each in times for at in each.transitions_after(now))
        return _DerivedRing(ring=ring, records=records, settings=settings, ends_at=min(transitions, default=math.inf))

    @sensitive_variables()
    def _open(self, record: _Record) -> PrivateKey:
        kid = record.times.kid
        encrypted, key = self._opened.get(kid, (None, None))
        if key is None or encrypted != record.private_jwe:
            key = open_signing_key(record.private_jwe, record.public_key, kid=kid)
            self._opened[kid] = (record.private_jwe, key)
        return key


def _is_valid(derived: _DerivedRing, records: tuple[_Record, ...], settings: AppSettings) -> bool:
    return derived.records is records and derived.settings is settings and time.time() < derived.ends_at


def _record_of(row: SigningKeyRow, known: PublicKey | None) -> _Record | None:
    try:
        key = known or PublicKey.from_jwk(row.public_jwk, algorithm=row.algorithm)
    except UnacceptableKey as error:
        logger.error("Signing key %s is ignored: %s", row.kid, error)  # noqa: TRY400 - no traceback is needed
        return None
    return _Record(times=row.times, public_key=key, private_jwe=row.private_jwe)


def _entered(times: KeyTimes, now: datetime) -> Event:
    match times.state_at(now):
        case KeyState.ANNOUNCED:
            return KeyAnnounced(kid=times.kid, algorithm=times.algorithm, since=times.announced_at)
        case KeyState.SIGNING:
            return KeySigning(kid=times.kid, algorithm=times.algorithm, since=times.signing_at)
        case KeyState.RETAINED:
            return KeyRetained(kid=times.kid, algorithm=times.algorithm, since=times.retained_at or now)
        case KeyState.RETIRED:
            return KeyRetired(kid=times.kid, algorithm=times.algorithm, since=times.retired_at or now)
        case KeyState.REVOKED:
            since = times.revoked_at or now
            return KeyRevoked(kid=times.kid, algorithm=times.algorithm, since=since, noticed=True)


key_store = KeyStore()
register_process_cache(key_store.clear)
