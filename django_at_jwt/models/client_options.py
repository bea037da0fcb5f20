"""What an administrator has chosen for one client."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_at_jwt.core.resource_servers import TokenFormat


class ClientOptions(models.Model):
    """Options of one client that override the settings.

    The client is stored by model label and primary key, without a foreign key: django-oauth-toolkit's tables may be in
    another database.
    """

    # Set by the admin, which reads the clients of several rows in one query.
    client: Any = None
    client_model = models.CharField(_("client model"), max_length=100, editable=False)
    client_key = models.CharField(_("client"), max_length=64)
    # NULL means not set, as in the other option.
    token_format = models.CharField(  # noqa: DJ001
        _("token format"),
        max_length=6,
        null=True,
        blank=True,
        choices=[
            (None, _("as the API")),
            (TokenFormat.AT_JWT.value, _("at+jwt: a signed JWT")),
            (TokenFormat.OPAQUE.value, _("opaque: a random string, as from django-oauth-toolkit alone")),
        ],
        help_text=_("The format of new access tokens. Issued tokens stay valid. An isolated API keeps its own format."),
    )
    store_access_tokens = models.BooleanField(
        _("store access tokens"),
        null=True,
        blank=True,
        choices=[(None, _("as in the settings")), (True, _("yes")), (False, _("no"))],
        help_text=_("Whether its access tokens get a row in the database. Opaque tokens always get one."),
    )

    class Meta:  # noqa: D106 - Django's own
        verbose_name = _("client options")
        verbose_name_plural = _("client options")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["client_key", "client_model"], name="at_jwt_client_options_client")
        ]

    def __str__(self) -> str:
        return f"client {self.client_key}" if self.client is None else str(self.client.client_id)
