"""New databases on the available servers, and commands that run against them in separate processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import uuid
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.patience import PATIENCE_SECONDS

POSTGRESQL = os.environ.get("TEST_POSTGRESQL_URL", "postgres://postgres@127.0.0.1:5432/postgres")
MYSQL = os.environ.get("TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/test")
KINDS = ("sqlite", "postgresql", "mysql")
# In each prepared database.
CLIENT = {"client_id": "service", "client_secret": "a secret for the test"}


def environment(url: str, **extra: str) -> dict[str, str]:
    return {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.processes.settings", **extra}


def run(url: str, *arguments: str, **extra: str) -> subprocess.CompletedProcess:
    """Run ``python -m ...`` against a database, warnings being errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", *arguments],
        env=environment(url, **extra),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def outcome_of(url: str, program: str) -> Any:
    """Run a program of this package against a database, and return the JSON that it prints."""
    done = run(url, f"tests.processes.{program}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def manage(url: str, *arguments: str, **extra: str) -> subprocess.CompletedProcess:
    return run(url, "django", *arguments, **extra)


class PreparedDatabases:
    """Databases with all tables and a client that acts for itself: made at the first use, and copied for each test."""

    def __init__(self, make_folder):
        self._make_folder = make_folder
        self._templates = ExitStack()
        self._template = cache(self._make_template)

    def close(self):
        self._templates.close()

    @contextmanager
    def copy(self, kind: str, folder, *, keys: bool = True):
        """Copy a database, with or without first signing keys, yield its URL, and drop it."""
        with new_database(kind, folder, template=self._template(kind, keys)) as url:
            yield url

    def _make_template(self, kind, keys):
        template = self._template(kind, keys=False) if keys else None
        url = self._templates.enter_context(new_database(kind, self._make_folder("template"), template=template))
        prepared = run(url, "tests.processes.prepare", "keys" if keys else "tables")
        assert prepared.returncode == 0, prepared.stderr
        return url


@contextmanager
def new_database(kind: str, folder, *, template: str | None = None):
    """Make a database, yield its URL, and drop it. Without its server or driver the test is skipped by name.

    It is empty, or a copy of the database with the URL ``template``, which no process uses.
    """
    if kind == "sqlite":
        file = f"{folder}/db.sqlite3"
        if template:
            shutil.copyfile(urlsplit(template).path.removeprefix("/"), file)
        # SQLite's writers wait for each other for five seconds, unless told otherwise.
        yield f"sqlite:///{file}?timeout={PATIENCE_SECONDS}"
        return
    connection, url = (_postgresql(), POSTGRESQL) if kind == "postgresql" else (_mysql(), MYSQL)
    name = f"at_jwt_{uuid.uuid4().hex[:12]}"
    model = urlsplit(template).path.strip("/") if template else None
    cursor = connection.cursor()
    cursor.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {model}" if model and kind == "postgresql" else ""))
    try:
        if model and kind == "mysql":
            _copy_tables(cursor, model, name)
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        cursor.execute(f"DROP DATABASE {name}" + (" WITH (FORCE)" if kind == "postgresql" else ""))
        connection.close()


def _copy_tables(cursor, model: str, name: str) -> None:
    cursor.execute(f"USE {name}")
    cursor.execute("SET FOREIGN_KEY_CHECKS = 0")
    cursor.execute(f"SHOW TABLES FROM {model}")
    for (table,) in cursor.fetchall():
        cursor.execute(f"SHOW CREATE TABLE {model}.{table}")
        cursor.execute(cursor.fetchone()[1])
        cursor.execute(f"INSERT INTO {table} SELECT * FROM {model}.{table}")


def _postgresql():
    psycopg = pytest.importorskip("psycopg", reason="PostgreSQL: psycopg is not installed")
    try:
        return psycopg.connect(POSTGRESQL, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        pytest.skip(f"PostgreSQL: no server at {urlsplit(POSTGRESQL).netloc}")


def _mysql():
    driver = pytest.importorskip("MySQLdb", reason="MariaDB/MySQL: mysqlclient is not installed")
    parts = urlsplit(MYSQL)
    options = {"host": parts.hostname, "port": parts.port or 3306, "user": parts.username, "connect_timeout": 3}
    if parts.password:
        options["passwd"] = parts.password
    try:
        return driver.connect(**options, autocommit=True)
    except driver.OperationalError:
        pytest.skip(f"MariaDB/MySQL: no server at {parts.netloc}")
