"""The example's server on a copy of a database that has all tables, with passwords that are quick to hash."""

from __future__ import annotations

import shutil
from contextlib import contextmanager

import pytest

from example_project.server_process import environment_for, run_manage, running_server

SETTINGS = "tests.example.quick_settings"


@pytest.fixture(scope="session")
def migrated_example(tmp_path_factory):
    """A folder with a database that has all tables and no rows."""
    folder = tmp_path_factory.mktemp("migrated example")
    migrated = run_manage(environment_for(folder, DJANGO_SETTINGS_MODULE=SETTINGS), "migrate", "--verbosity=0")
    assert migrated.returncode == 0, migrated.stderr
    return folder


@pytest.fixture(scope="session")
def running_example(migrated_example):
    """A context manager that runs a server in a folder, with variables of the environment.

    In a folder where a server ran before, it uses that one's database.
    """

    @contextmanager
    def running(folder, **variables):
        if not (folder / "example.sqlite3").exists():
            shutil.copytree(migrated_example, folder, dirs_exist_ok=True)
        with running_server(folder, **{"DJANGO_SETTINGS_MODULE": SETTINGS, **variables}) as server:
            yield server

    return running
