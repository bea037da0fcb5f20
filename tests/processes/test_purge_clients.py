"""Unused clients are purged while they get tokens: a client keeps its tokens, or is deleted without any."""

from __future__ import annotations

import pytest

from .databases import outcome_of
from .purge_clients_at_once import CLIENTS

pytestmark = pytest.mark.ci


# SQLite's writers follow one another, or fail.
@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_purges_while_clients_get_tokens(kind, prepared_databases, tmp_path):
    with prepared_databases.copy(kind, tmp_path) as url:
        outcome = outcome_of(url, "purge_clients_at_once")
    # 302 leads back with a code, 503 is repeated, and 400 and 401 are for a client that was deleted.
    assert set(outcome["statuses"]) <= {"200", "302", "400", "401", "503"}
    assert outcome["served"] + outcome["deleted"] == CLIENTS
    assert (outcome["served without a token or client"], outcome["orphans"]) == (0, 0)
