"""Expired tokens are purged while tokens are issued, and nothing that is in use is lost."""

from __future__ import annotations

import pytest

from .databases import outcome_of
from .purge_at_once import LOGINS, USERS

pytestmark = pytest.mark.ci


# SQLite's writers follow one another, or fail.
@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_purges_while_users_log_in_and_refresh(kind, prepared_databases, tmp_path):
    with prepared_databases.copy(kind, tmp_path) as url:
        outcome = outcome_of(url, "purge_at_once")
    assert set(outcome["statuses"]) <= ({200} if kind == "postgresql" else {200, 503})
    assert outcome["purges"] > 1
    assert (outcome["live"], outcome["lost"]) == (USERS * LOGINS, 0)
