"""The deny list in memory: what its entries cost a process, and what it adds to the verification of a token."""

from __future__ import annotations

import secrets
import time
import tracemalloc
from typing import TYPE_CHECKING, Any, Final

from django.db import connection
from django.utils import timezone

from django_at_jwt.authorization_server.revocation.deny_list import deny_list
from django_at_jwt.authorization_server.revocation.policies import local_policy
from django_at_jwt.core.deny_list import DenyEntry, DenyKind
from django_at_jwt.core.profile import parse_claims
from django_at_jwt.core.remote_issuer import CacheBounds
from django_at_jwt.core.revocation import Revocation
from django_at_jwt.core.revocation_document import MOST_ENTRIES, RevocationDocument
from django_at_jwt.resource_server.remote.deny_list import RemoteDenyList, RemoteDenyListCheck
from django_at_jwt.resource_server.remote.key_source import RemoteKeySource
from django_at_jwt.resource_server.remote.options import DenyListOptions, RemoteOptions

from . import workload
from .interleave import Variant, interleave
from .report import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_at_jwt.core.profile import AccessTokenClaims

    from .interleave import Comparison

_ENTRIES: Final = 1_000_000
_QUICK_ENTRIES: Final = 20_000
_QUICK_ROUNDS: Final = 10
_CALLS: Final = 1000
_RANDOM_ROWS: Final = """
    INSERT INTO django_at_jwt_denylistentry (kind, value, digest, reason, created_at, expires_at)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %s)
    SELECT
        CASE n %% 2 WHEN 0 THEN 'authorization' ELSE 'token' END,
        lower(hex(randomblob(16))) || CASE n %% 2 WHEN 0 THEN '' ELSE '.' || lower(hex(randomblob(16))) || '.1' END,
        hex(randomblob(32)),
        '',
        now,
        datetime(now, '+' || (600 + abs(random() %% 3600)) || ' seconds')
    FROM numbers, (SELECT %s AS now)
"""
_NONE: Final = "no check"


def tables(rounds: int) -> Iterator[Table]:
    """Measure, and yield the tables."""
    entries = _ENTRIES if rounds > _QUICK_ROUNDS else _QUICK_ENTRIES
    _insert(entries)
    # Twice: tracing the memory takes most of the time.
    seconds, _ = _load(trace=False)
    _, megabytes = _load(trace=True)
    comparison = interleave(list(_variants()), calls=_CALLS, rounds=rounds)
    yield Table(
        title=f"The deny list with {entries} live entries: read in {seconds:.1f} s of CPU time, {megabytes:.0f} MB",
        rows=_rows(comparison),
        null_control=comparison.null_control,
        unrest=comparison.unrest,
        goal="a million entries take under 150 MB and under 10 s, and add at most 2 us to each token",
    )
    comparison = interleave(list(_remote_variants()), calls=_CALLS, rounds=rounds)
    yield Table(
        title=f"The document of revocations of an issuer in another project, with {MOST_ENTRIES} entries",
        rows=_rows(comparison),
        null_control=comparison.null_control,
        unrest=comparison.unrest,
        goal="it adds at most 2 us to each token",
    )


def _rows(comparison: Comparison) -> list[dict[str, Any]]:
    return [
        {"variant": each.variant.name, "us": each.microseconds, "added us": each.added}
        for each in comparison.measurements
    ]


def _insert(count: int) -> None:
    """Insert entries of random tokens and authorizations, which expire within the next hour."""
    # In SQLite, since a million objects would take minutes.
    with connection.cursor() as cursor:
        cursor.execute(_RANDOM_ROWS, [count, timezone.now()])


def _load(*, trace: bool) -> tuple[float, float]:
    """Read the entries as a new process does, and return the CPU time in seconds and the memory in MB."""
    deny_list.clear()
    if trace:
        tracemalloc.start()
    started = time.process_time()
    deny_list.renew()
    seconds = time.process_time() - started
    megabytes = 0.0
    if trace:
        megabytes = tracemalloc.get_traced_memory()[0] / 1e6
        tracemalloc.stop()
    return seconds, megabytes


def _variants() -> Iterator[Variant]:
    repeated = parse_claims(workload.claims())
    yield Variant(name=_NONE, prepare=_new_claims, call=lambda _: None)
    check = local_policy(Revocation.DENY_LIST, frozenset({workload.AUDIENCE}))
    yield Variant(name="deny list, each token once", prepare=_new_claims, call=lambda claims: check(claims, ""))
    yield Variant(
        name="deny list, repeated token",
        prepare=lambda count: [repeated] * count,
        call=lambda claims: check(claims, ""),
    )


def _remote_variants() -> Iterator[Variant]:
    """Yield the checks of another issuer's tokens, with as many revocations as its document may have."""
    repeated, check = parse_claims(workload.claims()), _remote_check()
    yield Variant(name=_NONE, prepare=_new_claims, call=lambda _: None)
    yield Variant(name="document, each token once", prepare=_new_claims, call=lambda claims: check(claims, ""))
    yield Variant(
        name="document, repeated token", prepare=lambda count: [repeated] * count, call=lambda claims: check(claims, "")
    )


def _remote_check() -> RemoteDenyListCheck:
    now = int(time.time())
    document = RevocationDocument(
        issuer=workload.ISSUER,
        issued_at=now,
        expires_at=now + 36_000,
        version=1,
        complete=True,
        entries=tuple(_random_entries(now + 36_000)),
    )
    remote = RemoteOptions(
        issuer=workload.ISSUER,
        algorithms=(),
        timeout=1,
        cache_bounds=CacheBounds(min=1, max=1),
        max_stale=1,
        unknown_kid_cooldown=1,
        cache=None,
        loopback_http=False,
    )
    # No request: the document is in memory, and not due.
    options = DenyListOptions(remote=remote, max_age=36_000, max_stale=36_000, leeway=30, accept_unavailable=False)
    deny_list_of_issuer = RemoteDenyList(options, RemoteKeySource(remote))
    deny_list_of_issuer._take(document, time.time(), time.monotonic(), digest="", etag=None)
    deny_list_of_issuer._request.due_at = time.monotonic() + 36_000
    return RemoteDenyListCheck(deny_list_of_issuer, frozenset({workload.AUDIENCE}))


def _random_entries(end: int) -> Iterator[DenyEntry]:
    for number in range(MOST_ENTRIES):
        if number % 2:
            yield DenyEntry(DenyKind.AUTHORIZATION, secrets.token_hex(16), None, end)
        else:
            yield DenyEntry(DenyKind.TOKEN, f"{secrets.token_hex(16)}.{secrets.token_hex(16)}.1", None, end)


def _new_claims(count: int) -> list[AccessTokenClaims]:
    return [parse_claims(workload.claims()) for _ in range(count)]
