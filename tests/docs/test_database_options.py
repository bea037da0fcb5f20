"""The databases accept the timeouts in docs/how-to/database-outages.md, with the documented meaning."""

from __future__ import annotations

import ast
import sqlite3
from urllib.parse import urlsplit

import pytest

from tests.processes.databases import MYSQL, POSTGRESQL, new_database

from .blocks import KEYS


def options_of(database):
    [row] = [line for line in KEYS.read_text().splitlines() if line.startswith(f"| {database} | `{{")]
    return ast.literal_eval(row.split("`")[1])


def test_postgresql(tmp_path):
    with new_database("postgresql", tmp_path) as url:
        import psycopg

        assert urlsplit(url).netloc == urlsplit(POSTGRESQL).netloc
        with psycopg.connect(url, **options_of("PostgreSQL")) as connection:
            assert connection.execute("SHOW statement_timeout").fetchone() == ("5s",)
            assert connection.execute("SHOW lock_timeout").fetchone() == ("3s",)


def test_mariadb_or_mysql(tmp_path):
    with new_database("mysql", tmp_path) as url:
        import MySQLdb

        parts = urlsplit(MYSQL)
        options = {"host": parts.hostname, "port": parts.port or 3306, "user": parts.username}
        if parts.password:
            options["passwd"] = parts.password
        plain = MySQLdb.connect(**options)
        is_mariadb = "MariaDB" in plain.get_server_info()
        plain.close()
        bounded = MySQLdb.connect(
            **options, database=urlsplit(url).path[1:], **options_of("MariaDB" if is_mariadb else "MySQL")
        )
        with bounded.cursor() as cursor:
            cursor.execute("SELECT @@max_statement_time" if is_mariadb else "SELECT @@max_execution_time")
            assert cursor.fetchone()[0] == (5 if is_mariadb else 5000)
        bounded.close()


def test_sqlite(tmp_path):
    connection = sqlite3.connect(tmp_path / "db", **options_of("SQLite"))
    assert connection.execute("PRAGMA busy_timeout").fetchone() == (5000,)
    connection.close()


@pytest.mark.parametrize("database", ["PostgreSQL", "MariaDB", "MySQL", "SQLite"])
def test_each_is_named_once(database):
    assert options_of(database)
