"""Requests to an issuer, made again when they are due, by one thread of one worker for all of them."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from django_at_jwt.core.errors import KeysUnavailable
from django_at_jwt.core.quotation import quote
from django_at_jwt.events import IssuerFailed, emit
from django_at_jwt.outbound.http import FetchFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from .options import RemoteOptions
    from .shared_cache import SharedCache

logger = logging.getLogger("django_at_jwt")

NEVER: Final = float("-inf")
# Both in seconds.
_POLL_EVERY: Final = 0.05
_CLAIM_MARGIN: Final = 5.0  # How long a claim outlasts the timeout of the request that it is for.


class SharedRequest:
    """One kind of request to an issuer: a worker claims it in the shared cache, and the others wait for its result.

    Args:
        cache: where it is claimed.
        name: of the claim.
        options: of the issuer.
        purpose: of the request, for the event of a failure.
        retry_after: the seconds between requests to an issuer that fails.
        look_again_after: the seconds between looks at what another worker has fetched.
        most_rounds: the rounds of a claim and a failure after which claims are ignored.

    Attributes:
        lock: held by the thread that uses it.
        due_at: when the next request is due, on the monotonic clock.
    """

    def __init__(
        self,
        cache: SharedCache,
        name: str,
        options: RemoteOptions,
        *,
        purpose: str,
        retry_after: float,
        look_again_after: float,
        most_rounds: int = 1,
    ) -> None:
        self._cache, self._name, self._options, self._purpose = cache, name, options, purpose
        self._retry_after, self._look_again_after = retry_after, look_again_after
        self._longest = options.timeout + _CLAIM_MARGIN
        self._longest_refused = most_rounds * (self._longest + retry_after)
        self._refused_since: float | None = None
        self._has_claim = False
        self._failed_on = NEVER
        self.lock: Final = threading.Lock()
        self.due_at = NEVER

    def is_failing(self) -> bool:
        """Return whether the last request of this process or another worker failed, within ``ISSUER_MAX_AGE``."""
        return time.monotonic() - self._failed_on < self._options.cache_bounds.max

    def claim(self) -> bool:
        """Try to claim the request for this worker, and return whether it may make it; without a cache, it may."""
        claimed = self._cache.claim(self._name, seconds=self._longest)
        self._has_claim = bool(claimed)
        return claimed is not False

    def settle(self) -> None:
        """Note that there is a new result."""
        self._refused_since, self._failed_on = None, NEVER

    def renew(self, send: Callable[[], object], *, adopt: Callable[[], bool], is_usable: Callable[[], bool]) -> bool:
        """Make the request if it is due, or wait for the thread or worker that makes it.

        Args:
            send: makes the request by :meth:`send`.
            adopt: takes the result of another worker, and returns whether no request is due.
            is_usable: whether the present result can be used, so that this thread need not wait.

        Returns:
            ``False`` if another worker is making the request, or failed a moment ago. It is due again after
            ``look_again_after``. ``True`` also if another thread is making it, and this one did not wait any longer.
        """
        if not self.lock.acquire(timeout=0.0 if is_usable() else self._longest):
            return True
        try:
            if time.monotonic() < self.due_at or self._make(send, adopt, is_usable):
                return True
            now = time.monotonic()
            self.due_at = now + self._look_again_after
            if self._cache.has_failed(self._name):
                self._failed_on = now
            return False
        finally:
            self.lock.release()

    def send(self, request: Callable[[], object], *, fallback: Callable[[], str]) -> bool:
        """Make the request, end the claim, and return whether the request succeeded.

        After a failure, it is due again after ``retry_after``, for the other workers too.

        Args:
            request: sends the request, and uses the result.
            fallback: returns what is used instead after a failure, for people.
        """
        self._refused_since = None
        try:
            request()
        except (FetchFailed, KeysUnavailable) as error:
            problem = str(error)
        except Exception as error:
            # A bug in this code must have no worse effect than an issuer that is down.
            logger.exception("The response of an issuer could not be processed. This is a bug in django-at-jwt")
            problem = f"processing the answer of {quote(self._options.issuer)} raised {type(error).__name__}"
        else:
            self.settle()
            self._end_claim()
            return True
        self._failed_on = time.monotonic()
        self.due_at = self._failed_on + self._retry_after
        emit(IssuerFailed(issuer=self._options.issuer, purpose=self._purpose, fallback=fallback(), detail=problem))
        self._end_claim(failed_for=self._retry_after)
        return False

    def _end_claim(self, *, failed_for: float = 0) -> None:
        self._cache.end_claim(self._name, is_own=self._has_claim, failed_for=failed_for)
        self._has_claim = False

    def _make(self, send: Callable[[], object], adopt: Callable[[], bool], is_usable: Callable[[], bool]) -> bool:
        """Make the request or adopt the result of another worker, and return ``False`` if neither was possible."""
        deadline = time.monotonic() + self._longest
        while not adopt():
            if self.claim() or self._was_refused_for_too_long():
                if adopt():
                    # Another worker finished between the read and the claim.
                    self._end_claim()
                else:
                    send()
                return True
            # A claim that ended without a failure may have ended without a result, if that worker cannot use the cache.
            if is_usable() or self._cache.has_failed(self._name) or time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_EVERY)
        return True

    def _was_refused_for_too_long(self) -> bool:
        """Return whether the claim outlasted every worker: the cache does not expire it, or others write to it."""
        now = time.monotonic()
        if self._refused_since is None:
            self._refused_since = now
        return now - self._refused_since > self._longest_refused
