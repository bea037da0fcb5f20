"""Simultaneous refreshes of one family: in any order, one lineage is left once a sibling was used."""

from __future__ import annotations

import pytest

from .databases import outcome_of

pytestmark = pytest.mark.ci

OK = [200, None]
REFUSED = [400, "invalid_grant"]


# SQLite has no row locks: its writers follow one another, or fail.
@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_refreshes_at_once(kind, prepared_databases, tmp_path):
    with prepared_databases.copy(kind, tmp_path) as url:
        results = outcome_of(url, "refresh_at_once")

    for each in results["same 0"]:
        assert sorted(each["answers"]) == [OK, REFUSED, REFUSED, REFUSED]
        assert (each["live"], each["later"], each["in_the_end"]) == (1, [200], 1)
    for each in results["same 120"]:
        assert each["answers"] == [OK] * 4
        # All are siblings, of which the first that is used ends the others.
        assert (each["live"], each["later"], each["in_the_end"]) == (4, [200, 400, 400, 400], 1)
    for each in results["siblings 120"]:
        assert sorted(each["answers"]) == [OK, REFUSED, REFUSED, REFUSED]
        assert (each["live"], each["later"], each["in_the_end"]) == (1, [200], 1)
    for each in results["retries_and_siblings 120"]:
        assert each["live"] == each["in_the_end"] == 1
        assert each["later"].count(200) == 1
        assert sum(each["answers"][which] == OK for which in (1, 3)) == 1
    for each in results["retry_and_first_use 120"]:
        assert each["answers"][1] == OK
        assert each["live"] == each["in_the_end"] == 1
        assert each["later"].count(200) == 1
