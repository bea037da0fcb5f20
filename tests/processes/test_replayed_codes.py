"""Two exchanges of one code at the same moment: one stores tokens, and the other ends their authorization."""

from __future__ import annotations

import pytest

from .databases import manage, new_database, outcome_of

pytestmark = pytest.mark.ci


# SQLite has no row locks: its writers follow one another, or fail.
@pytest.mark.compliance("6749-1")
@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_exchanges_at_once(kind, tmp_path):
    with new_database(kind, tmp_path) as url:
        for command in (("migrate", "-v0"), ("rotate_signing_keys",)):
            assert manage(url, *command).returncode == 0
        results = outcome_of(url, "exchange_at_once")
    assert results.keys() == {"autocommit", "atomic"}
    for each in (*results["autocommit"], *results["atomic"]):
        assert each == {
            "answers": [[200, None], [400, "invalid_grant"]],
            "codes": 0,
            "rows": 1,
            "links": 1,
            "live": [0, 0],
            "end": "code_replayed",
            "denied": ["authorization"],
            "names_it": True,
        }
