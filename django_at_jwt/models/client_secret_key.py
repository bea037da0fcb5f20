"""The keys that hash client secrets."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class ClientSecretKey(models.Model):
    """A symmetric key of the hasher for client secrets, which names it in each hash. A key is never changed."""

    kid = models.CharField(_("kid"), max_length=16, unique=True, editable=False)
    private_jwe = models.TextField(_("encrypted JWK"), editable=False)
    created_at = models.DateTimeField(_("created at"), editable=False, auto_now_add=True)

    class Meta:  # noqa: D106 - Django's own
        verbose_name = _("client secret key")
        verbose_name_plural = _("client secret keys")
        ordering: ClassVar = ["-created_at", "-pk"]
        # No page shows these rows: rotate_signing_keys creates them, and rewrap_signing_keys encrypts them again.
        default_permissions = ()

    def __str__(self) -> str:
        return self.kid
