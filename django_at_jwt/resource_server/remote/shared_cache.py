"""What all workers know of a remote issuer together, in Django's cache.

The cache is convenience, not authority. What is read from it is signed with the site's secret key, and read as strictly
as what an issuer sends. A cache that is empty, broken or away costs requests to the issuer, and nothing else. A slow
one is left alone for a while, but how long it may take to answer at all is the matter of its own settings.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from typing import TYPE_CHECKING, Any, Final

from django.core.cache import caches
from django.core.signing import BadSignature, Signer

from django_at_jwt.conf import app_settings
from django_at_jwt.core.errors import UnacceptableDocument
from django_at_jwt.core.quotation import quote
from django_at_jwt.core.remote_issuer import IssuerSnapshot

from .discovery import loopback_http

if TYPE_CHECKING:
    from collections.abc import Callable

    from django_at_jwt.conf import IssuerSettings

logger = logging.getLogger("django_at_jwt")

REFRESH: Final = "refresh"
UNKNOWN_KID: Final = "unknown-kid"
_TAKEN: Final = "taken"
_FAILED: Final = "failed"
_SECONDS_BETWEEN_COMPLAINTS: Final = 60.0
# One refresh asks the cache up to a dozen times in a row, so a cache that hangs would hold it up for longer than the
# issuer itself may. This is the part of ISSUER_TIMEOUT that one answer of the cache may take.
_PART_OF_TIMEOUT: Final = 0.2
_LEFT_ALONE_FOR: Final = 30.0  # Seconds.
_LONGEST_TEXT: Final = 1024 * 1024


class SharedCache:
    """The entries of one issuer in the cache that ``AT_JWT["ISSUER_CACHE"]`` names."""

    def __init__(self, issuer: IssuerSettings) -> None:
        self._issuer = issuer
        identity = "\n".join((issuer.issuer, *issuer.algorithms))
        self._prefix = f"django_at_jwt:{hashlib.sha256(identity.encode()).hexdigest()[:32]}"
        self._complained_at = self._left_alone_until = float("-inf")
        self._last_text: object = None
        self._last_snapshot: IssuerSnapshot | None = None

    def read(self) -> IssuerSnapshot | None:
        """Give what any worker learnt last, or ``None`` where nothing is there that can be believed."""
        text = self._try(lambda cache, key: cache.get(key), "snapshot")
        if text is None or text == self._last_text:
            return None if text is None else self._last_snapshot
        self._last_text, self._last_snapshot = text, self._parsed(text)
        return self._last_snapshot

    def _parsed(self, text: object) -> IssuerSnapshot | None:
        try:
            if isinstance(text, str) and len(text) <= _LONGEST_TEXT:
                return IssuerSnapshot.from_text(
                    _signer().unsign(text),
                    issuer=self._issuer.issuer,
                    algorithms=self._issuer.algorithms,
                    loopback_http=loopback_http(),
                    longest=app_settings().issuer_max_age,
                    now=time.time(),
                )
            problem = "it is no text that this app wrote"
        except BadSignature:
            problem = "its signature is wrong"
        except UnacceptableDocument as error:
            problem = str(error)
        self._complain(f"the entry for {quote(self._issuer.issuer)} is ignored: {problem}")
        return None

    def write(self, snapshot: IssuerSnapshot) -> None:
        """Let the other workers know, for as long as the keys may be used at all."""
        seconds = snapshot.usable_until(app_settings().issuer_max_stale) - snapshot.confirmed_at
        text = _signer().sign(snapshot.to_text())
        self._try(lambda cache, key: cache.set(key, text, math.ceil(seconds)), "snapshot")

    def claim(self, name: str, *, seconds: float) -> bool:
        """Tell whether this worker is the one to do something; without a cache each worker is.

        The claim ends by itself after ``seconds``, so that a worker that died holds nobody up.
        """
        claimed = self._try(lambda cache, key: cache.add(key, _TAKEN, math.ceil(seconds)), name)
        return claimed is not False

    def is_claimed(self, name: str) -> bool:
        """Tell whether another worker is at it at this moment."""
        return bool(self._try(lambda cache, key: cache.get(key), name) == _TAKEN)

    def end_claim(self, name: str, *, failed_for: float = 0) -> None:
        """Say that it is done, or that it failed and that nobody should try again for a number of seconds."""
        if failed_for:
            self._try(lambda cache, key: cache.set(key, _FAILED, math.ceil(failed_for)), name)
        else:
            self._try(lambda cache, key: cache.delete(key), name)

    def _try(self, operation: Callable[[Any, str], Any], name: str) -> Any:
        began = time.monotonic()
        if began < self._left_alone_until:
            return None
        try:
            result = operation(caches[app_settings().issuer_cache], f"{self._prefix}:{name}")
        except Exception as error:  # noqa: BLE001 - each backend raises what its own library does
            self._leave_alone(f"it cannot be used: {type(error).__name__}")
            return None
        longest = app_settings().issuer_timeout * _PART_OF_TIMEOUT
        if time.monotonic() - began > longest:
            self._leave_alone(f"it took longer than {longest:g} s")
        return result

    def _leave_alone(self, problem: str) -> None:
        self._left_alone_until = time.monotonic() + _LEFT_ALONE_FOR
        self._complain(problem)

    def _complain(self, problem: str) -> None:
        now = time.monotonic()
        if now - self._complained_at >= _SECONDS_BETWEEN_COMPLAINTS:
            self._complained_at = now
            logger.warning(
                "The cache %r does not help to share issuers' keys: %s", app_settings().issuer_cache, problem
            )


def _signer() -> Signer:
    return Signer(salt="django_at_jwt.issuers")
