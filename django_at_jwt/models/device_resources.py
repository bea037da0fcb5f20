"""The resources that a device asked for, which the toolkit's own grant has no place for."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.db import models, router
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class DeviceResourcesManager(models.Manager["DeviceResources"]):
    """Keeps and gives the resources by the device code."""

    def keep(self, device_code: str, resources: Sequence[str], *, expires_at: datetime) -> None:
        """Keep what a device authorization request asked for, and drop what expired in the meantime."""
        primary = self.using(router.db_for_write(self.model))
        primary.filter(expires_at__lt=timezone.now()).delete()
        primary.create(device_code=device_code, resources=list(resources), expires_at=expires_at)

    def given(self, device_code: str) -> list[str]:
        """Give what was asked for, or an empty list where nothing was."""
        # From the primary: a replica that lags would say that nothing was asked for.
        row = self.using(router.db_for_write(self.model)).filter(device_code=device_code).first()
        return list(row.resources) if row is not None else []


class DeviceResources(models.Model):
    """What the ``resource`` parameters of a device authorization request were resolved to (RFC 8628, RFC 8707 §2)."""

    device_code = models.CharField(_("device code"), max_length=100, unique=True)
    resources = models.JSONField(_("resources"))
    expires_at = models.DateTimeField(_("expires at"), db_index=True)

    objects: ClassVar[DeviceResourcesManager] = DeviceResourcesManager()

    class Meta:  # noqa: D106 - Django's own
        verbose_name = _("resources of a device")
        verbose_name_plural = _("resources of devices")
        default_permissions = ()

    def __str__(self) -> str:
        # The code is a credential.
        return f"resources of device authorization {self.pk}"
