"""Rotations by real processes: many at once, and killed at each step, on each supported database."""

from __future__ import annotations

import json
from collections import Counter
from urllib.parse import quote

import pytest

from .databases import KINDS, manage, run
from .rotate_and_die import STEPS

pytestmark = pytest.mark.ci

PROCESSES = 20
# Options of connections whose transactions see the rows as of their first query.
ISOLATED = {
    "postgresql": "options=" + quote("-c default_transaction_isolation=repeatable\\ read"),
    "mysql": "isolation_level=" + quote("repeatable read"),
}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def database_url(kind, prepared_databases, tmp_path):
    with prepared_databases.copy(kind, tmp_path, keys=False) as url:
        yield url


def test_many_processes_rotate_at_once(database_url):
    done = run(database_url, "tests.processes.rotate_together", str(PROCESSES))
    # One of them did it; the others found nothing to do.
    assert sorted(json.loads(done.stdout)) == [0, *[3] * (PROCESSES - 1)], done.stderr
    document = json.loads(manage(database_url, "rotate_signing_keys", "--json", "--dry-run").stdout)
    assert document["changed"] is False
    assert Counter(key["state"] for key in document["keys"]) == {"signing": 1, "announced": 1}


@pytest.mark.parametrize("kind", ISOLATED)
def test_processes_rotate_at_once_at_a_higher_isolation_level(kind, database_url):
    url = f"{database_url}?{ISOLATED[kind]}"
    done = run(url, "tests.processes.rotate_together", "5")
    assert sorted(json.loads(done.stdout)) == [0, 3, 3, 3, 3], done.stderr
    document = json.loads(manage(url, "rotate_signing_keys", "--json", "--dry-run").stdout)
    assert Counter(key["state"] for key in document["keys"]) == {"signing": 1, "announced": 1}


def test_killed_at_each_step_and_run_again(database_url):
    at_once = {"TEST_POLICY": '{"PROPAGATION_TIME": 0, "KEY_RING_MAX_AGE": 0, "LEEWAY": 0, "JWK_SET_MAX_AGE": 0}'}
    done = run(database_url, "tests.processes.rotate_and_die", **at_once)
    assert done.returncode == 0, done.stderr
    # No partial change: the former key signs until the rotation is committed.
    unchanged = {"signing": 1, "announced": 1}
    assert json.loads(done.stdout) == {
        "first": unchanged,
        **dict.fromkeys(STEPS, unchanged),
        "committed": unchanged | {"retained": 1},
        "again": unchanged | {"retained": 2},
    }


def test_dry_run_waits_for_no_lock(kind, prepared_databases, tmp_path):
    with prepared_databases.copy(kind, tmp_path) as url:
        done = run(url, "tests.processes.look_while_locked")
    assert done.returncode == 0, done.stderr
    looked = json.loads(done.stdout)
    assert looked["answers"] == [200, 200]
    assert looked["locked"]
