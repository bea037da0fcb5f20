"""One report of the issuer and of the remote issuers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from django.utils import timezone

from django_at_jwt.conf import app_settings, has_issuer_tables
from django_at_jwt.core.health import Health, combined
from django_at_jwt.resource_server.health import remote_issuers_health

if TYPE_CHECKING:
    from datetime import timedelta

_ISSUER: Final = "django_at_jwt.authorization_server.health"


def health_report(*, max_run_age: timedelta | None = None) -> Health:
    """Return the health of this process.

    Args:
        max_run_age: the longest time between two successful runs of the rotation, by default
            ``AT_JWT["ROTATION_RUN_MAX_AGE"]``.

    Raises:
        ImproperlyConfigured: the settings are invalid.
    """
    now = timezone.now()
    parts = [Health(facts={"at": now.isoformat()})]
    if has_issuer_tables():
        if max_run_age is None:
            max_run_age = app_settings().rotation_run_max_age
        issuer = import_module(_ISSUER)  # Its tables are only in a project that issues tokens.
        parts.append(issuer.issuer_health(now, max_run_age=max_run_age))
    return combined(*parts, remote_issuers_health())
