"""Rotations by real processes: many at once, and killed at each step, on each supported database."""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from contextlib import ExitStack

import pytest

from tests.patience import PATIENCE_SECONDS

from .databases import KINDS, manage, new_database, run, start
from .rotate_and_die import STEPS

PROCESSES = 20


@pytest.fixture(params=KINDS)
def database_url(request, tmp_path):
    with new_database(request.param, tmp_path) as url:
        migrated = manage(url, "migrate", "-v0")
        assert migrated.returncode == 0, migrated.stderr
        yield url


def states(url, **policy):
    """The states of all keys, which are as the policy wants them."""
    document = json.loads(manage(url, "rotate_signing_keys", "--json", "--dry-run", **policy).stdout)
    assert document["changed"] is False
    return Counter(key["state"] for key in document["keys"])


def rotate_together(url):
    """Start all processes, let them go at one moment when each is ready to rotate, and give their ends."""
    with ExitStack() as stack:
        processes = [
            stack.enter_context(start(url, "tests.processes.rotate_when_told", stdin=subprocess.PIPE))
            for _ in range(PROCESSES)
        ]
        for process in processes:
            assert process.stdout.readline() == "ready\n", process.stderr.read()
        for process in processes:
            process.stdin.close()
        return [(process.wait(timeout=PATIENCE_SECONDS), process.stderr.read()) for process in processes]


def test_many_processes_rotate_at_once(database_url):
    ends = rotate_together(database_url)
    # One of them did it; the others found nothing to do.
    assert sorted(status for status, _ in ends) == [0, *[3] * (PROCESSES - 1)], ends
    assert states(database_url) == {"signing": 1, "announced": 1}


def test_killed_at_each_step_and_run_again(database_url):
    at_once = {"TEST_POLICY": '{"PROPAGATION_TIME": 0, "KEY_RING_MAX_AGE": 0, "LEEWAY": 0, "JWK_SET_MAX_AGE": 0}'}
    assert manage(database_url, "rotate_signing_keys", **at_once).returncode == 0
    for step in STEPS:
        killed = run(database_url, "tests.processes.rotate_and_die", step, **at_once)
        assert killed.returncode == -signal.SIGKILL, (step, killed.stderr)
        # Whatever was done of it was done whole: the key that signed still does, until the rotation was committed.
        expected = {"signing": 1, "announced": 1, **({"retained": 1} if step == "committed" else {})}
        assert states(database_url, **at_once) == expected, step
    again = manage(database_url, "rotate_signing_keys", "--now", **at_once)
    assert again.returncode == 0, again.stderr
    assert states(database_url, **at_once) == {"signing": 1, "announced": 1, "retained": 2}


def test_whoever_only_looks_waits_for_nobody(database_url):
    manage(database_url, "rotate_signing_keys")
    done = run(database_url, "tests.processes.look_while_locked")
    assert done.returncode == 0, done.stderr
    looked = json.loads(done.stdout)
    assert looked["answers"] == [200, 200]
    assert looked["locked"]
