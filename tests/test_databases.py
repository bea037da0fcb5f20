"""The commands on each supported database, by real processes at once. Without its server a test is skipped by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

POSTGRESQL = os.environ.get("TEST_POSTGRESQL_URL", "postgres://postgres@127.0.0.1:5432/postgres")
MYSQL = os.environ.get("TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/test")
PROCESSES = 8


def manage(url: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "django", *arguments],
        env={**os.environ, "DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


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


@pytest.fixture(params=["sqlite", "postgresql", "mysql"])
def database_url(request, tmp_path):
    """A new, empty database, and its URL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/db.sqlite3"
        return
    connection, url = (_postgresql(), POSTGRESQL) if request.param == "postgresql" else (_mysql(), MYSQL)
    name = f"at_jwt_{uuid.uuid4().hex[:12]}"
    cursor = connection.cursor()
    cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        cursor.execute(f"DROP DATABASE {name}")
        connection.close()


def test_many_processes_rotate_at_once(database_url):
    migrated = manage(database_url, "migrate", "-v0")
    assert migrated.returncode == 0, migrated.stderr
    with ThreadPoolExecutor(PROCESSES) as pool:
        runs = list(pool.map(lambda _: manage(database_url, "rotate_signing_keys", "--json"), range(PROCESSES)))
    # One of them did it; the others found nothing to do.
    assert sorted(run.returncode for run in runs) == [0, *[3] * (PROCESSES - 1)], [run.stderr for run in runs]
    documents = [json.loads(run.stdout) for run in runs]
    assert [len(document["made"]) for document in documents if document["changed"]] == [2]
    for document in documents:
        assert Counter(key["state"] for key in document["keys"]) == {"signing": 1, "announced": 1}
