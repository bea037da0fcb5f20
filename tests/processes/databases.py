"""New, empty databases on the servers that are there, and commands run against them as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.patience import PATIENCE_SECONDS

POSTGRESQL = os.environ.get("TEST_POSTGRESQL_URL", "postgres://postgres@127.0.0.1:5432/postgres")
MYSQL = os.environ.get("TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/test")
KINDS = ("sqlite", "postgresql", "mysql")


def environment(url: str, **extra: str) -> dict[str, str]:
    return {**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.processes.settings", **extra}


def start(url: str, *arguments: str, **options) -> subprocess.Popen:
    """Start ``python -m ...`` against a database, warnings being errors."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", *arguments],
        env=environment(url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


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


def manage(url: str, *arguments: str, **extra: str) -> subprocess.CompletedProcess:
    return run(url, "django", *arguments, **extra)


@contextmanager
def new_database(kind: str, folder):
    """Make a database, give its URL, and drop it. Without its server or driver the test is skipped by name."""
    if kind == "sqlite":
        # SQLite's writers wait for each other for five seconds, unless told otherwise.
        yield f"sqlite:///{folder}/db.sqlite3?timeout={PATIENCE_SECONDS}"
        return
    connection, url = (_postgresql(), POSTGRESQL) if kind == "postgresql" else (_mysql(), MYSQL)
    name = f"at_jwt_{uuid.uuid4().hex[:12]}"
    cursor = connection.cursor()
    cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        cursor.execute(f"DROP DATABASE {name}" + (" WITH (FORCE)" if kind == "postgresql" else ""))
        connection.close()


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
