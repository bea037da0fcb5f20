"""Requests to an issuer that one worker makes for all of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from .shared_cache import SharedCache

# Both in seconds.
_POLL_EVERY: Final = 0.05
_CLAIM_MARGIN: Final = 5.0  # How long a claim outlasts the timeout of the request that it is for.


class SharedRequest:
    """One kind of request to an issuer: a worker claims it in the shared cache, and the others wait for its result.

    One thread at a time uses it.

    Args:
        name: of the claim.
        timeout: of the request, in seconds.
        retry_after: the seconds between requests to an issuer that fails.
        most_rounds: the rounds of a claim and a failure after which claims are ignored.
    """

    def __init__(
        self, cache: SharedCache, name: str, *, timeout: float, retry_after: float, most_rounds: int = 1
    ) -> None:
        self._cache, self._name, self._timeout, self._retry_after = cache, name, timeout, retry_after
        self._longest_refused = most_rounds * (self.longest + retry_after)
        self._refused_since: float | None = None
        self._has_claim = False

    @property
    def longest(self) -> float:
        """The seconds that a claim lasts, and that a thread waits at most for the request of another worker."""
        return self._timeout + _CLAIM_MARGIN

    def claim(self) -> bool:
        """Try to claim the request for this worker, and return whether it may make it; without a cache, it may."""
        claimed = self._cache.claim(self._name, seconds=self.longest)
        self._has_claim = bool(claimed)
        return claimed is not False

    def end(self) -> None:
        """Release the claim: the result is in the cache."""
        self._cache.end_claim(self._name, is_own=self._has_claim)
        self._has_claim = False

    def fail(self) -> None:
        """Replace the claim by a failure, which keeps the other workers from the request for ``retry_after``."""
        self._cache.end_claim(self._name, failed_for=self._retry_after, is_own=self._has_claim)
        self._has_claim = False

    def has_failed(self) -> bool:
        """Return whether the request of any worker failed a moment ago."""
        return self._cache.has_failed(self._name)

    def settle(self) -> None:
        """Note that there is a new result, or that this worker makes the request: claims are no longer ignored."""
        self._refused_since = None

    def make(self, request: Callable[[], object], *, adopt: Callable[[], bool], is_usable: Callable[[], bool]) -> bool:
        """Make the request, or wait for the worker that makes it, unless the present result can be used.

        Args:
            request: sends the request, and ends the claim.
            adopt: takes the result of another worker, and returns whether no request is due.
            is_usable: whether the present result can be used, so that this worker need not wait.

        Returns:
            Whether this worker has made the request or adopted a result.
        """
        deadline = time.monotonic() + self.longest
        while not adopt():
            if self.claim() or self._was_refused_for_too_long():
                if adopt():
                    # Another worker finished between the read and the claim.
                    self.end()
                else:
                    request()
                return True
            # A claim that ended without a failure may have ended without a result, if that worker cannot use the cache.
            if is_usable() or self.has_failed() or time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_EVERY)
        return True

    def _was_refused_for_too_long(self) -> bool:
        """Return whether the claim outlasted every worker: the cache does not expire it, or others write to it."""
        now = time.monotonic()
        if self._refused_since is None:
            self._refused_since = now
        return now - self._refused_since > self._longest_refused
