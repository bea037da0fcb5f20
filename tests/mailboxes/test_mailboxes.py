"""A site whose access tokens are about another model than AUTH_USER_MODEL: no user gets the account of another."""

from __future__ import annotations

import pytest

from tests.swapped.test_sites import run

pytestmark = pytest.mark.ci

SETTINGS = "tests.mailboxes.settings"


def test_subjects_are_never_looked_up_in_the_wrong_table():
    done = run(
        SETTINGS, "pytest", "--quiet", "-p", "no:cacheprovider", f"--ds={SETTINGS}", "tests/mailboxes/on_the_site.py"
    )
    if done.returncode:
        pytest.fail(f"{done.stdout}\n{done.stderr}", pytrace=False)


def test_the_migrations_are_complete():
    done = run(SETTINGS, "django", "makemigrations", "--check", "--dry-run", "--skip-checks")
    assert done.returncode == 0, done.stdout + done.stderr
