"""The revocations that a remote issuer publishes: requested again every few seconds, and shared between workers."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.core.deny_list import DenyList
from django_at_jwt.core.errors import (
    KeysUnavailable,
    ReadNeeded,
    RejectionReason,
    RevocationUnavailable,
    TokenRejected,
    UnacceptableDocument,
)
from django_at_jwt.core.metadata import REVOCATIONS_URI, address_in
from django_at_jwt.core.remote_issuer import entity_tag
from django_at_jwt.core.revocation_document import (
    MEDIA_TYPE,
    MOST_BYTES,
    MOST_ENTRIES,
    UnknownDocumentKey,
    read_revocations,
)
from django_at_jwt.outbound.http import Answer, fetch_text

from .discovery import FETCHED, REVOCATIONS, UNCHANGED, discover, reported
from .key_source import SourceState
from .shared_cache import SharedCache
from .shared_request import NEVER, SharedRequest
from .shared_revocations import SharedRevocations, digest_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django_at_jwt.core.jose.keyring import KeyRing
    from django_at_jwt.core.profile import AccessTokenClaims
    from django_at_jwt.core.revocation_document import RevocationDocument
    from django_at_jwt.core.verifier import KeySource

    from .options import DenyListOptions, RemoteOptions

logger = logging.getLogger("django_at_jwt")

# All in seconds.
RETRY_AFTER: Final = 2.0  # Between requests to an issuer that fails.
_LOOK_AGAIN_AFTER: Final = 0.25  # Between looks at what another worker has fetched.


@dataclass(frozen=True, kw_only=True, slots=True)
class _Held:
    """The document in use, replaced as a whole.

    Attributes:
        entries: its entries, and those of former documents that are still live: a revoked token stays revoked.
        confirmed_at: when the issuer last confirmed the document, in seconds since the epoch.
        confirmed_on: the same on the monotonic clock.
        ends_at: until when it may be used, on the monotonic clock.
        digest: of its text.
        etag: of the response.
    """

    entries: DenyList
    complete: bool
    version: int
    expires_at: int
    confirmed_at: float
    confirmed_on: float
    ends_at: float
    digest: str
    etag: str | None


class RemoteDenyList:
    """The revocations of one remote issuer, shared by all threads of this process.

    The first token after ``max_age`` waits for a request to the issuer; others use the document in memory meanwhile,
    unless it is much older. Before a worker sends a request, it reads what other workers have fetched and claims the
    request. While the issuer fails, the last document is used until its ``exp``, and for at most ``max_stale``.
    """

    def __init__(self, options: DenyListOptions, keys: KeySource) -> None:
        self._options, self._keys = options, keys
        cache = SharedCache(options.remote)
        self._shared = SharedRevocations(cache, options.remote.issuer, seconds=options.max_stale)
        self._request = SharedRequest(
            cache,
            REVOCATIONS,
            options.remote,
            purpose="revocations",
            retry_after=RETRY_AFTER,
            look_again_after=min(_LOOK_AGAIN_AFTER, options.max_age),
        )
        self._held: _Held | None = None
        self._address: str | None = None
        self._address_until = NEVER

    def check(self, claims: AccessTokenClaims, token: str) -> None:
        """Check that no revocation concerns a verified token of the issuer.

        Args:
            claims: as for :meth:`~django_at_jwt.core.deny_list.DenyList.hit`.

        Raises:
            TokenRejected: one concerns it.
            RevocationUnavailable: no document can be used, and the options have no other check.
        """
        if time.monotonic() >= self._request.due_at:
            self._renew()
        if self._is_settled(claims) or self._options.accept_unavailable:
            return
        if self._options.introspection is None:
            raise RevocationUnavailable(self._problem())
        self._options.introspection(claims, token)

    def check_in_memory(self, claims: AccessTokenClaims, token: str) -> None:
        """Check as :meth:`check`, with the document in memory.

        Raises:
            TokenRejected: as there.
            ReadNeeded: it is time for a request, or no document can be used.
        """
        if time.monotonic() >= self._request.due_at:
            raise ReadNeeded
        if self._is_settled(claims) or self._options.accept_unavailable:
            return
        if self._options.introspection is None:
            raise ReadNeeded
        self._options.introspection.in_memory(claims, token)

    def state(self) -> SourceState:
        """Return what this process has, without a request."""
        held = self._held
        return SourceState(
            confirmed_at=None if held is None else held.confirmed_at,
            is_usable=held is not None and held.complete and self._is_live(),
            is_failing=self._request.is_failing(),
        )

    def _is_settled(self, claims: AccessTokenClaims) -> bool:
        """Return whether the document says that a token is not revoked.

        Raises:
            TokenRejected: it is revoked. An expired document suffices for that.
        """
        held = self._held
        if held is None:
            return False
        kind = held.entries.hit(claims)
        if kind is not None:
            raise TokenRejected(RejectionReason.REVOKED, f"the issuer's revocations name {kind.of_token}")
        return held.complete and time.monotonic() < held.ends_at

    def _problem(self) -> str:
        issuer, held = self._options.remote.issuer, self._held
        if held is not None and self._is_live():
            return f"{issuer} has too many revocations to publish them"
        return f"the revocations of {issuer} cannot be fetched" + (
            "" if held is None else ", and the last have expired"
        )

    def _is_live(self) -> bool:
        return self._held is not None and time.monotonic() < self._held.ends_at

    def _is_recent(self) -> bool:
        """Return whether the document may be used while another thread or worker requests it."""
        held, longest = self._held, self._options.max_age + self._options.remote.timeout
        return held is not None and self._is_live() and time.monotonic() - held.confirmed_on < longest

    def _renew(self) -> None:
        if not self._request.renew(self._fetch, adopt=self._adopt_shared, is_usable=self._is_recent):
            self._request_at(self._request.due_at)

    def _request_at(self, moment: float) -> None:
        """Set when the next request is due, at the latest when the document in use expires.

        Until a later request, the API would answer 503.
        """
        held = self._held
        self._request.due_at = min(moment, held.ends_at) if held is not None and self._is_live() else moment

    def _fetch(self) -> None:
        if not self._request.send(self._ask, fallback=self._fallback):
            # The document may have moved.
            self._address_until = NEVER

    def _ask(self) -> None:
        """Request the document, and use the answer.

        Raises:
            FetchFailed: the document cannot be fetched, or must not be used.
            KeysUnavailable: the keys to verify it with are not available.
        """
        held = self._held if self._is_live() else None
        asked_at, asked_on = time.time(), time.monotonic()
        deadline = asked_on + self._options.remote.timeout
        address = self._current_address(deadline)
        with reported(self._options.remote.issuer, REVOCATIONS) as step:
            etag = None if held is None else held.etag
            answer = _fetch_document(self._options.remote, address, etag=etag, deadline=deadline)
            if answer.text is None:
                assert held is not None  # noqa: S101 - a 304 only answers a request with an entity tag
                self._confirm(held, asked_at, asked_on)
                self._shared.confirm(held.digest, asked_at)
                step.outcome = UNCHANGED
            else:
                text, etag = answer.text, entity_tag(answer.etag)
                if self._take(self._verified(text), asked_at, asked_on, digest=digest_of(text), etag=etag):
                    self._shared.write(text, etag, asked_at)
                step.outcome = FETCHED
        self._request_at(asked_on + self._options.max_age)

    def _current_address(self, deadline: float) -> str:
        """Return the document's URL from the issuer's metadata.

        Raises:
            FetchFailed: the metadata cannot be used, or announces no document.
        """
        if self._address is None or time.monotonic() >= self._address_until:
            self._address, lifetime = discover(self._options.remote, _announced_uri, deadline=deadline)
            self._address_until = time.monotonic() + lifetime
        return self._address

    def _verified(self, text: str) -> RevocationDocument:
        """Return the document after verifying it.

        Raises:
            UnacceptableDocument: the document must not be used.
            KeysUnavailable: the keys cannot be fetched.
        """
        try:
            return self._read(text, self._keys.at_hand() or self._keys.current())
        except UnknownDocumentKey as error:
            renewed = self._keys.after_unknown_kid(error.kid)
            if renewed is None:
                raise
        return self._read(text, renewed)

    def _read(self, text: str, key_ring: KeyRing) -> RevocationDocument:
        issuer, leeway = self._options.remote.issuer, self._options.leeway
        return read_revocations(text, key_ring=key_ring, issuer=issuer, now=time.time(), leeway=leeway)

    def _take(
        self, document: RevocationDocument, confirmed_at: float, confirmed_on: float, *, digest: str, etag: str | None
    ) -> bool:
        """Use a verified document. If it is older than the one in use, only add its entries, and return ``False``."""
        former = self._held
        entries = DenyList() if former is None or len(former.entries) > 2 * MOST_ENTRIES else former.entries
        entries.drop_expired(time.time())
        entries.update(document.entries)
        if former is not None and document.version < former.version and self._is_live():
            # The issuer's workers read their database at different moments, or it was restored from a backup. What the
            # issuer has revoked stays revoked, so the entries count whatever the version.
            return False
        if not document.complete and (former is None or former.complete):
            issuer = self._options.remote.issuer
            logger.warning("%s has too many revocations to publish them; %s", issuer, self._without_document())
        held = _Held(
            entries=entries,
            complete=document.complete,
            version=document.version,
            expires_at=document.expires_at,
            confirmed_at=confirmed_at,
            confirmed_on=confirmed_on,
            ends_at=NEVER,
            digest=digest,
            etag=etag,
        )
        self._confirm(held, confirmed_at, confirmed_on)
        return True

    def _confirm(self, held: _Held, confirmed_at: float, confirmed_on: float) -> None:
        # The monotonic clock from here on: setting the clock back must not extend the use of the document.
        left = held.expires_at + self._options.leeway - time.time()
        ends_at = min(time.monotonic() + left, confirmed_on + self._options.max_stale)
        self._held = replace(held, confirmed_at=confirmed_at, confirmed_on=confirmed_on, ends_at=ends_at)

    def _fallback(self) -> str:
        return "its last document is used until it expires" if self._is_live() else self._without_document()

    def _without_document(self) -> str:
        if self._options.introspection is not None:
            return "the issuer is asked about each token"
        return "tokens are accepted" if self._options.accept_unavailable else "tokens are answered with 503"

    def _adopt_shared(self) -> bool:
        """Use what another worker fetched, if it is newer. Return whether no request is due."""
        try:
            self._read_shared()
        except (UnacceptableDocument, KeysUnavailable) as error:
            logger.warning("The shared revocations of %s are ignored: %s", self._options.remote.issuer, error)
        return time.monotonic() < self._request.due_at

    def _read_shared(self) -> None:
        confirmation, held = self._shared.confirmation(), self._held
        if confirmation is None or (held is not None and confirmation.confirmed_at <= held.confirmed_at):
            return
        digest, confirmed_at = confirmation
        confirmed_on = time.monotonic() - (time.time() - confirmed_at)
        # Even if it is time for a request: this process may have to wait for another one's.
        if held is not None and held.digest == digest:
            self._confirm(held, confirmed_at, confirmed_on)
        elif not self._adopt_document(digest, confirmed_at, confirmed_on):
            return
        self._request.settle()
        self._request_at(confirmed_on + self._options.max_age)

    def _adopt_document(self, digest: object, confirmed_at: float, confirmed_on: float) -> bool:
        shared = self._shared.document(digest)
        if shared is None:
            return False
        text, etag = shared
        return self._take(self._verified(text), confirmed_at, confirmed_on, digest=digest_of(text), etag=etag)


class RemoteDenyListCheck:
    """The check of tokens at one API, named by one or several audiences."""

    def __init__(self, deny_list: RemoteDenyList, audiences: frozenset[str]) -> None:
        self._deny_list, self._audiences = deny_list, audiences

    def __call__(self, claims: AccessTokenClaims, token: str) -> None:
        """Check that the issuer has not revoked a verified token.

        Raises:
            TokenRejected: it has.
            RevocationUnavailable: no document can be used, and the options have no other check.
        """
        self._deny_list.check(claims.limited_to(self._audiences), token)

    def in_memory(self, claims: AccessTokenClaims, token: str) -> None:
        """Check as by calling it, without a request.

        Raises:
            TokenRejected: as by calling it.
            ReadNeeded: memory is not sufficient.
        """
        self._deny_list.check_in_memory(claims.limited_to(self._audiences), token)


def retrieve_revocations(remote: RemoteOptions, key_ring: KeyRing, *, leeway: float) -> RevocationDocument:
    """Fetch an issuer's document of revocations and verify it with these keys.

    Raises:
        FetchFailed: it cannot be fetched.
        UnacceptableDocument: it must not be used.
    """
    deadline = time.monotonic() + remote.timeout
    address, _ = discover(remote, _announced_uri, deadline=deadline)
    answer = _fetch_document(remote, address, etag=None, deadline=deadline)
    return read_revocations(answer.text or "", key_ring=key_ring, issuer=remote.issuer, now=time.time(), leeway=leeway)


def _fetch_document(remote: RemoteOptions, address: str, *, etag: str | None, deadline: float) -> Answer:
    return fetch_text(
        address,
        media_type=MEDIA_TYPE,
        max_bytes=MOST_BYTES,
        etag=etag,
        loopback_http=remote.loopback_http,
        deadline=deadline,
    )


def _announced_uri(metadata: Mapping[str, Any], *, issuer: str, loopback_http: bool) -> str:
    if metadata.get("issuer") == issuer and REVOCATIONS_URI not in metadata:
        raise UnacceptableDocument(
            f'the issuer announces no document of revocations ("{REVOCATIONS_URI}"). Set AT_JWT["PUBLISH_REVOCATIONS"] '
            'there, or another "revocation" here'
        )
    return address_in(REVOCATIONS_URI, metadata, issuer=issuer, loopback_http=loopback_http)
