"""Entries of the deny list that other connections commit, in any order, and while this one is in a transaction."""

from __future__ import annotations

import json

import pytest

from .databases import manage, new_database, run

pytestmark = pytest.mark.ci


@pytest.mark.compliance("7009-2")
@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_no_entry_is_missed(kind, tmp_path):
    with new_database(kind, tmp_path) as url:
        assert manage(url, "migrate", "--verbosity", "0").returncode == 0
        done = run(url, "tests.processes.read_deny_list", TEST_POLICY='{"REVOCATION_MAX_AGE": 0}')
        assert done.returncode == 0, done.stderr
        seen = json.loads(done.stdout)
    assert (seen["before any"], seen["first"]) == (False, True)
    # Of two entries, the one with the lower id is committed last.
    assert seen["within the overlap"] == [[False, True], [True, True]]
    assert seen["beyond the overlap"] == [[False, True], [False, True]]
    assert seen["after the comparison"]
    in_a_transaction = seen["in a transaction"]
    assert {level: denied for level, (denied, _) in in_a_transaction.items()} == dict.fromkeys(in_a_transaction, True)
    # The snapshot of the request's own connection is older than the entry.
    assert in_a_transaction["REPEATABLE READ"][1] is False
