"""A limit for the password hashes that wrong client secrets cost, per client and minute."""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final

from django.views.decorators.debug import sensitive_variables

from django_at_jwt.conf import register_process_cache
from django_at_jwt.core.quotation import quote

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("django_at_jwt")

MOST_FAILURES: Final = 10
WINDOW_SECONDS: Final = 60
_MOST_CLIENTS: Final = 1024


@dataclass(slots=True)
class _Attempts:
    """The failures since an instant (monotonic, in seconds), and a keyed digest of the last correct secret."""

    lock: Lock = field(default_factory=Lock)
    failures: int = 0
    began: float = float("-inf")
    accepted: bytes = field(default=b"", repr=False)


class SecretAttempts:
    """Verifies slow hashes of client secrets, in this process.

    After ``MOST_FAILURES`` wrong secrets within ``WINDOW_SECONDS``, further ones are refused without hashing. The last
    correct secret is remembered, so that a client that has authenticated before is not locked out by others' guesses.
    It is kept as a digest whose random key is only in this process. One hash per client is computed at a time.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self.clear()

    def clear(self) -> None:
        """Forget all attempts, as in a new process."""
        self._key = secrets.token_bytes(32)
        self._attempts: OrderedDict[str, _Attempts] = OrderedDict()

    @sensitive_variables()
    def check(self, secret: str, stored: str, *, client_id: str, verify: Callable[[], bool]) -> bool:
        """Return whether a secret is correct; ``False`` without hashing it if the client has too many failures.

        Args:
            stored: the hash, whose salt makes it a key for the client and its present secret.
            client_id: for the log.
            verify: computes and compares the hash.
        """
        attempts = self._of(stored)
        digest = hmac.digest(self._key, secret.encode(errors="surrogatepass"), "sha256")
        if hmac.compare_digest(attempts.accepted, digest):
            return True
        with attempts.lock:
            if hmac.compare_digest(attempts.accepted, digest):
                return True
            now = time.monotonic()
            if now - attempts.began >= WINDOW_SECONDS:
                attempts.began, attempts.failures = now, 0
            if attempts.failures >= MOST_FAILURES:
                return False
            if verify():
                attempts.accepted = digest
                return True
            attempts.failures += 1
            if attempts.failures == MOST_FAILURES:
                logger.warning(
                    "Client %s sent %s wrong secrets. For %d s, only its last correct secret is accepted",
                    quote(client_id),
                    MOST_FAILURES,
                    attempts.began + WINDOW_SECONDS - time.monotonic(),
                )
            return False

    def _of(self, stored: str) -> _Attempts:
        with self._lock:
            attempts = self._attempts.setdefault(stored, _Attempts())
            self._attempts.move_to_end(stored)
            if len(self._attempts) > _MOST_CLIENTS:
                self._attempts.popitem(last=False)
        return attempts


secret_attempts = SecretAttempts()
register_process_cache(secret_attempts.clear)
