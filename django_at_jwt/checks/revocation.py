"""Checks of the settings for revocation."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name

from django_at_jwt.conf import app_settings, has_issuer_tables
from django_at_jwt.core.revocation import Revocation

from .ids import CheckId, has_root_urlconf, settings_valid, system_check


@system_check(settings_valid)
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


@system_check(settings_valid, has_root_urlconf)
def check_published_revocations(**_kwargs: Any) -> list[CheckMessage]:
    """Check that the document of revocations is served, if the settings publish it."""
    if not app_settings().publish_revocations:
        return []
    if not has_issuer_tables():
        problem = "this project issues no tokens"
        hint = (
            'Remove it. To obey the revocations of another issuer, set "revocation" in its entry of AT_JWT["ISSUERS"].'
        )
    elif _is_missing():
        problem = "no view serves the document, so the metadata does not announce it"
        hint = (
            "Add django_at_jwt.urls.document_urlpatterns to the URLs of the issuer, or mount "
            "django_at_jwt.oauth2_views.RevocationsView."
        )
    else:
        return []
    return [
        Warning(f'AT_JWT["PUBLISH_REVOCATIONS"] is on, but {problem}.', hint=hint, id=CheckId.REVOCATIONS_NOT_SERVED)
    ]


def _is_missing() -> bool:
    """Return whether this app's URLs serve the JWK set without the document. E007 reports URLs without both."""
    # A project that only verifies has no django-oauth-toolkit.
    from django_at_jwt.authorization_server.endpoint_urls import first_path, mounted_views  # noqa: PLC0415
    from django_at_jwt.authorization_server.views.jwk_set import JwkSetView  # noqa: PLC0415
    from django_at_jwt.authorization_server.views.revocations import RevocationsView  # noqa: PLC0415

    return first_path(mounted_views(JwkSetView)) is not None and first_path(mounted_views(RevocationsView)) is None
