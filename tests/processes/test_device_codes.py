"""Two exchanges of one device code at the same moment: one gets tokens."""

from __future__ import annotations

import pytest

from .databases import manage, new_database, outcome_of

pytestmark = pytest.mark.ci


# SQLite has no row locks: its writers follow one another, or fail.
@pytest.mark.compliance("8628-1")
@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_exchanges_at_once(kind, tmp_path):
    with new_database(kind, tmp_path) as url:
        for command in (("migrate", "-v0"), ("rotate_signing_keys",)):
            assert manage(url, *command).returncode == 0
        results = outcome_of(url, "exchange_device_code_at_once")
    assert len(results) == 12
    for each in results:
        assert each == {
            "answers": [[200, None], [400, "invalid_grant"]],
            "later": [400, "expired_token"],
            "rows": [1, 1, 1],
        }
