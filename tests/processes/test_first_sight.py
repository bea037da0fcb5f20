"""However many requests bring a subject for the first time at once, it becomes one user."""

from __future__ import annotations

import pytest

from .databases import KINDS, outcome_of

pytestmark = pytest.mark.ci


@pytest.mark.parametrize("kind", KINDS)
def test_one_user_for_each_subject(kind, prepared_databases, tmp_path):
    with prepared_databases.copy(kind, tmp_path, keys=False) as url:
        result = outcome_of(url, "see_at_once")
    assert [subject for subject, _ in result["seen"]] == ["first", "second"]
    assert len({user for _, user in result["seen"]}) == result["rows"] == 2
    assert len(result["names"]) == 3
    assert [name.partition("-")[0] for name in result["names"]] == ["ann"] * 3
