"""Checks of the version of django-oauth-toolkit, and of functions that decide lifetimes."""

from __future__ import annotations

import re
from typing import Any, Final

from django.core.checks import CheckMessage, Warning  # noqa: A004 - Django's own name

from django_at_jwt.conf import access_token_lifetime, has_lifetime_function

from .ids import CheckId, issues_tokens, when

# The latest minor version with which the tests pass.
_TESTED: Final = (3, 4)


@when(issues_tokens)
def check_toolkit_version(**_kwargs: Any) -> list[CheckMessage]:
    """Check that this version was tested with the installed django-oauth-toolkit."""
    import oauth2_provider  # noqa: PLC0415 - not always installed

    version = getattr(oauth2_provider, "__version__", "")
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is None or (int(found[1]), int(found[2])) <= _TESTED:
        return []
    major, minor = _TESTED
    return [
        Warning(
            f"django-oauth-toolkit {version} is newer than the versions that django-at-jwt was tested with, up to "
            f"{major}.{minor}.",
            hint=f'Upgrade django-at-jwt, or require "django-oauth-toolkit<{major}.{minor + 1}". If the tests of your '
            "site pass with it, silence this warning.",
            id=CheckId.UNTRIED_TOOLKIT,
        )
    ]


@when(issues_tokens)
def check_lifetime_function(**_kwargs: Any) -> list[CheckMessage]:
    """Check that the longest lifetime of access tokens is known."""
    if not has_lifetime_function():
        return []
    return [
        Warning(
            "A function decides the lifetime of access tokens, so the longest one is unknown. A lifetime over "
            f"{access_token_lifetime()} seconds is shortened to that.",
            hint=f'Set OAUTH2_PROVIDER["ACCESS_TOKEN_EXPIRE_SECONDS"] to the longest lifetime in seconds, and '
            'AT_JWT["TOKEN_LIFETIME"] to a function that shortens it. If yours never returns more than '
            f"{access_token_lifetime()}, silence this warning.",
            id=CheckId.LIFETIME_FUNCTION,
        )
    ]
