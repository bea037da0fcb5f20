"""From an issuer's URL to its keys: its metadata, then its JWK set."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.conf import settings as django_settings
from django.dispatch import Signal

from django_at_jwt.conf import app_settings
from django_at_jwt.core.errors import UnacceptableDocument
from django_at_jwt.core.jose.jwk_set import AcceptedKeys, accept_keys
from django_at_jwt.core.metadata import jwks_uri_in, metadata_addresses
from django_at_jwt.core.quotation import quote
from django_at_jwt.core.remote_issuer import IssuerSnapshot, entity_tag

from .http import FetchFailed, fetch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_at_jwt.conf import IssuerSettings
    from django_at_jwt.core.jose.jwk_set import SkippedKey

METADATA: Final = "metadata"
JWK_SET: Final = "jwk_set"
FETCHED: Final = "fetched"
UNCHANGED: Final = "unchanged"
FAILED: Final = "failed"

issuer_fetched: Final = Signal()
"""Sent after each step of asking an issuer, for figures. What a receiver raises is logged and changes nothing.

``issuer`` is its URL, ``what`` is ``"metadata"`` or ``"jwk_set"``, ``outcome`` is ``"fetched"``, ``"unchanged"`` or
``"failed"``, and ``seconds`` says how long it took.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Retrieved:
    """What asking an issuer brought. ``skipped`` is empty where the keys were confirmed and not sent again."""

    snapshot: IssuerSnapshot
    skipped: tuple[SkippedKey, ...]


class _Step:
    outcome = FAILED


@contextmanager
def _told(issuer: str, what: str) -> Iterator[_Step]:
    step, began = _Step(), time.monotonic()
    try:
        yield step
    except UnacceptableDocument as error:
        raise FetchFailed(f"the {what.replace('_', ' ')} of {quote(issuer)} cannot be used: {error}") from None
    finally:
        seconds = time.monotonic() - began
        issuer_fetched.send_robust(sender=retrieve, issuer=issuer, what=what, outcome=step.outcome, seconds=seconds)


def loopback_http() -> bool:
    """Tell whether an issuer on this very machine may do without https: while the site is developed."""
    return bool(django_settings.DEBUG)


def retrieve(issuer: IssuerSettings, *, known: IssuerSnapshot | None = None) -> Retrieved:
    """Ask an issuer for its keys, within ``ISSUER_TIMEOUT`` for all steps together.

    Args:
        known: what is known already. Its address of the JWK set is used while its metadata is good and there is a JWK
            set, and its keys where the issuer says that they have not changed.

    Raises:
        FetchFailed: it cannot be asked, or what it says must not be used.
    """
    deadline = time.monotonic() + app_settings().issuer_timeout
    if known is None or time.time() >= known.metadata_until:
        return _retrieved(issuer, *_metadata(issuer, deadline), deadline, known)
    try:
        return _retrieved(issuer, known.jwks_uri, known.metadata_until, deadline, known)
    except FetchFailed as failure:
        try:
            jwks_uri, metadata_until = _metadata(issuer, deadline)
        except FetchFailed as another:
            raise FetchFailed(f"{failure}; {another}") from None
        if jwks_uri == known.jwks_uri:
            raise
    # The keys have moved while the metadata that said where they were could still be used.
    return _retrieved(issuer, jwks_uri, metadata_until, deadline, known)


def _retrieved(
    issuer: IssuerSettings, jwks_uri: str, metadata_until: float, deadline: float, known: IssuerSnapshot | None
) -> Retrieved:
    unchanged = known if known is not None and known.jwks_uri == jwks_uri else None
    accepted, etag, lifetime = _jwk_set(issuer, jwks_uri, deadline, unchanged)
    now = time.time()
    snapshot = IssuerSnapshot(
        issuer=issuer.issuer,
        jwks_uri=jwks_uri,
        metadata_until=metadata_until,
        etag=etag,
        keys=accepted.keys,
        confirmed_at=now,
        fresh_until=now + lifetime,
    )
    return Retrieved(snapshot=snapshot, skipped=accepted.skipped)


def _jwk_set(
    issuer: IssuerSettings, jwks_uri: str, deadline: float, unchanged: IssuerSnapshot | None
) -> tuple[AcceptedKeys, str | None, float]:
    """Give the keys, the tag of the answer, and for how many seconds it is good.

    ``unchanged`` is what came from this address before, which the issuer may confirm in place of sending it again.
    """
    with _told(issuer.issuer, JWK_SET) as step:
        etag = unchanged.etag if unchanged else None
        answer = fetch(jwks_uri, etag=etag, loopback_http=loopback_http(), deadline=deadline)
        lifetime = app_settings().issuer_lifetimes.of(answer.cache_control, answer.age)
        if answer.document is not None:
            accepted = accept_keys(answer.document, algorithms=issuer.algorithms)
            step.outcome = FETCHED
            return accepted, entity_tag(answer.etag), lifetime
        assert unchanged is not None  # noqa: S101 - without a tag there is no such answer
        step.outcome = UNCHANGED
        return AcceptedKeys(keys=unchanged.keys, skipped=()), entity_tag(answer.etag) or etag, lifetime


def _metadata(issuer: IssuerSettings, deadline: float) -> tuple[str, float]:
    """Give the address of the JWK set, and until when it is used.

    The form of RFC 8414 is asked for first. Whatever is wrong with it, OpenID Connect's is tried next: of many an
    issuer only that one is right. Either must name the very issuer that is configured.
    """
    problems = []
    with _told(issuer.issuer, METADATA) as step:
        for address in metadata_addresses(issuer.issuer):
            try:
                answer = fetch(address, etag=None, loopback_http=loopback_http(), deadline=deadline)
                jwks_uri = jwks_uri_in(answer.document or {}, issuer=issuer.issuer, loopback_http=loopback_http())
            except FetchFailed as error:
                problems.append(str(error))
            except UnacceptableDocument as error:
                problems.append(f"the metadata at {quote(address)} cannot be used: {error}")
            else:
                step.outcome = FETCHED
                lifetime = app_settings().issuer_lifetimes.of(answer.cache_control, answer.age)
                return jwks_uri, time.time() + lifetime
        raise FetchFailed("; ".join(problems))
