"""Read the deny list while other connections commit entries; writes what was seen as JSON."""

from __future__ import annotations

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import django

from tests.patience import PATIENCE_SECONDS

LEVELS = ("READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")


def jti(number):
    return f".{number:032x}.1"


@contextmanager
def inserted(number):
    """Insert an entry in another thread, whose transaction is committed at the end of the block."""
    from django.db import connection, transaction

    is_inserted, commit, rows = threading.Event(), threading.Event(), []

    def insert():
        try:
            with transaction.atomic():
                rows.append(row(number))
                is_inserted.set()
                commit.wait(PATIENCE_SECONDS)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(insert)
        assert is_inserted.wait(PATIENCE_SECONDS)
        try:
            yield rows[0]
        finally:
            commit.set()
            done.result(PATIENCE_SECONDS)


def row(number):
    from django.utils import timezone

    from django_at_jwt.models import DenyListEntry

    return DenyListEntry.objects.create(
        kind="token", value=jti(number), expires_at=timezone.now() + timedelta(hours=1)
    ).pk


def is_denied(number):
    """Ask the list of this process, which reads the rows each time."""
    from django_at_jwt.authorization_server.revocation.deny_list import deny_list
    from django_at_jwt.core.errors import TokenRejected
    from django_at_jwt.core.profile import parse_claims

    raw = {"iss": "x", "sub": "a", "aud": "x", "client_id": "c", "iat": 1, "exp": 2, "jti": jti(number)}
    try:
        deny_list.check(parse_claims(raw))
    except TokenRejected:
        return True
    return False


def reverse_order(numbers, *, reads_in_between=1):
    """Commit two entries in reverse order of their ids, and return whether each is denied, before and after."""
    late, early = numbers
    with inserted(late) as lower:
        with inserted(early) as higher:
            assert lower < higher
        before = [is_denied(late), is_denied(early)]
        for _ in range(reads_in_between):
            is_denied(0)
    return before, [is_denied(late), is_denied(early)]


def in_transaction(level, number):
    """Return what a transaction sees of an entry committed after its snapshot: the list, and its own connection."""
    from django.db import connection, transaction

    from django_at_jwt.models import DenyListEntry, ResourceServer

    if connection.vendor == "mysql":
        with connection.cursor() as cursor:
            cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        # It takes the snapshot, and with MySQL's SERIALIZABLE no lock on the entries.
        ResourceServer.objects.count()
        with inserted(number):
            pass
        denied = is_denied(number)
        # MySQL's SERIALIZABLE reads what is committed.
        own = level != "SERIALIZABLE" and DenyListEntry.objects.filter(value=jti(number)).exists()
    return denied, own


def main():
    django.setup()

    from django_at_jwt.authorization_server.revocation import deny_list as module

    seen = {"before any": is_denied(1)}
    row(1)
    seen["first"] = is_denied(1)
    seen["within the overlap"] = reverse_order((2, 3))
    # As if a minute had passed between all reads.
    module._OVERLAP, module._FIRST_OVERLAP, module._COMPARE_EVERY = 0, 0, float("inf")
    module.deny_list.clear()
    seen["beyond the overlap"] = reverse_order((4, 5), reads_in_between=2)
    module._COMPARE_EVERY = 0
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_denied(4) and time.monotonic() < deadline:
        time.sleep(0.01)
    seen["after the comparison"] = is_denied(4)
    seen["in a transaction"] = {level: in_transaction(level, 10 + n) for n, level in enumerate(LEVELS)}
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    main()
