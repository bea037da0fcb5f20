"""Databases for a run, on the PostgreSQL server of ``DATABASE_URL`` or on 127.0.0.1."""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEFAULT: Final = "postgres://postgres@127.0.0.1:5432/postgres"


def server_url() -> str:
    """Return the URL of a database on the server."""
    url = os.environ.get("DATABASE_URL", "")
    return url if url.startswith(("postgres:", "postgresql:")) else _DEFAULT


def absence() -> str:
    """Return why PostgreSQL cannot be used, or an empty string."""
    try:
        import psycopg  # noqa: PLC0415 - an optional package
    except ImportError:
        return "psycopg is not installed; run .venv/bin/python -m pip install --group services"
    try:
        psycopg.connect(server_url(), connect_timeout=3).close()
    except psycopg.OperationalError:
        return f"no PostgreSQL server at {urlsplit(server_url()).netloc.rpartition('@')[2]}; set DATABASE_URL"
    return ""


@contextmanager
def new_database(*, template: str = "") -> Iterator[str]:
    """Make a database, yield its URL, and drop it.

    Args:
        template: URL of a database to copy, to which nothing is connected; by default, the new one is empty.
    """
    import psycopg  # noqa: PLC0415 - an optional package

    name = f"at_jwt_bench_{secrets.token_hex(6)}"
    source = f" TEMPLATE {urlsplit(template).path.strip('/')}" if template else ""
    with psycopg.connect(server_url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}{source}")
        try:
            yield urlsplit(server_url())._replace(path=f"/{name}").geturl()
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
