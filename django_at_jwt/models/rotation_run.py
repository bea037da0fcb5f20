"""The last run of the rotation."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class RotationRun(models.Model):
    """The last run of ``manage.py rotate_signing_keys``. The table has at most one row."""

    at = models.DateTimeField(_("at"), editable=False)
    changed = models.BooleanField(_("changed something"), editable=False)
    problem = models.CharField(_("problem"), max_length=500, editable=False, blank=True, help_text=_("Why it failed."))
    succeeded_at = models.DateTimeField(_("last success at"), editable=False, null=True, blank=True)

    class Meta:  # noqa: D106 - Django's own
        verbose_name = _("run of the rotation")
        verbose_name_plural = _("runs of the rotation")
        # No page shows these rows: signing_key_status does.
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.at}"
