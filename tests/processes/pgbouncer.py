"""A PgBouncer in transaction mode on loopback, before the test server of PostgreSQL."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.patience import PATIENCE_SECONDS
from tests.ports import reserved_port

from .databases import POSTGRESQL

_CONFIGURATION = """\
[databases]
* = host={host} port={target} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 2
"""


@contextmanager
def pgbouncer(folder):
    """Yield a function that returns the URL of a database through PgBouncer, which has two connections for it."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("PgBouncer: pgbouncer is not installed")
    server = urlsplit(POSTGRESQL)
    with reserved_port() as port:
        configuration = folder / "pgbouncer.ini"
        values = {"host": server.hostname, "target": server.port or 5432, "user": server.username, "port": port}
        configuration.write_text(_CONFIGURATION.format(**values))
        # It refuses to run as root, and reads its configuration before it becomes the other user.
        user = ["-u", "nobody"] if os.geteuid() == pwd.getpwnam("root").pw_uid else []
        with (folder / "pgbouncer.log").open("wb") as log:
            process = subprocess.Popen([program, *user, str(configuration)], stdout=log, stderr=log)
        try:
            _wait_for(port, process, folder / "pgbouncer.log")
            yield lambda url: urlsplit(url)._replace(netloc=f"{server.username}@127.0.0.1:{port}").geturl()
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(port, process, log):
    import psycopg

    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            psycopg.connect(f"host=127.0.0.1 port={port} user=postgres dbname=postgres").close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(log.read_text())
