"""Gauges: the state of the keys, the deny list and the issuers, read when they are asked for."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

from django.db import Error as AnyDatabaseError
from django.db import connections
from django.utils import timezone

from django_at_jwt.conf import app_settings, has_issuer_tables, local_issuer, process_cached
from django_at_jwt.core.errors import NoSigningKey
from django_at_jwt.core.key_lifecycle import KeyState, is_usable, next_signer
from django_at_jwt.core.revocation import Revocation
from django_at_jwt.resource_server.remote_issuers import remote_deny_list, remote_key_source

from .definitions import Kind, Measurement, Metric

if TYPE_CHECKING:
    from collections.abc import Iterator


def _gauge(name: str, description: str, *labels: str, unit: str = "") -> Metric:
    return Metric(name=name, kind=Kind.GAUGE, description=description, labels=labels, unit=unit)


DATABASE_READABLE: Final = _gauge("database_readable", "Whether the signing keys could be read just now: 1 or 0.")
SIGNING_KEYS: Final = _gauge("signing_keys", "Signing keys.", "algorithm", "state")
KEYS_UNOPENABLE: Final = _gauge(
    "signing_keys_unopenable", "Keys that sign or are announced, but that this process cannot decrypt."
)
ROTATION_DUE: Final = _gauge(
    "rotation_due_timestamp_seconds", "When the next rotation is due; in the past if it is late.", unit="s"
)
NEXT_SIGNING: Final = _gauge(
    "next_key_signs_timestamp_seconds", "When the next announced key begins to sign.", "algorithm", unit="s"
)
DENY_LIST_AGE: Final = _gauge("deny_list_age_seconds", "Seconds since this process last read the deny list.", unit="s")
ISSUER_AGE: Final = _gauge(
    "issuer_age_seconds", "Seconds since a remote issuer confirmed the keys that this process has.", "issuer", unit="s"
)
REVOCATIONS_AGE: Final = _gauge(
    "issuer_revocations_age_seconds",
    "Seconds since a remote issuer confirmed the revocations that this process has.",
    "issuer",
    unit="s",
)

GAUGES: Final = (
    DATABASE_READABLE,
    SIGNING_KEYS,
    KEYS_UNOPENABLE,
    ROTATION_DUE,
    NEXT_SIGNING,
    DENY_LIST_AGE,
    ISSUER_AGE,
    REVOCATIONS_AGE,
)


def read_gauges() -> list[Measurement]:
    """Return the values of all gauges, after a few queries if this project issues tokens, none otherwise.

    The ages are those of this process. A process reads the deny list and asks issuers only when tokens arrive, so an
    age grows while none do. An age is left out if the process has read nothing yet.
    """
    # The thread may be one of an exporter, in which no request closes connections.
    _close_old_connections()
    try:
        return list(_gauges())
    finally:
        _close_old_connections()


def _close_old_connections() -> None:
    for connection in connections.all(initialized_only=True):
        # Django would close it although a transaction is open, as with ATOMIC_REQUESTS.
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def _gauges() -> Iterator[Measurement]:
    if has_issuer_tables() and local_issuer():
        yield from _issuer_gauges()
    for issuer in app_settings().issuers:
        states = [(ISSUER_AGE, remote_key_source(issuer).state())]
        if issuer.revocation is Revocation.DENY_LIST:
            states.append((REVOCATIONS_AGE, remote_deny_list(issuer).state()))
        for gauge, state in states:
            if state.confirmed_at is not None:
                yield Measurement(gauge, max(0.0, time.time() - state.confirmed_at), (issuer.issuer,))


def _issuer_gauges() -> Iterator[Measurement]:
    from django_at_jwt.authorization_server.revocation.deny_list import (  # noqa: PLC0415 - a project that only verifies has no such tables
        deny_list,
    )

    age = deny_list.age()
    if age is not None:
        yield Measurement(DENY_LIST_AGE, age)
    try:
        found = list(_key_gauges())
    except AnyDatabaseError:
        yield Measurement(DATABASE_READABLE, 0)
    else:
        yield Measurement(DATABASE_READABLE, 1)
        yield from found


def _key_gauges() -> Iterator[Measurement]:
    from django_at_jwt.authorization_server.keys.rotation import rotation_due  # noqa: PLC0415 - as above
    from django_at_jwt.models import SigningKey  # noqa: PLC0415 - as above
    from django_at_jwt.models.primary import primary_rows  # noqa: PLC0415 - as above

    now = timezone.now()
    rows = list(primary_rows(SigningKey).defer("private_jwe", "public_jwk"))
    keys = [row.times for row in rows]
    counts = {(algorithm, state): 0 for algorithm in app_settings().signing_algorithms for state in KeyState}
    for key in keys:
        where = key.algorithm, key.state_at(now)
        counts[where] = counts.get(where, 0) + 1
    for (algorithm, state), number in counts.items():
        yield Measurement(SIGNING_KEYS, number, (algorithm, state))
    for algorithm in dict.fromkeys(key.algorithm for key in keys):
        following = next_signer(keys, algorithm, now)
        if following is not None:
            yield Measurement(NEXT_SIGNING, following.signing_at.timestamp(), (algorithm,))
    yield Measurement(ROTATION_DUE, rotation_due(keys, now).due_at.timestamp())
    usable = [key.kid for key in keys if is_usable(key, now)]
    found = primary_rows(SigningKey).filter(kid__in=usable)
    opened = [_opens(row.kid, row.algorithm, json.dumps(row.public_jwk), row.private_jwe) for row in found]
    yield Measurement(KEYS_UNOPENABLE, opened.count(False))


@process_cached
def _opens(kid: str, algorithm: str, public_jwk: str, private_jwe: str) -> bool:
    """Return whether this process can decrypt a key. Cached: opening an RSA key takes 30 ms."""
    from django_at_jwt.authorization_server.keys.encryption import require_row_that_opens  # noqa: PLC0415 - as above
    from django_at_jwt.models import SigningKey  # noqa: PLC0415 - as above

    row = SigningKey(kid=kid, algorithm=algorithm, public_jwk=json.loads(public_jwk), private_jwe=private_jwe)
    try:
        require_row_that_opens(row)
    except NoSigningKey:
        return False
    return True
