"""Checks of the version of django-oauth-toolkit, its swapped models, and functions that decide lifetimes."""

from __future__ import annotations

import re
from math import inf
from typing import Any, Final

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name

from django_at_jwt.conf import access_token_lifetime, has_lifetime_function, toolkit_model, toolkit_setting

from .ids import CheckId, issues_tokens, system_check

# The latest minor version with which the tests pass.
_TESTED: Final = (3, 4)
# With RS256 and no mapped claims, a token has about 800 characters.
_USUAL_LENGTH: Final = 1000


@system_check(issues_tokens)
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


@system_check(issues_tokens)
def check_time_zones(**_kwargs: Any) -> list[CheckMessage]:
    """Check that times have time zones, which parts of django-oauth-toolkit require."""
    if django_settings.USE_TZ:
        return []
    return [
        Warning(
            "USE_TZ is False, so django-oauth-toolkit's device flow answers 500, and so does dynamic client "
            "registration, unless the database is PostgreSQL.",
            hint="Set USE_TZ to True. If no client uses these endpoints, silence this warning.",
            id=CheckId.NO_TIME_ZONES,
        )
    ]


@system_check(issues_tokens)
def check_token_fields(**_kwargs: Any) -> list[CheckMessage]:
    """Check that swapped models can store the tokens."""
    access_token = toolkit_model("ACCESS_TOKEN_MODEL")
    are_hashed = toolkit_setting("COMPLIANT_BCP_RFC9700_TOKEN_STORAGE")
    messages: list[CheckMessage] = []
    for model in (access_token, toolkit_model("REFRESH_TOKEN_MODEL")):
        field: Any = model._meta.get_field("token")
        if are_hashed and field.unique:
            problem = "is unique, but empty in each row, because only hashes of tokens are stored"
        elif not are_hashed and model is access_token and (field.max_length or inf) < _USUAL_LENGTH:
            problem = f"holds at most {field.max_length} characters, which is too short for a JWT"
        else:
            continue
        messages.append(
            Error(
                f"{model._meta.label}.token {problem}.",
                hint="Remove the field from your model, which then inherits django-oauth-toolkit's TextField, and run: "
                "manage.py makemigrations",
                id=CheckId.UNUSABLE_TOKEN_FIELD,
            )
        )
    return messages


@system_check(issues_tokens)
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
