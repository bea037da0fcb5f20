"""Ask a remote issuer whether a verified token was revoked (RFC 7662)."""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import quote_plus

from django.views.decorators.debug import sensitive_variables

from django_at_jwt.core.errors import (
    ReadNeeded,
    RejectionReason,
    RevocationUnavailable,
    TokenRejected,
    UnacceptableDocument,
)
from django_at_jwt.core.introspection import is_active
from django_at_jwt.core.metadata import address_in
from django_at_jwt.events import IssuerFailed, emit, span
from django_at_jwt.outbound.http import FetchFailed, post_form

from .discovery import discover

if TYPE_CHECKING:
    from django_at_jwt.core.profile import AccessTokenClaims

    from .options import IntrospectionOptions

_NEVER: Final = float("-inf")
# Seconds without a request to an issuer that fails.
RETRY_AFTER: Final = 2.0
_MOST_ANSWERS: Final = 8192
# Requests that one process makes at once. Threads that ask about the same token share one.
_MOST_REQUESTS: Final = 16


class _Answer(NamedTuple):
    """The issuer's answer about a token, and when it was asked, on the monotonic clock."""

    is_active: bool
    asked_at: float


class RemoteIntrospection:
    """The answers of one remote issuer, shared by all threads of this process.

    Only tokens that were verified with the issuer's keys are sent to it, and only whether they are active is read from
    its answers. No request waits longer for it than ``ISSUER_TIMEOUT``, and for :data:`RETRY_AFTER` seconds after a
    failure no request asks.
    """

    def __init__(self, options: IntrospectionOptions) -> None:
        self._options = options
        # By the SHA-256 digest of the token, the least recently used first.
        self._answers: OrderedDict[bytes, _Answer] = OrderedDict()
        self._lock = threading.Lock()
        self._turns = [threading.Lock() for _ in range(_MOST_REQUESTS)]
        self._retry_at = _NEVER
        self._endpoint = options.endpoint
        self._endpoint_until = _NEVER

    @sensitive_variables()
    def __call__(self, claims: AccessTokenClaims, token: str) -> None:
        """Check that the issuer reports a verified token as active.

        Raises:
            TokenRejected: it reports the token as inactive.
            RevocationUnavailable: it cannot be asked, and its last answer is missing or older than
                ``REVOCATION_MAX_STALE``.
        """
        digest = _digest(token)
        answer = self._recent(digest) or self._asked(digest, token) or self._last(digest)
        if answer is None:
            if self._options.accept_unavailable:
                return
            raise RevocationUnavailable(f"{self._options.remote.issuer} cannot be asked whether a token was revoked")
        _check_active(answer)

    def in_memory(self, claims: AccessTokenClaims, token: str) -> None:
        """Check that the issuer's recent answer reports a verified token as active.

        Raises:
            TokenRejected: it reports the token as inactive.
            ReadNeeded: there is no recent answer.
        """
        answer = self._recent(_digest(token))
        if answer is None:
            raise ReadNeeded
        _check_active(answer)

    def try_credentials(self) -> None:
        """Ask about a string that is not a token, to see whether the issuer answers this API.

        Raises:
            FetchFailed: the issuer cannot be asked, or refuses the credentials.
            UnacceptableDocument: its answer must not be used.
        """
        self._is_active("not-a-token", time.monotonic() + self._options.remote.timeout)

    def __len__(self) -> int:
        return len(self._answers)

    def _recent(self, digest: bytes) -> _Answer | None:
        answer = self._answers.get(digest)
        fresh = answer is not None and time.monotonic() - answer.asked_at < self._options.max_age
        return answer if fresh else None

    def _last(self, digest: bytes) -> _Answer | None:
        """Return the last answer, if it may be used while the issuer cannot be asked."""
        answer = self._answers.get(digest)
        if answer is None or not answer.is_active:
            # A revoked token stays revoked.
            return answer
        return answer if time.monotonic() - answer.asked_at <= self._options.max_stale else None

    @sensitive_variables()
    def _asked(self, digest: bytes, token: str) -> _Answer | None:
        """Return the issuer's answer, or ``None`` if it cannot be asked now."""
        turn = self._turns[digest[0] % _MOST_REQUESTS]
        if time.monotonic() < self._retry_at or not turn.acquire(timeout=self._options.remote.timeout):
            return None
        try:
            # Another thread may have asked, or failed to, in the meantime.
            recent = self._recent(digest)
            if recent is not None or time.monotonic() < self._retry_at:
                return recent
            return self._ask(digest, token)
        finally:
            turn.release()

    @sensitive_variables()
    def _ask(self, digest: bytes, token: str) -> _Answer | None:
        asked_at = time.monotonic()
        deadline = asked_at + self._options.remote.timeout
        try:
            with span("introspect_token", issuer=self._options.remote.issuer):
                answer = _Answer(self._is_active(token, deadline), asked_at)
        except (FetchFailed, UnacceptableDocument) as error:
            self._retry_at = time.monotonic() + RETRY_AFTER
            fallback = "its last answers are used for a while"
            emit(
                IssuerFailed(
                    issuer=self._options.remote.issuer, purpose="introspection", fallback=fallback, detail=str(error)
                )
            )
            return None
        with self._lock:
            self._answers[digest] = answer
            self._answers.move_to_end(digest)
            while len(self._answers) > _MOST_ANSWERS:
                self._answers.popitem(last=False)
        return answer

    @sensitive_variables()
    def _is_active(self, token: str, deadline: float) -> bool:
        document = post_form(
            self._endpoint_address(deadline),
            {"token": token, "token_type_hint": "access_token"},
            authorization=self._authorization(),
            loopback_http=self._options.remote.loopback_http,
            deadline=deadline,
        )
        return is_active(document)

    @sensitive_variables()
    def _authorization(self) -> str:
        # RFC 6749 section 2.3.1: both are form-encoded first.
        credentials = f"{quote_plus(self._options.client_id)}:{quote_plus(self._options.client_secret)}"
        return f"Basic {base64.b64encode(credentials.encode()).decode()}"

    def _endpoint_address(self, deadline: float) -> str:
        """Return the introspection endpoint, of the settings or of the issuer's metadata.

        Raises:
            FetchFailed: the metadata cannot be used, and never could.
        """
        if self._options.endpoint is not None:
            return self._options.endpoint
        if self._endpoint is None or time.monotonic() >= self._endpoint_until:
            try:
                read = partial(address_in, "introspection_endpoint")
                self._endpoint, lifetime = discover(self._options.remote, read, deadline=deadline)
            except FetchFailed:
                if self._endpoint is None:
                    raise
                lifetime = RETRY_AFTER
            self._endpoint_until = time.monotonic() + lifetime
        return self._endpoint


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _check_active(answer: _Answer) -> None:
    if not answer.is_active:
        raise TokenRejected(RejectionReason.REVOKED, "the issuer reports the token as inactive")
