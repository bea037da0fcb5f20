"""Retrieval of a remote issuer's metadata and JWK set, given its URL."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from django.dispatch import Signal

from django_at_jwt.core.errors import UnacceptableDocument
from django_at_jwt.core.jose.jwk_set import AcceptedKeys, accept_keys
from django_at_jwt.core.metadata import address_in, metadata_addresses
from django_at_jwt.core.quotation import quote
from django_at_jwt.core.remote_issuer import IssuerSnapshot, entity_tag
from django_at_jwt.events import IssuerFetched, emit, span
from django_at_jwt.outbound.http import FetchFailed, fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django_at_jwt.core.jose.jwk_set import SkippedKey

    from .options import RemoteOptions

METADATA: Final = "metadata"
JWK_SET: Final = "jwk_set"
REVOCATIONS: Final = "revocations"
FETCHED: Final = "fetched"
UNCHANGED: Final = "unchanged"
FAILED: Final = "failed"

issuer_fetched: Final = Signal()
"""Sent after each request for a document of an issuer, for monitoring. Receivers' exceptions are only logged.

``issuer`` is its URL, ``what`` is ``"metadata"``, ``"jwk_set"`` or ``"revocations"``, ``outcome`` is ``"fetched"``,
``"unchanged"`` or ``"failed"``, and ``seconds`` is how long it took.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retrieved:
    """The retrieved keys. ``skipped`` is empty if the issuer only confirmed its keys (304)."""

    snapshot: IssuerSnapshot
    skipped: tuple[SkippedKey, ...]


class Step:
    """A request for a document. Its outcome is set by the code that makes the request."""

    outcome = FAILED


@contextmanager
def reported(issuer: str, what: str) -> Iterator[Step]:
    """Report a request for a document of an issuer: as an event, by the signal, and as a span.

    Raises:
        FetchFailed: the document was unacceptable.
    """
    step, began = Step(), time.monotonic()
    try:
        with span("fetch_document", issuer=issuer, document=what) as traced:
            yield step
            traced.set(outcome=step.outcome)
    except UnacceptableDocument as error:
        raise FetchFailed(f"the {what.replace('_', ' ')} of {quote(issuer)} cannot be used: {error}") from None
    finally:
        seconds = time.monotonic() - began
        if step.outcome != FAILED:
            emit(IssuerFetched(issuer=issuer, document=what, outcome=step.outcome, seconds=seconds))
        issuer_fetched.send_robust(sender=retrieve, issuer=issuer, what=what, outcome=step.outcome, seconds=seconds)


def retrieve(options: RemoteOptions, *, known: IssuerSnapshot | None = None) -> Retrieved:
    """Fetch an issuer's keys, within ``options.timeout`` for all requests together.

    Args:
        known: the previous snapshot. Its ``jwks_uri`` is used while its metadata is fresh and the JWK set can be
            fetched there; its keys are used if the issuer answers that they are unchanged.

    Raises:
        FetchFailed: the issuer cannot be reached, or its answer must not be used.
    """
    retrieval = _Retrieval(options, deadline=time.monotonic() + options.timeout)
    if known is None or time.time() >= known.metadata_until:
        return retrieval.keys_at(*retrieval.metadata(), known)
    try:
        return retrieval.keys_at(known.jwks_uri, known.metadata_until, known)
    except FetchFailed as failure:
        try:
            jwks_uri, metadata_until = retrieval.metadata()
        except FetchFailed as another:
            raise FetchFailed(f"{failure}; {another}") from None
        if jwks_uri == known.jwks_uri:
            raise
    # The JWK set has moved while the known metadata was still fresh.
    return retrieval.keys_at(jwks_uri, metadata_until, known)


def discover(remote: RemoteOptions, read: Callable[..., str], *, deadline: float) -> tuple[str, float]:
    """Return an address of an issuer's metadata, and the seconds for which it may be used.

    The URL of RFC 8414 is tried first. If it fails in any way, OpenID Connect's is tried, since many issuers only serve
    that one correctly.

    Args:
        read: takes the metadata, ``issuer`` and ``loopback_http``, and returns the address or raises
            ``UnacceptableDocument``.
        deadline: as for :func:`~.http.fetch`.

    Raises:
        FetchFailed: neither document can be used.
    """
    problems = []
    for address in metadata_addresses(remote.issuer):
        try:
            answer = fetch(address, etag=None, loopback_http=remote.loopback_http, deadline=deadline)
            found = read(answer.document or {}, issuer=remote.issuer, loopback_http=remote.loopback_http)
        except FetchFailed as error:
            problems.append(str(error))
        except UnacceptableDocument as error:
            problems.append(f"the metadata at {quote(address)} cannot be used: {error}")
        else:
            return found, remote.cache_bounds.lifetime(answer.cache_control, answer.age)
    raise FetchFailed("; ".join(problems))


@dataclass(frozen=True, slots=True)
class _Retrieval:
    options: RemoteOptions
    deadline: float

    def metadata(self) -> tuple[str, float]:
        """Return ``jwks_uri`` and the time until which the metadata is fresh."""
        with reported(self.options.issuer, METADATA) as step:
            jwks_uri, lifetime = discover(self.options, partial(address_in, "jwks_uri"), deadline=self.deadline)
            step.outcome = FETCHED
            return jwks_uri, time.time() + lifetime

    def keys_at(self, jwks_uri: str, metadata_until: float, known: IssuerSnapshot | None) -> Retrieved:
        """Return the keys. The issuer may confirm those of the previous snapshot, if they are from this URL."""
        unchanged = known if known is not None and known.jwks_uri == jwks_uri else None
        etag = None if unchanged is None else unchanged.etag
        with reported(self.options.issuer, JWK_SET) as step:
            answer = fetch(jwks_uri, etag=etag, loopback_http=self.options.loopback_http, deadline=self.deadline)
            if answer.document is None:
                assert unchanged is not None  # noqa: S101 - a 304 only answers a request with an entity tag
                accepted, step.outcome = AcceptedKeys(keys=unchanged.keys, skipped=()), UNCHANGED
            else:
                accepted, etag = accept_keys(answer.document, algorithms=self.options.algorithms), None
                step.outcome = FETCHED
        now = time.time()
        snapshot = IssuerSnapshot(
            issuer=self.options.issuer,
            jwks_uri=jwks_uri,
            metadata_until=metadata_until,
            etag=entity_tag(answer.etag) or etag,
            keys=accepted.keys,
            confirmed_at=now,
            fresh_until=now + self.options.cache_bounds.lifetime(answer.cache_control, answer.age),
        )
        return Retrieved(snapshot=snapshot, skipped=accepted.skipped)
