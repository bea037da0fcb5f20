"""A lock on the signing keys across processes and machines."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router, transaction

from django_at_jwt.models import SigningKey

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK: Final = "django_at_jwt.signing_keys"
_TIMEOUT_SECONDS: Final = 60


@contextmanager
def signing_key_lock(*, dry_run: bool = False) -> Iterator[str]:
    """Hold a database lock within a transaction, and yield the alias of the primary database.

    It is an advisory lock, since the first rotation has no rows to lock. The transaction is durable: in an outer
    transaction the lock would be released before the commit.

    Args:
        dry_run: take no lock and begin no transaction.

    Raises:
        TimeoutError, django.db.Error: another change has held the lock for a minute.
        ImproperlyConfigured: the database vendor is not supported.
    """
    database = router.db_for_write(SigningKey)
    if dry_run:
        yield database
        return
    connection = connections[database]
    match connection.vendor:
        case "postgresql":
            # Only tests may nest a durable transaction. Its level is fixed by then.
            is_nested = connection.in_atomic_block
            with transaction.atomic(using=database, durable=True), connection.cursor() as cursor:
                if not is_nested:
                    # At a higher level, which a site may set, the holder would see the rows from before it waited.
                    cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{_TIMEOUT_SECONDS}s"])
                cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [_LOCK])
                yield database
        case "mysql":
            with connection.cursor() as cursor:
                # Held around the transaction, so that the next holder reads committed rows.
                cursor.execute("SELECT GET_LOCK(%s, %s)", [_LOCK, _TIMEOUT_SECONDS])
                if cursor.fetchone() != (1,):
                    raise TimeoutError(
                        "another change to the signing keys has been running for a minute; try again later"
                    )
                try:
                    with transaction.atomic(using=database, durable=True):
                        yield database
                finally:
                    cursor.execute("SELECT RELEASE_LOCK(%s)", [_LOCK])
        case "sqlite":
            with transaction.atomic(using=database, durable=True), connection.cursor() as cursor:
                # A write that matches no row takes SQLite's write lock before anything is read.
                table = connection.ops.quote_name(SigningKey._meta.db_table)
                cursor.execute(f"UPDATE {table} SET kid = kid WHERE 1 = 0")  # noqa: S608 - the name is the model's own
                yield database
        case vendor:
            raise ImproperlyConfigured(
                f"Signing keys cannot be stored in a {vendor!r} database; use PostgreSQL, MySQL or SQLite."
            )
