"""Checks of the settings for revocation."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error

from django_at_jwt.conf import app_settings, has_issuer_tables
from django_at_jwt.core.revocation import Revocation

from .ids import CheckId, settings_valid, when


@when(settings_valid)
def check_revocation(**_kwargs: Any) -> list[CheckMessage]:
    """Check that the deny list exists if it is asked, and that its times are consistent."""
    settings = app_settings()
    problems: list[CheckMessage] = []
    if settings.local_revocation is not Revocation.OFFLINE and not has_issuer_tables():
        problems.append(
            Error(
                f'AT_JWT["REVOCATION"] is "{settings.local_revocation}", and this project has no tables of an issuer.',
                hint='Add "oauth2_provider" and "django_at_jwt" to INSTALLED_APPS, or remove the setting. For tokens '
                'of an issuer in another project, set "revocation" in its entry of AT_JWT["ISSUERS"].',
                id=CheckId.UNUSABLE_REVOCATION,
            )
        )
    if settings.revocation_max_stale < settings.revocation_max_age:
        problems.append(
            Error(
                f'AT_JWT["REVOCATION_MAX_STALE"] ({settings.revocation_max_stale:g} seconds) is less than '
                f'AT_JWT["REVOCATION_MAX_AGE"] ({settings.revocation_max_age:g} seconds).',
                hint="Raise REVOCATION_MAX_STALE, or lower REVOCATION_MAX_AGE.",
                id=CheckId.UNUSABLE_REVOCATION,
            )
        )
    return problems
