"""From the rows of signing keys to the key ring: read rarely, held in this process, and never written."""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from django.db import Error as AnyDatabaseError
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from django_at_jwt.authorization_server.row_cache import BoundedRead
from django_at_jwt.conf import app_settings, register_process_cache
from django_at_jwt.core.errors import KeysUnavailable, UnacceptableKey
from django_at_jwt.core.jose.keyring import KeyRing, Signer
from django_at_jwt.core.jose.keys import PrivateKey, PublicKey
from django_at_jwt.core.key_lifecycle import PUBLISHED_STATES, KeyTimes, signer_at
from django_at_jwt.models import SigningKey as SigningKeyRow
from django_at_jwt.models.primary import primary_rows

from .encryption import open_signing_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from django_at_jwt.conf import AppSettings

logger = logging.getLogger("django_at_jwt")

_NEVER: Final = float("-inf")
_EMPTY_MAX_AGE: Final = 1.0
_LEAST_MAX_AGE: Final = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class _Record:
    """What this process keeps of a row: its times, its public key, and the encrypted private one."""

    times: KeyTimes
    public_key: PublicKey
    private_jwe: str


@dataclass(frozen=True, slots=True)
class _View:
    """The key ring of now, and for how long it can be used without a look at anything else.

    It is until ``until`` on the monotonic clock and ``ends_at`` in seconds since the epoch, whichever comes first, and
    as long as the settings are the same.
    """

    ring: KeyRing
    ends_at: float
    settings: AppSettings | None
    until: float


class KeyStore:
    """The key ring of the local issuer, shared by all threads of this process.

    It is read from the primary database again when it is older than ``KEY_RING_MAX_AGE``. Transitions that the rows
    already name happen on time without a read. If a read fails or hangs, the keys that were read before are used for
    ``KEY_RING_MAX_STALE``: after that, one of them may have been revoked without this process knowing. No request waits
    longer than :data:`~.bounded_read.READ_PATIENCE` for a read.
    """

    def __init__(self) -> None:
        self._reader = BoundedRead(SigningKeyRow, self._read, self._put_off)
        # Held while what was read is taken over, never while rows are read.
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Discard everything read so far, as in a new process."""
        self._reader.forget()
        self._records: Sequence[_Record] = ()
        # Replaced as a whole, so that no reader sees one part without the other.
        self._view = _View(KeyRing(), ends_at=math.inf, settings=None, until=_NEVER)
        self._opened: dict[str, tuple[str, PrivateKey]] = {}
        self._read_at = self._succeeded_at = _NEVER
        self._unknown_kid_read_at = _NEVER

    def at_hand(self) -> KeyRing | None:
        """Give the key ring if it holds now and it is not time to read the rows, else ``None``."""
        view = self._view
        if view.settings is app_settings() and time.monotonic() < view.until and time.time() < view.ends_at:
            return view.ring
        return None

    def current(self) -> KeyRing:
        """Give the key ring as it is now; reads the rows at most once in ``KEY_RING_MAX_AGE``.

        Raises:
            KeysUnavailable: the rows could not be read, and never were, or not for ``KEY_RING_MAX_STALE``.
        """
        settings, now = app_settings(), time.monotonic()
        if now >= self._stale_at(settings):
            # If another thread is reading, use the current key ring, unless there is none yet or it was changed here.
            self._reader.run(due=lambda: time.monotonic() >= self._stale_at(settings), join=self._read_at == _NEVER)
        if now > self._too_old_at(settings):
            raise KeysUnavailable("the signing keys cannot be read, and those read before are too old")
        view = self._view
        is_over = view.settings is not settings or time.time() >= view.ends_at
        if is_over and self._lock.acquire(blocking=False):
            try:
                if self._view is view:
                    self._arrange()
            finally:
                self._lock.release()
        return self._view.ring

    def after_unknown_kid(self, kid: str) -> KeyRing | None:
        """Read the rows again because a token named a ``kid`` that is not known, or do nothing.

        Returns:
            The ring, read anew if it could be, or ``None`` within ``UNKNOWN_KID_COOLDOWN`` of the last such read: a
            flood of invented ``kid`` values costs one read in that time.
        """
        # Neither the cool-down nor another thread's read is waited for: anybody can send such tokens.
        with self._lock:
            if self._is_cooling_down():
                return None
            self._unknown_kid_read_at = time.monotonic()
        return self._view.ring if self._reader.run(due=lambda: True, join=False) else None

    def _is_cooling_down(self) -> bool:
        return time.monotonic() - self._unknown_kid_read_at < app_settings().unknown_kid_cooldown

    def forget(self) -> None:
        """Read the rows again at the next use, for instance because this process has just changed them."""
        self._reader.forget()
        with self._lock:
            # The old view stays until the new one is read: other threads are using it at this very moment.
            self._read_at = self._unknown_kid_read_at = _NEVER
            self._view = replace(self._view, until=_NEVER)

    def end_of(self, kid: str) -> datetime | None:
        """Give the instant from which a key is no longer published, as far as that is planned."""
        return next((record.times.retired_at for record in self._records if record.times.kid == kid), None)

    def revoked_kids(self) -> set[str]:
        """Give the kids of the keys that were revoked, as far as this process has read."""
        revoked = {record.times.kid for record in self._records if record.times.revoked_at is not None}
        return revoked | set(app_settings().revoked_kids)

    def jwk_set_max_age(self) -> int:
        """Give the seconds for which the JWK set may be cached now.

        That is less the nearer the next transition is, so that a copy is seldom older than it, and little for a while
        after a revocation, so that the word spreads.
        """
        now = timezone.now()
        usual = app_settings().jwk_set_max_age
        revoked = (record.times.revoked_at for record in self._records)
        if any(at is not None and now - usual < at for at in revoked):
            return int(min(usual.total_seconds(), _LEAST_MAX_AGE))
        return int(min(usual.total_seconds(), max(_LEAST_MAX_AGE, self._view.ends_at - now.timestamp())))

    def _stale_at(self, settings: AppSettings) -> float:
        # An empty table is looked at again soon: somebody is about to run the command that makes the first key.
        return self._read_at + (settings.key_ring_max_age if self._records else _EMPTY_MAX_AGE)

    def _too_old_at(self, settings: AppSettings) -> float:
        return self._succeeded_at + max(settings.key_ring_max_stale, settings.key_ring_max_age)

    def _until(self, settings: AppSettings) -> float:
        return min(self._stale_at(settings), self._too_old_at(settings))

    def _put_off(self) -> None:
        # The next attempt comes with the next request after the usual age, not with each one.
        with self._lock:
            self._read_at = time.monotonic()
            self._view = replace(self._view, until=self._until(app_settings()))

    def _read(self, _database: str, is_latest: Callable[[], bool]) -> None:
        began = time.monotonic()
        try:
            rows = primary_rows(SigningKeyRow).order_by("signing_at", "kid")
            records = [record for row in rows if (record := self._record(row)) is not None]
        except AnyDatabaseError:
            logger.exception("The signing keys could not be read")
            if is_latest():
                self._put_off()
            return
        with self._lock:
            if began < self._succeeded_at:
                return
            self._records = records
            usable = {record.times.kid for record in records if record.private_jwe}
            self._opened = {kid: opened for kid, opened in self._opened.items() if kid in usable}
            self._succeeded_at = began
            # Otherwise a change that came while the rows were read may be missing, so they are read again.
            self._read_at = began if is_latest() else _NEVER
            self._arrange()

    def _record(self, row: SigningKeyRow) -> _Record | None:
        known = next((each for each in self._records if each.times.kid == row.kid), None)
        try:
            key = known.public_key if known else PublicKey.from_jwk(row.public_jwk, algorithm=row.algorithm)
        except UnacceptableKey as error:
            logger.error("Signing key %s is left out: %s", row.kid, error)  # noqa: TRY400 - no traceback is needed
            return None
        return _Record(times=row.times, public_key=key, private_jwe=row.private_jwe)

    def _arrange(self) -> None:
        now, settings = timezone.now(), app_settings()
        times = [record.times for record in self._records]
        signers = {}
        for algorithm in dict.fromkeys(each.algorithm for each in times):
            signer = signer_at(times, algorithm, now, leeway=timedelta(seconds=settings.leeway))
            record = next((each for each in self._records if each.times is signer), None)
            if record is not None:
                signers[algorithm] = Signer(public_key=record.public_key, open=partial(self._open, record))
        ring = KeyRing.of(
            (each.public_key for each in self._records if each.times.state_at(now) in PUBLISHED_STATES),
            signers=signers,
            algorithms=settings.signing_algorithms,
        )
        transitions = (at.timestamp() for each in times for at in each.transitions_after(now))
        ends_at = min(transitions, default=math.inf)
        self._view = _View(ring, ends_at=ends_at, settings=settings, until=self._until(settings))

    @sensitive_variables()
    def _open(self, record: _Record) -> PrivateKey:
        kid = record.times.kid
        encrypted, key = self._opened.get(kid, (None, None))
        if key is None or encrypted != record.private_jwe:
            key = open_signing_key(record.private_jwe, record.public_key, kid=kid)
            self._opened[kid] = (record.private_jwe, key)
        return key


key_store = KeyStore()
register_process_cache(key_store.clear)
