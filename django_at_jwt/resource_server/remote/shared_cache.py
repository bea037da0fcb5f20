"""Snapshots and documents of remote issuers that workers share through Django's cache.

The cache is not trusted: entries are signed with the site's secret key, and parsed as strictly as an issuer's answer.
If the cache is empty, broken or down, the only cost is more requests to the issuer. A slow cache is not used for a
while; the timeout of a single operation is a matter of the cache's own settings.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from typing import TYPE_CHECKING, Any, Final

from django.core.cache import caches
from django.core.signing import BadSignature, Signer

from django_at_jwt.core.errors import UnacceptableDocument
from django_at_jwt.core.quotation import quote
from django_at_jwt.core.remote_issuer import IssuerSnapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from .options import RemoteOptions

logger = logging.getLogger("django_at_jwt")

REFRESH: Final = "refresh"
UNKNOWN_KID: Final = "unknown-kid"
_TAKEN: Final = "taken"
_FAILED: Final = "failed"
_SECONDS_BETWEEN_WARNINGS: Final = 60.0
# One refresh uses the cache up to a dozen times in a row, so a hanging cache could delay it for longer than the issuer
# itself may. This is the part of ISSUER_TIMEOUT that one cache operation may take.
_PART_OF_TIMEOUT: Final = 0.2
_PAUSE: Final = 30.0  # Seconds without the cache after a failure.
_MAX_TEXT_LENGTH: Final = 1024 * 1024


class SharedCache:
    """The entries of one issuer in the cache that ``options.cache`` names. Without a name, nothing is shared."""

    def __init__(self, options: RemoteOptions) -> None:
        self._options = options
        identity = "\n".join((options.issuer, *options.algorithms))
        self._prefix = f"django_at_jwt:{hashlib.sha256(identity.encode()).hexdigest()[:32]}"
        self._warned_at = self._paused_until = float("-inf")
        self._last_text: object = None
        self._last_snapshot: IssuerSnapshot | None = None

    def read(self) -> IssuerSnapshot | None:
        """Return the last snapshot that any worker stored, or ``None`` if there is no valid one."""
        text = self._try(lambda cache, key: cache.get(key), "snapshot")
        if text is None or text == self._last_text:
            return None if text is None else self._last_snapshot
        self._last_text, self._last_snapshot = text, self._parsed(text)
        return self._last_snapshot

    def _parsed(self, text: object) -> IssuerSnapshot | None:
        try:
            if isinstance(text, str) and len(text) <= _MAX_TEXT_LENGTH:
                return IssuerSnapshot.from_text(
                    _signer().unsign(text),
                    issuer=self._options.issuer,
                    algorithms=self._options.algorithms,
                    loopback_http=self._options.loopback_http,
                    longest=self._options.cache_bounds.max,
                    now=time.time(),
                )
            problem = "it was not written by this app"
        except BadSignature:
            problem = "its signature is wrong"
        except UnacceptableDocument as error:
            problem = str(error)
        self._warn(f"the entry for {quote(self._options.issuer)} is ignored: {problem}")
        return None

    def read_text(self, name: str, *, max_length: int = _MAX_TEXT_LENGTH) -> str | None:
        """Return the text that a worker stored under this name, or ``None``. Only its signature is checked."""
        text = self._try(lambda cache, key: cache.get(key), name)
        if not isinstance(text, str) or len(text) > max_length:
            return None
        try:
            return _signer().unsign(text)
        except BadSignature:
            self._warn(f"an entry for {quote(self._options.issuer)} is ignored: its signature is wrong")
            return None

    def write_text(self, name: str, text: str, *, seconds: float) -> None:
        """Store a text for the other workers."""
        if self._options.cache is None:
            return  # Signing an entry needs Django's settings.
        signed = _signer().sign(text)
        self._try(lambda cache, key: cache.set(key, signed, math.ceil(seconds)), name)

    def write(self, snapshot: IssuerSnapshot) -> None:
        """Store a snapshot for the other workers, for as long as its keys may be used."""
        seconds = snapshot.usable_until(self._options.max_stale) - snapshot.confirmed_at
        self.write_text("snapshot", snapshot.to_text(), seconds=seconds)

    def claim(self, name: str, *, seconds: float) -> bool | None:
        """Try to claim a task for this worker, and return whether it could, or ``None`` without a usable cache.

        The claim expires after ``seconds``, so that a worker that died does not block the others.
        """
        claimed: bool | None = self._try(lambda cache, key: cache.add(key, _TAKEN, math.ceil(seconds)), name)
        return claimed

    def is_claimed(self, name: str) -> bool:
        """Return whether a worker has claimed this task."""
        return bool(self._try(lambda cache, key: cache.get(key), name) == _TAKEN)

    def has_failed(self, name: str) -> bool:
        """Return whether a worker failed at this task a moment ago."""
        return bool(self._try(lambda cache, key: cache.get(key), name) == _FAILED)

    def end_claim(self, name: str, *, is_own: bool, failed_for: float = 0) -> None:
        """Release a claim, or replace it by a failure that keeps workers from retrying for ``failed_for`` seconds.

        Args:
            is_own: this worker made the claim. Others may wait for its end, so it ends even while the cache is not
                used.
        """
        if failed_for:
            self._try(lambda cache, key: cache.set(key, _FAILED, math.ceil(failed_for)), name, despite_pause=is_own)
        else:
            self._try(lambda cache, key: cache.delete(key), name, despite_pause=is_own)

    def _try(self, operation: Callable[[Any, str], Any], name: str, *, despite_pause: bool = False) -> Any:
        began, alias = time.monotonic(), self._options.cache
        if alias is None or (began < self._paused_until and not despite_pause):
            return None
        try:
            result = operation(caches[alias], f"{self._prefix}:{name}")
        except Exception as error:  # noqa: BLE001 - each backend raises what its own library does
            self._pause(f"it cannot be used: {type(error).__name__}")
            return None
        longest = self._options.timeout * _PART_OF_TIMEOUT
        if time.monotonic() - began > longest:
            self._pause(f"it took longer than {longest:g} s")
        return result

    def _pause(self, problem: str) -> None:
        self._paused_until = time.monotonic() + _PAUSE
        self._warn(problem)

    def _warn(self, problem: str) -> None:
        now = time.monotonic()
        if now - self._warned_at >= _SECONDS_BETWEEN_WARNINGS:
            self._warned_at = now
            logger.warning("The cache %r is not used to share issuers' keys: %s", self._options.cache, problem)


def _signer() -> Signer:
    return Signer(salt="django_at_jwt.issuers")
