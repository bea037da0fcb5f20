"""The record of the last run of ``rotate_signing_keys``. Only the command writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from django.db import router, transaction

from django_at_jwt.authorization_server.row_cache import RowCache
from django_at_jwt.conf import register_process_cache
from django_at_jwt.core.key_schedule import LastRun
from django_at_jwt.core.quotation import storable
from django_at_jwt.models import RotationRun
from django_at_jwt.models.primary import primary_rows

if TYPE_CHECKING:
    from datetime import datetime

# The table's only row.
_ROW: Final = 1
_MAX_PROBLEM: Final = cast("int", RotationRun._meta.get_field("problem").max_length)


def record_run(at: datetime, *, changed: bool = False, problem: str = "") -> None:
    """Record a run of the rotation in place of the one before.

    Args:
        at: when it ended.
        changed: whether it changed anything.
        problem: why it failed, on one line; empty if it succeeded.

    Raises:
        django.db.Error: the database failed, or the table is missing.
    """
    problem = storable(problem)
    if len(problem) > _MAX_PROBLEM:
        problem = f"{problem[: _MAX_PROBLEM - 3]}..."
    values = {"at": at, "changed": changed, "problem": problem}
    if not problem:
        values["succeeded_at"] = at
    database = router.db_for_write(RotationRun)
    with transaction.atomic(using=database):
        RotationRun.objects.using(database).update_or_create(pk=_ROW, defaults=values)


def read_last_run() -> LastRun | None:
    """Return the last recorded run from the primary database, or ``None`` if none is recorded.

    Raises:
        django.db.Error: the table cannot be read.
    """
    row = primary_rows(RotationRun).filter(pk=_ROW).first()
    if row is None:
        return None
    return LastRun(at=row.at, changed=row.changed, problem=row.problem, succeeded_at=row.succeeded_at)


def _read(_database: str) -> tuple[LastRun | None]:
    return (read_last_run(),)


_rows: Final = RowCache(RotationRun, _read)
register_process_cache(_rows.clear)


def last_run() -> LastRun | None:
    """Return the last recorded run; read the table at most once in ``KEY_RING_MAX_AGE``.

    Raises:
        django.db.Error: it cannot be read, and was not read within ``KEY_RING_MAX_STALE``.
    """
    [run] = _rows.current()
    return run
