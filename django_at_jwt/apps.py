"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig, apps
from django.utils.translation import gettext_lazy as _


class DjangoAtJwtConfig(AppConfig):
    """Access tokens for Django."""

    name = "django_at_jwt"
    verbose_name = _("Access tokens")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the system checks; where tokens are issued, record logins and guard the ids of clients.

        Raises:
            ImproperlyConfigured: the settings do not say whose tokens are accepted, and for which API.
        """
        from .checks import ALL_CHECKS, DEPLOYMENT_CHECKS  # noqa: PLC0415 - the checks import the models
        from .checks.starting import refuse_to_start, register_checks  # noqa: PLC0415 - the same

        register_checks(ALL_CHECKS, DEPLOYMENT_CHECKS)
        if apps.is_installed("oauth2_provider"):
            from .authorization_server import authentication, subjects  # noqa: PLC0415 - they need the models

            authentication.connect()
            subjects.guard_client_ids()
        refuse_to_start()
