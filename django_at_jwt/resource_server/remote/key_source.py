"""The keys of remote issuers: fetched rarely, held in this process, shared by all workers, and bounded in age."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from django_at_jwt.conf import app_settings, process_cached
from django_at_jwt.core.errors import KeysUnavailable
from django_at_jwt.core.jose.keyring import KeyRing
from django_at_jwt.core.quotation import quote

from .discovery import retrieve
from .http import FetchFailed
from .shared_cache import REFRESH, UNKNOWN_KID, SharedCache

if TYPE_CHECKING:
    from django_at_jwt.conf import IssuerSettings
    from django_at_jwt.core.jose.jwk_set import SkippedKey
    from django_at_jwt.core.remote_issuer import IssuerSnapshot

logger = logging.getLogger("django_at_jwt")

_NEVER: Final = float("-inf")
# Seconds: until an issuer that failed is asked again, until somebody looks whether another worker is done, for how long
# a kid that the issuer did not know is not asked about again, and what a claim lasts beyond the time for the request.
RETRY_AFTER: Final = 10.0
_LOOK_AGAIN_AFTER: Final = 1.0
_POLL_EVERY: Final = 0.05
UNKNOWN_KID_MEMORY: Final = 300.0
_CLAIM_MARGIN: Final = 5.0


class _View(NamedTuple):
    """What readers see, replaced as a whole. ``ends_at`` is on the monotonic clock, and past where there is no key."""

    snapshot: IssuerSnapshot
    ring: KeyRing
    ends_at: float


class RemoteKeySource:
    """The key ring of one remote issuer, shared by all threads of this process.

    One request at a time refreshes it, before it runs out; all others go on with what there is. Before a worker asks
    the issuer it looks at what the others have learnt, and claims the request for itself, so that many workers send
    one. While the issuer fails, its last good keys are used until ``ISSUER_MAX_STALE`` after it last confirmed them. A
    JWK set without a key that can be used is no failure: the issuer withdrew its keys, and they are used no longer.
    """

    def __init__(self, issuer: IssuerSettings) -> None:
        self._issuer = issuer
        self._shared = SharedCache(issuer)
        self._lock = threading.Lock()
        self._view: _View | None = None
        self._look_again_at = _NEVER
        self._refused_since: float | None = None
        self._unknown_kid_at = _NEVER
        self._unknown_kids: dict[str, float] = {}
        self._skipped: tuple[SkippedKey, ...] = ()

    def at_hand(self) -> KeyRing | None:
        """Give the key ring if it is neither time to ask the issuer nor too late, else ``None``."""
        view, now = self._view, time.monotonic()
        return view.ring if view is not None and now < self._look_again_at and now < view.ends_at else None

    def current(self) -> KeyRing:
        """Give the key ring; asks the issuer if it is time to and nobody else is at it.

        Raises:
            KeysUnavailable: there are no keys, the issuer withdrew them, or it has not confirmed them for
                ``ISSUER_MAX_STALE``.
        """
        if time.monotonic() >= self._look_again_at:
            # Without keys there is nothing to go on with, so whoever is first is waited for, within bounds.
            patience = 0.0 if self._is_usable() else app_settings().issuer_timeout + _CLAIM_MARGIN
            if self._lock.acquire(timeout=patience):
                try:
                    if time.monotonic() >= self._look_again_at:
                        self._refresh()
                finally:
                    self._lock.release()
        return self._usable_ring()

    def _usable_ring(self) -> KeyRing:
        view = self._view
        if view is not None and time.monotonic() < view.ends_at:
            return view.ring
        if view is not None and not view.snapshot.keys:
            raise KeysUnavailable(f"{self._issuer.issuer} publishes no key that can be used")
        raise KeysUnavailable(f"the keys of {self._issuer.issuer} cannot be had, or were not confirmed for too long")

    def after_unknown_kid(self, kid: str) -> KeyRing | None:
        """Look for a key that a token named and that is not known: with the other workers, then with the issuer.

        Returns:
            The ring if it was renewed. ``None`` if the issuer was asked because of any unknown ``kid`` within
            ``UNKNOWN_KID_COOLDOWN``, by whichever worker, or lately because of this one.

        Raises:
            KeysUnavailable: the issuer was asked, and it has withdrawn all its keys.
        """
        # Nothing here is waited for: anybody can send such tokens.
        digest = hashlib.sha256(kid.encode(errors="surrogatepass")).hexdigest()
        if not self._may_ask_about(digest) or not self._lock.acquire(blocking=False):
            return None
        try:
            return self._renewed_for(kid, digest) if self._may_ask_about(digest) else None
        finally:
            self._lock.release()

    def _may_ask_about(self, digest: str) -> bool:
        now = time.monotonic()
        return now >= self._unknown_kid_at and now >= self._unknown_kids.get(digest, _NEVER)

    def _renewed_for(self, kid: str, digest: str) -> KeyRing | None:
        self._unknown_kid_at = time.monotonic() + _LOOK_AGAIN_AFTER
        self._adopt_shared()
        if self._view is not None and kid in self._view.ring.public_keys:
            return self._view.ring
        memory = f"{UNKNOWN_KID}:{digest}"
        if self._shared.is_claimed(memory):
            self._remember_unknown(digest)
            return None
        cooldown = app_settings().unknown_kid_cooldown
        if not self._shared.claim(UNKNOWN_KID, seconds=cooldown):
            return None
        if not self._claim_refresh():
            # Another worker is asking; what it learns is looked at after _LOOK_AGAIN_AFTER, not after the cool-down.
            return None
        self._unknown_kid_at = time.monotonic() + cooldown
        if not self._fetch():
            return None
        ring = self._usable_ring()
        if kid not in ring.public_keys:
            # Only a kid that cost a request gets here, so nobody can fill either memory.
            self._remember_unknown(digest)
            self._shared.claim(memory, seconds=UNKNOWN_KID_MEMORY)
        return ring

    def _remember_unknown(self, digest: str) -> None:
        now = time.monotonic()
        self._unknown_kids = {known: until for known, until in self._unknown_kids.items() if until > now}
        self._unknown_kids[digest] = now + UNKNOWN_KID_MEMORY

    def _is_usable(self) -> bool:
        return self._view is not None and time.monotonic() < self._view.ends_at

    def _refresh(self) -> None:
        if self._adopt_shared():
            return
        if not self._claim_refresh() and not self._was_refused_for_too_long():
            self._wait_for_another_worker()
        elif self._adopt_shared():
            # Another worker was done between the look and the claim.
            self._shared.end_claim(REFRESH)
        else:
            self._fetch()

    def _claim_refresh(self) -> bool:
        return self._shared.claim(REFRESH, seconds=app_settings().issuer_timeout + _CLAIM_MARGIN)

    def _was_refused_for_too_long(self) -> bool:
        """Whether no worker can be why any more: the cache does not forget, or somebody else writes to it."""
        now = time.monotonic()
        if self._refused_since is None:
            self._refused_since = now
        return now - self._refused_since > 2 * (app_settings().issuer_timeout + _CLAIM_MARGIN + RETRY_AFTER)

    def _wait_for_another_worker(self) -> None:
        deadline = time.monotonic() + app_settings().issuer_timeout
        while not self._is_usable() and self._shared.is_claimed(REFRESH) and time.monotonic() < deadline:
            time.sleep(_POLL_EVERY)
            self._adopt_shared()
        if not self._adopt_shared():
            self._look_again_at = time.monotonic() + _LOOK_AGAIN_AFTER

    def _adopt_shared(self) -> bool:
        """Take over what another worker learnt, if it is newer; tell whether nobody has to be asked for now."""
        shared = self._shared.read()
        if shared is not None and (self._view is None or shared.confirmed_at > self._view.snapshot.confirmed_at):
            self._take(shared)
        return time.monotonic() < self._look_again_at

    def _fetch(self) -> bool:
        self._refused_since = None
        try:
            retrieved = retrieve(self._issuer, known=self._view.snapshot if self._view else None)
        except FetchFailed as error:
            self._failed(str(error))
            return False
        except Exception as error:
            # Whatever an issuer sends, and be it what nobody thought of, must not be worse than if it were down.
            logger.exception("What an issuer sent was not understood, which is a fault of this app")
            self._failed(f"{quote(self._issuer.issuer)} was asked, which ended in {type(error).__name__}")
            return False
        self._take(retrieved.snapshot)
        self._shared.write(retrieved.snapshot)
        self._shared.end_claim(REFRESH)
        if retrieved.skipped and retrieved.skipped != self._skipped:
            self._skipped = retrieved.skipped
            for key in retrieved.skipped:
                logger.warning("Key %s of %s is not used: %s", key.kid, self._issuer.issuer, key.reason)
        return True

    def _failed(self, problem: str) -> None:
        logger.warning(
            "The keys of an issuer were not refreshed, %s: %s",
            "those from before are used" if self._is_usable() else "and there are none from before",
            problem,
        )
        self._look_again_at = time.monotonic() + RETRY_AFTER
        self._shared.end_claim(REFRESH, failed_for=RETRY_AFTER)

    def _take(self, snapshot: IssuerSnapshot) -> None:
        now = time.time()
        same = self._view is not None and self._view.snapshot.keys == snapshot.keys
        # The ring of before remembers headers that were found to be good.
        ring = self._view.ring if self._view is not None and same else KeyRing.of(snapshot.keys)
        # Ages are measured by the monotonic clock from here on: setting the clock back must not make keys last.
        at = time.monotonic()
        self._refused_since = None
        if snapshot.keys:
            ends_at = at + snapshot.usable_until(app_settings().issuer_max_stale) - now
            self._look_again_at = at + snapshot.refresh_at - now
        else:
            # Nobody gets in until there is a key again, so it is looked for as often as if the issuer had failed.
            ends_at = _NEVER
            self._look_again_at = at + min(snapshot.confirmed_at + RETRY_AFTER, snapshot.refresh_at) - now
        self._view = _View(snapshot, ring, ends_at)


@process_cached
def remote_key_source(issuer: IssuerSettings) -> RemoteKeySource:
    """Return the key source that this process has for an issuer."""
    return RemoteKeySource(issuer)
