"""Clients that may introspect all tokens."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class IntrospectionClient(models.Model):
    """A client that may introspect all tokens of the issuer, for instance a gateway in front of several APIs.

    It is stored by its ``client_id``, without a foreign key: django-oauth-toolkit's tables may be in another database.
    """

    client_id = models.CharField(
        _("client"),
        max_length=255,
        unique=True,
        help_text=_("It gets the claims and the username of any active token, whichever API the token is for."),
    )

    class Meta:  # noqa: D106 - Django's own
        verbose_name = _("client that introspects all tokens")
        verbose_name_plural = _("clients that introspect all tokens")
        ordering: ClassVar = ["client_id"]

    def __str__(self) -> str:
        return self.client_id
