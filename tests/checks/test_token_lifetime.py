"""The check of the function that decides lifetimes."""

from __future__ import annotations

import pytest

from django_at_jwt.checks import CheckId
from django_at_jwt.checks.settings import check_token_lifetime


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        (None, None),
        ("math.floor", None),
        ("math.no_such", "cannot be imported"),
        ("no_such.function", "cannot be imported"),
        ("math.pi", "is not callable"),
    ],
)
def test_function_that_cannot_be_called_is_reported(settings, path, problem):
    settings.AT_JWT = {**settings.AT_JWT, "TOKEN_LIFETIME": path}
    messages = check_token_lifetime()
    assert [message.id for message in messages] == ([] if problem is None else [CheckId.UNUSABLE_LIFETIME])
    assert all(problem in message.msg for message in messages)
