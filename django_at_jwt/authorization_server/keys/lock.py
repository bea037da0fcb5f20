"""One change to the signing keys at a time, whichever processes and machines ask for it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router, transaction

from django_at_jwt.models import SigningKey

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK: Final = "django_at_jwt.signing_keys"
_PATIENCE_SECONDS: Final = 60


@contextmanager
def signing_key_lock(*, dry_run: bool = False) -> Iterator[str]:
    """Hold a lock of the database's own and a transaction; gives the alias of the primary database.

    Locking rows would not do: the first rotation has none to lock.

    Args:
        dry_run: take neither. Whoever only looks at what would be done waits for nobody, and nobody waits for him.

    The change is committed when this ends: it cannot be part of a larger transaction, since the lock would be given
    back before that one is committed.

    Raises:
        TimeoutError, django.db.Error: another change has been running for too long.
        ImproperlyConfigured: the database is none of those that are supported.
    """
    database = router.db_for_write(SigningKey)
    if dry_run:
        yield database
        return
    connection = connections[database]
    match connection.vendor:
        case "postgresql":
            with transaction.atomic(using=database, durable=True), connection.cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{_PATIENCE_SECONDS}s"])
                cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [_LOCK])
                yield database
        case "mysql":
            with connection.cursor() as cursor:
                # Taken before the transaction and given back after it: what others then read is committed.
                cursor.execute("SELECT GET_LOCK(%s, %s)", [_LOCK, _PATIENCE_SECONDS])
                if cursor.fetchone() != (1,):
                    raise TimeoutError("another change to the signing keys has been running for a minute")
                try:
                    with transaction.atomic(using=database, durable=True):
                        yield database
                finally:
                    cursor.execute("SELECT RELEASE_LOCK(%s)", [_LOCK])
        case "sqlite":
            with transaction.atomic(using=database, durable=True), connection.cursor() as cursor:
                # SQLite has one lock, for writing. A write that touches no row takes it before anything is read.
                table = connection.ops.quote_name(SigningKey._meta.db_table)
                cursor.execute(f"UPDATE {table} SET kid = kid WHERE 1 = 0")  # noqa: S608 - the name is the model's own
                yield database
        case vendor:
            raise ImproperlyConfigured(f"Signing keys cannot be kept in a database of the kind {vendor!r}.")
