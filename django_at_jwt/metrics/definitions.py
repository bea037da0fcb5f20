"""What is measured: the metrics, and how much each event adds to them.

Labels have few values. None is a client, a user or a key.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from django_at_jwt.events import (
    AccessTokenIssued,
    AccessTokenRefused,
    AccessTokenRejected,
    AccessTokenUnverifiable,
    CredentialReused,
    DenyListFailed,
    DenyListRead,
    EndpointUnavailable,
    IssuerFailed,
    IssuerFetched,
    KeyMade,
    KeyRevoked,
    RotationRan,
    TokensRevoked,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_at_jwt.events import Event


class Kind(StrEnum):
    """The kind of a metric."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Metric:
    """A metric. Compared by identity, since each event looks its metrics up.

    Attributes:
        name: without the prefix ``django_at_jwt_``. Prometheus adds ``_total`` to counters.
        kind: counter, histogram or gauge.
        description: one sentence.
        labels: the names of its labels.
        unit: ``s`` for seconds, or empty. The name of a metric in seconds ends with ``_seconds``.
    """

    name: str
    kind: Kind
    description: str
    labels: tuple[str, ...] = ()
    unit: str = ""


class Measurement(NamedTuple):
    """A value for a metric: an amount to add to a counter, an observation of a histogram, or a gauge's value."""

    metric: Metric
    value: float
    labels: tuple[str, ...] = ()


def _counter(name: str, description: str, *labels: str) -> Metric:
    return Metric(name=name, kind=Kind.COUNTER, description=description, labels=labels)


def _seconds(name: str, description: str, *labels: str) -> Metric:
    return Metric(name=f"{name}_seconds", kind=Kind.HISTOGRAM, description=description, labels=labels, unit="s")


TOKENS_ISSUED: Final = _counter("tokens_issued", "Access tokens issued.", "grant", "format", "algorithm")
TOKENS_REFUSED: Final = _counter(
    "tokens_refused", "Refused requests for a token, and failed client logins.", "endpoint", "grant", "error"
)
TOKENS_REJECTED: Final = _counter("tokens_rejected", "Rejected access tokens.", "where", "reason")
TOKENS_UNVERIFIABLE: Final = _counter(
    "tokens_unverifiable", "Access tokens that an API could neither accept nor reject.", "missing"
)
REVOCATIONS: Final = _counter("revocations", "Entries added to the deny list.", "kind", "reason")
CREDENTIALS_REUSED: Final = _counter(
    "credentials_reused", "Codes and refresh tokens that were used again.", "credential"
)
KEYS_MADE: Final = _counter("keys_made", "Signing keys made in this process.", "algorithm", "cause")
KEYS_REVOKED: Final = _counter("keys_revoked", "Signing keys revoked in this process.", "algorithm")
ROTATIONS: Final = _counter("rotations", "Rotations of the signing keys in this process.", "outcome")
ISSUER_FETCHES: Final = _counter("issuer_fetches", "Requests to remote issuers.", "issuer", "outcome")
DENY_LIST_READS: Final = _counter("deny_list_reads", "Reads of the deny list.", "outcome")
UNAVAILABLE: Final = _counter("unavailable_responses", "Responses 503 of the issuer's endpoints.")
ISSUE_SECONDS: Final = _seconds("token_issue", "Time to compose and sign an access token.", "format", "algorithm")
FETCH_SECONDS: Final = _seconds("issuer_fetch", "Time to fetch a document of a remote issuer.", "issuer", "document")
DENY_LIST_SECONDS: Final = _seconds("deny_list_read", "Time to read the deny list.")

EVENT_METRICS: Final = (
    TOKENS_ISSUED,
    TOKENS_REFUSED,
    TOKENS_REJECTED,
    TOKENS_UNVERIFIABLE,
    REVOCATIONS,
    CREDENTIALS_REUSED,
    KEYS_MADE,
    KEYS_REVOKED,
    ROTATIONS,
    ISSUER_FETCHES,
    DENY_LIST_READS,
    UNAVAILABLE,
    ISSUE_SECONDS,
    FETCH_SECONDS,
    DENY_LIST_SECONDS,
)
"""The metrics that events add to."""


def measurements(event: Event) -> Iterable[Measurement]:  # noqa: C901, PLR0912 - one for each event
    """Yield what an event adds to the metrics."""
    match event:
        case AccessTokenIssued():
            algorithm = event.algorithm or "none"
            yield Measurement(TOKENS_ISSUED, 1, (event.grant, event.format, algorithm))
            yield Measurement(ISSUE_SECONDS, event.seconds, (event.format, algorithm))
        case AccessTokenRefused():
            yield Measurement(TOKENS_REFUSED, 1, (event.endpoint, event.grant or "none", event.error))
        case AccessTokenRejected():
            yield Measurement(TOKENS_REJECTED, 1, (event.where, event.reason))
        case AccessTokenUnverifiable():
            yield Measurement(TOKENS_UNVERIFIABLE, 1, (event.missing,))
        case TokensRevoked():
            yield Measurement(REVOCATIONS, event.count, (event.kind, event.reason))
        case CredentialReused():
            yield Measurement(CREDENTIALS_REUSED, 1, (event.credential,))
        case KeyMade():
            yield Measurement(KEYS_MADE, 1, (event.algorithm, event.cause))
        case KeyRevoked(noticed=False):
            yield Measurement(KEYS_REVOKED, 1, (event.algorithm,))
        case RotationRan():
            yield Measurement(ROTATIONS, 1, (event.outcome,))
        case IssuerFetched():
            yield Measurement(ISSUER_FETCHES, 1, (event.issuer, event.outcome))
            yield Measurement(FETCH_SECONDS, event.seconds, (event.issuer, event.document))
        case IssuerFailed():
            yield Measurement(ISSUER_FETCHES, 1, (event.issuer, "failed"))
        case DenyListRead():
            yield Measurement(DENY_LIST_READS, 1, ("read",))
            yield Measurement(DENY_LIST_SECONDS, event.seconds)
        case DenyListFailed():
            yield Measurement(DENY_LIST_READS, 1, ("failed",))
        case EndpointUnavailable():
            yield Measurement(UNAVAILABLE, 1)
