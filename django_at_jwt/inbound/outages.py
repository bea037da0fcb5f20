"""Distinguish database outages from errors of the site or its code."""

from __future__ import annotations

from typing import Final

from django.db import DatabaseError, IntegrityError, InterfaceError, OperationalError

# PostgreSQL raises this one as an InternalError: the transaction is read-only, as on a standby.
_READ_ONLY_TRANSACTION: Final = "25006"
# Violations of a foreign key: another transaction has deleted the row, such as a client that is purged.
_FOREIGN_KEY_VIOLATIONS: Final = frozenset({"23503", 787, 1451, 1452})
# SQLite's only code for errors in a statement, such as a table that does not exist.
_SQLITE_ERROR: Final = 1
# MySQL and MariaDB raise OperationalError for errors in a statement too, so the codes of outages are listed. Codes from
# 2000 to 2999 are the client library's, about the connection.
_MYSQL_CLIENT_ERRORS: Final = range(2000, 3000)
_MYSQL_OUTAGES: Final = frozenset(
    {
        1020,  # MariaDB, REPEATABLE READ: another transaction has changed the row
        1021,  # disk full
        1037,  # out of memory
        1038,  # out of sort memory
        1040,  # too many connections
        1041,  # out of memory
        1044,  # access to the database denied
        1045,  # access denied
        1049,  # unknown database
        1053,  # the server shuts down
        1114,  # the table is full
        1129,  # the host is blocked
        1152,  # the connection was aborted
        1158,  # reading from the network failed
        1159,  # reading from the network took too long
        1160,  # writing to the network failed
        1161,  # writing to the network took too long
        1180,  # the commit failed
        1203,  # too many connections of this user
        1205,  # waiting for a lock took too long
        1213,  # deadlock
        1226,  # the user has used up a resource
        1290,  # read_only is on
        1317,  # the query was interrupted
        1792,  # the transaction is read-only
        1836,  # the server is read-only
        1927,  # MariaDB: the connection was killed
        1969,  # MariaDB: max_statement_time was exceeded
        3024,  # MySQL: max_execution_time was exceeded
    }
)


def is_outage(error: Exception) -> bool:
    """Return whether a database error means that the same request can succeed later.

    ``True`` if the database is unreachable, overloaded, read-only or too slow, or transactions conflict: also if the
    request has read a row that another deletes before it is referred to. ``False`` for an error in a statement, such as
    a missing table or column or a value that does not fit.
    """
    if isinstance(error, InterfaceError):
        return True
    cause = error.__cause__
    if isinstance(error, IntegrityError):
        codes = (_sqlstate(cause), getattr(cause, "sqlite_errorcode", None), *error.args[:1])
        return not _FOREIGN_KEY_VIOLATIONS.isdisjoint(codes)
    if not isinstance(error, OperationalError):
        return isinstance(error, DatabaseError) and _sqlstate(cause) == _READ_ONLY_TRANSACTION
    sqlite = getattr(cause, "sqlite_errorcode", None)
    if sqlite is not None:
        return bool(sqlite != _SQLITE_ERROR)
    if type(cause).__module__.partition(".")[0] in {"MySQLdb", "pymysql"}:
        code = error.args[0] if error.args else None
        return code in _MYSQL_OUTAGES or code in _MYSQL_CLIENT_ERRORS
    return True


def _sqlstate(cause: BaseException | None) -> str | None:
    # In psycopg 3 and psycopg2.
    return getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
