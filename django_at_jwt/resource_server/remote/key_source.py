"""The keys of remote issuers: cached in this process, shared between workers, and limited in age."""

from __future__ import annotations

import hashlib
import logging
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from django_at_jwt.core.errors import KeysUnavailable
from django_at_jwt.core.jose.keyring import KeyRing
from django_at_jwt.events import span

from .discovery import retrieve
from .shared_cache import REFRESH, UNKNOWN_KID, SharedCache
from .shared_request import NEVER, SharedRequest

if TYPE_CHECKING:
    from django_at_jwt.core.jose.jwk_set import SkippedKey
    from django_at_jwt.core.remote_issuer import IssuerSnapshot

    from .options import RemoteOptions

logger = logging.getLogger("django_at_jwt")

# All in seconds.
RETRY_AFTER: Final = 10.0  # Between requests to an issuer that fails.
_LOOK_AGAIN_AFTER: Final = 1.0  # Between looks at what another worker has fetched.
UNKNOWN_KID_MEMORY: Final = 300.0  # How long no request is made for a kid that the issuer did not know.


class _View(NamedTuple):
    """The state that readers see, replaced as a whole.

    ``ends_at`` is on the monotonic clock, and in the past if there is no key.
    """

    snapshot: IssuerSnapshot
    ring: KeyRing
    ends_at: float


class SourceState(NamedTuple):
    """What a process has of an issuer's keys, or of its revocations.

    Attributes:
        confirmed_at: when the issuer last confirmed them, in seconds since the epoch; ``None`` if it never did.
        is_usable: whether tokens can be verified with the keys, or checked with the revocations.
        is_failing: whether the last request of this process or another worker to the issuer failed, within
            ``ISSUER_MAX_AGE``. Requests are only made for tokens, so an older failure may be out of date.
    """

    confirmed_at: float | None
    is_usable: bool
    is_failing: bool


class RemoteKeySource:
    """The key ring of one remote issuer, shared by all threads of this process.

    One thread at a time refreshes it, before it expires; the others use the current one. Before a worker sends a
    request to the issuer, it reads what other workers have fetched and claims the request, so that many workers send
    one. While the issuer fails, its last good keys are used until ``ISSUER_MAX_STALE`` after it last confirmed them. A
    JWK set without a usable key is not a failure: the issuer withdrew its keys, and they are no longer used.
    """

    def __init__(self, options: RemoteOptions) -> None:
        self._options = options
        self._shared = SharedCache(options)
        self._request = SharedRequest(
            self._shared,
            REFRESH,
            options,
            purpose="keys",
            retry_after=RETRY_AFTER,
            look_again_after=_LOOK_AGAIN_AFTER,
            most_rounds=2,
        )
        self._view: _View | None = None
        self._unknown_kid_at = NEVER
        self._unknown_kids: dict[str, float] = {}
        self._skipped: tuple[SkippedKey, ...] = ()

    def at_hand(self) -> KeyRing | None:
        """Return the key ring if it is due neither for a refresh nor expired, else ``None``."""
        view, now = self._view, time.monotonic()
        return view.ring if view is not None and now < self._request.due_at and now < view.ends_at else None

    def current(self) -> KeyRing:
        """Return the key ring, after a refresh if one is due and no other thread or worker is at it.

        Raises:
            KeysUnavailable: the keys were never fetched, the issuer withdrew them, or it has not confirmed them for
                ``ISSUER_MAX_STALE``.
        """
        if time.monotonic() >= self._request.due_at:
            self._request.renew(self._fetch, adopt=self._adopt_shared, is_usable=self._is_usable)
        return self._usable_ring()

    def state(self) -> SourceState:
        """Return what this process has, without a request to the issuer or a look at the shared cache."""
        view = self._view
        return SourceState(
            confirmed_at=view.snapshot.confirmed_at if view else None,
            is_usable=self._is_usable(),
            is_failing=self._request.is_failing(),
        )

    def _usable_ring(self) -> KeyRing:
        view = self._view
        if view is not None and time.monotonic() < view.ends_at:
            return view.ring
        if view is not None and not view.snapshot.keys:
            raise KeysUnavailable(f"{self._options.issuer} publishes no usable key")
        raise KeysUnavailable(f"the keys of {self._options.issuer} cannot be fetched, or are unconfirmed for too long")

    def after_unknown_kid(self, kid: str) -> KeyRing | None:
        """Look for an unknown key that a token names: in what other workers have fetched, then at the issuer.

        Returns:
            The key ring if it was refreshed. ``None`` if any worker asked the issuer because of any unknown ``kid``
            within ``UNKNOWN_KID_COOLDOWN``, or because of this one recently, or if the request failed.

        Raises:
            KeysUnavailable: the issuer was asked, and it has withdrawn all its keys.
        """
        # Never wait here: any client can send such tokens.
        digest = hashlib.sha256(kid.encode(errors="surrogatepass")).hexdigest()
        if not self._may_ask_about(digest) or not self._request.lock.acquire(blocking=False):
            return None
        try:
            return self._renewed_for(kid, digest) if self._may_ask_about(digest) else None
        finally:
            self._request.lock.release()

    def _may_ask_about(self, digest: str) -> bool:
        now = time.monotonic()
        return now >= self._unknown_kid_at and now >= self._unknown_kids.get(digest, NEVER)

    def _renewed_for(self, kid: str, digest: str) -> KeyRing | None:
        self._unknown_kid_at = time.monotonic() + _LOOK_AGAIN_AFTER
        self._adopt_shared()
        if self._view is not None and kid in self._view.ring.public_keys:
            return self._view.ring
        memory = f"{UNKNOWN_KID}:{digest}"
        if self._shared.is_claimed(memory):
            self._remember_unknown(digest)
            return None
        cooldown = self._options.unknown_kid_cooldown
        if self._shared.claim(UNKNOWN_KID, seconds=cooldown) is False:
            return None
        if not self._request.claim():
            # Another worker is asking; what it learns is looked at after _LOOK_AGAIN_AFTER, not after the cool-down.
            return None
        self._unknown_kid_at = time.monotonic() + cooldown
        if not self._fetch():
            return None
        ring = self._usable_ring()
        if kid not in ring.public_keys:
            # Only a kid that caused a request is remembered, so clients cannot fill the memory.
            self._remember_unknown(digest)
            self._shared.claim(memory, seconds=UNKNOWN_KID_MEMORY)
        return ring

    def _remember_unknown(self, digest: str) -> None:
        now = time.monotonic()
        self._unknown_kids = {known: until for known, until in self._unknown_kids.items() if until > now}
        self._unknown_kids[digest] = now + UNKNOWN_KID_MEMORY

    def _is_usable(self) -> bool:
        return self._view is not None and time.monotonic() < self._view.ends_at

    def _adopt_shared(self) -> bool:
        """Adopt what another worker fetched, if it is newer. Return whether no refresh is due."""
        shared = self._shared.read()
        if shared is not None and (self._view is None or shared.confirmed_at > self._view.snapshot.confirmed_at):
            self._take(shared)
            self._request.settle()
        return time.monotonic() < self._request.due_at

    def _fetch(self) -> bool:
        return self._request.send(
            self._retrieve,
            fallback=lambda: "the previous keys stay in use" if self._is_usable() else "there are no previous keys",
        )

    def _retrieve(self) -> None:
        with span("fetch_issuer_keys", issuer=self._options.issuer):
            retrieved = retrieve(self._options, known=self._view.snapshot if self._view else None)
        self._take(retrieved.snapshot)
        self._shared.write(retrieved.snapshot)
        if retrieved.skipped and retrieved.skipped != self._skipped:
            self._skipped = retrieved.skipped
            for key in retrieved.skipped:
                logger.warning("Key %s of %s is not used: %s", key.kid, self._options.issuer, key.reason)

    def _take(self, snapshot: IssuerSnapshot) -> None:
        now = time.time()
        same = self._view is not None and self._view.snapshot.keys == snapshot.keys
        # Keep an unchanged ring, since it remembers headers that were found valid.
        ring = self._view.ring if self._view is not None and same else KeyRing.of(snapshot.keys)
        # Use the monotonic clock from here on: setting the clock back must not extend the use of keys.
        at = time.monotonic()
        if snapshot.keys:
            ends_at = at + snapshot.usable_until(self._options.max_stale) - now
            self._request.due_at = at + snapshot.refresh_at - now
        else:
            # No token is accepted until there is a key again, so retry as often as after a failure.
            ends_at = NEVER
            self._request.due_at = at + min(snapshot.confirmed_at + RETRY_AFTER, snapshot.refresh_at) - now
        self._view = _View(snapshot, ring, ends_at)
