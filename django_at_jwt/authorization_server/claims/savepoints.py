"""Running a function of the site's own so that the transactions around it survive it, and a preview keeps nothing."""

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
    """Let a block fail without harm to the transactions that it runs in.

    PostgreSQL refuses every statement of a transaction after one that failed, up to the savepoint before it. So each
    transaction that is open gets one, at the block's first statement: a block without statements costs none, and
    neither does one outside a transaction.

    Args:
        rollback: undo what the block writes to any database, also where it succeeds. What it does elsewhere, and
            what a database does outside transactions, stays done.
    """
    with ExitStack() as stack:
        if rollback:
            for alias in connections:
                _undo_at_the_end(alias, stack)
        else:
            for connection in connections.all(initialized_only=True):
                if connection.in_atomic_block:
                    stack.enter_context(_savepoint_when_needed(connection))
        yield


def _undo_at_the_end(alias: str, stack: ExitStack) -> None:
    try:
        stack.enter_context(transaction.atomic(using=alias))
    except AnyDatabaseError:
        # Nobody can write to a database that does not answer.
        return
    stack.callback(transaction.set_rollback, True, using=alias)


@contextmanager
def _savepoint_when_needed(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Set a savepoint before the block's first statement, and go back to it where the block fails.

    Not by ``atomic``: blocks of that have to be nested, and one that the function has begun without a statement would
    end before ours.
    """
    savepoint: str | None = None
    has_begun = False

    def execute_after_savepoint(execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        nonlocal savepoint, has_begun
        if not has_begun:
            has_begun = True  # The statement that sets it comes by here as well.
            savepoint = connection.savepoint()
        return execute(sql, params, many, context)

    was_lost = connection.needs_rollback
    try:
        with connection.execute_wrapper(execute_after_savepoint):
            yield
        if savepoint is not None:
            # This raises where the block has kept to itself that a statement failed.
            connection.savepoint_commit(savepoint)
    except BaseException:
        # What an inner block has marked as lost is undone here, and the rest of the transaction is not lost.
        connection.needs_rollback = was_lost
        if savepoint is not None:
            connection.savepoint_rollback(savepoint)
        raise
