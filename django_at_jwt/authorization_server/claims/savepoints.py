"""Run a site's function in savepoints, so that its database errors leave surrounding transactions usable."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from django.db import Error as AnyDatabaseError
from django.db import connections, transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.backends.base.base import BaseDatabaseWrapper


@contextmanager
def savepoints(*, rollback: bool) -> Iterator[None]:
    """Run a block so that its failure does not break the transactions that it runs in.

    After a failed statement, PostgreSQL rejects every further one until the transaction is rolled back to a savepoint.
    So each open transaction gets a savepoint before the block's first statement. A block without statements, or
    outside a transaction, costs nothing.

    Args:
        rollback: undo what the block writes to databases even if it succeeds. Not undone: effects elsewhere, and
            whatever a database does outside transactions.
    """
    with ExitStack() as stack:
        if rollback:
            for alias in connections:
                _roll_back_at_exit(alias, stack)
        else:
            for connection in connections.all(initialized_only=True):
                if connection.in_atomic_block:
                    stack.enter_context(_savepoint_when_needed(connection))
        yield


def _roll_back_at_exit(alias: str, stack: ExitStack) -> None:
    try:
        stack.enter_context(transaction.atomic(using=alias))
    except AnyDatabaseError:
        # The database is unavailable, so nothing can be written to it.
        return
    stack.callback(transaction.set_rollback, True, using=alias)


@contextmanager
def _savepoint_when_needed(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Create a savepoint before the block's first statement, and roll back to it if the block fails.

    ``atomic`` cannot do it: its blocks must be nested, and one that the function enters before its first statement
    would end before ours.
    """
    savepoint: str | None = None
    has_begun = False

    def execute_after_savepoint(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        nonlocal savepoint, has_begun
        if not has_begun:
            has_begun = True  # The SAVEPOINT statement comes through this wrapper too.
            savepoint = connection.savepoint()
        return execute(sql, params, many, context)

    was_lost = connection.needs_rollback
    try:
        with connection.execute_wrapper(execute_after_savepoint):
            yield
        if savepoint is not None:
            # Raises if the block has swallowed the error of a failed statement.
            connection.savepoint_commit(savepoint)
    except BaseException:
        # The rollback to the savepoint undoes what an inner block has marked as broken.
        connection.needs_rollback = was_lost
        if savepoint is not None:
            connection.savepoint_rollback(savepoint)
        raise
