"""The checks of the settings for revocation."""

from __future__ import annotations

import pytest

from django_at_jwt.checks import CheckId
from django_at_jwt.checks.revocation import check_revocation
from django_at_jwt.conf import oauth2_provider


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        ({}, 0),
        ({"REVOCATION": "row"}, 0),
        ({"REVOCATION": "offline"}, 0),
        ({"REVOCATION_MAX_AGE": 10, "REVOCATION_MAX_STALE": 10}, 0),
        ({"REVOCATION_MAX_AGE": 10, "REVOCATION_MAX_STALE": 9}, 1),
        ({"REVOCATION_MAX_AGE": 301}, 1),
    ],
)
def test_times(changes, problems, settings):
    settings.AT_JWT = {"DEFAULT_RESOURCE": settings.API, **changes}
    found = check_revocation()
    assert [each.id for each in found] == [CheckId.UNUSABLE_REVOCATION] * problems


@pytest.mark.parametrize(("revocation", "problems"), [(None, 0), ("offline", 0), ("deny_list", 1), ("row", 1)], ids=str)
def test_project_without_the_tables(revocation, problems, settings, monkeypatch):
    monkeypatch.setattr(oauth2_provider.apps, "is_installed", lambda name: name != "oauth2_provider")
    settings.AT_JWT = {"REVOCATION": revocation}
    found = check_revocation()
    assert len(found) == problems
    assert all(f'"{revocation}"' in each.msg for each in found)
