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
        """Register the system checks and, on an authorization server, the receivers of signals."""
        from .checks import register_checks  # noqa: PLC0415 - it imports the models
        from .metrics import connect_metrics  # noqa: PLC0415 - it imports the settings

        register_checks()
        connect_metrics()
        if apps.is_installed("oauth2_provider"):
            from .authorization_server.client_metadata import refuse_remote_http  # noqa: PLC0415 - it imports the models
            from .authorization_server.clients import add_validators  # noqa: PLC0415 - it imports the models
            from .authorization_server.login import events  # noqa: PLC0415 - it imports the models
            from .authorization_server.redirect_uris import refuse_user_information  # noqa: PLC0415 - it imports the models
            from .authorization_server.revocation import receivers  # noqa: PLC0415 - it imports the models
            from .authorization_server.subject import refuse_subject_as_client_id  # noqa: PLC0415 - it imports the models

            events.connect()
            receivers.connect()
            add_validators("client_id", refuse_subject_as_client_id)
            add_validators("redirect_uris", refuse_user_information, refuse_remote_http)
            add_validators("post_logout_redirect_uris", refuse_user_information)
