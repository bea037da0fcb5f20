"""The checks of the settings for revocation."""

from __future__ import annotations

import pytest

from django_at_jwt.checks import CheckId
from django_at_jwt.checks.revocation import check_published_revocations, check_revocation
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


@pytest.mark.parametrize(
    ("urls", "publishes", "problems"),
    [
        ("tests.site.urls", True, 0),
        ("tests.site.urls_without_revocations", True, 1),
        ("tests.site.urls_without_revocations", False, 0),
        # E007 reports these.
        ("tests.site.urls_of_the_toolkit", True, 0),
    ],
)
def test_document_of_revocations_is_served(urls, publishes, problems, settings):
    settings.ROOT_URLCONF = urls
    settings.AT_JWT = {"DEFAULT_RESOURCE": settings.API, "PUBLISH_REVOCATIONS": publishes}
    found = check_published_revocations()
    assert [each.id for each in found] == [CheckId.REVOCATIONS_NOT_SERVED] * problems


def test_project_that_issues_no_tokens_publishes_nothing(settings, monkeypatch):
    monkeypatch.setattr(oauth2_provider.apps, "is_installed", lambda name: name != "oauth2_provider")
    settings.AT_JWT = {"PUBLISH_REVOCATIONS": True}
    [found] = check_published_revocations()
    assert "issues no tokens" in found.msg
