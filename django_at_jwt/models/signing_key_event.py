"""The history of the signing keys."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class KeyAction(models.TextChoices):
    """What was done to a signing key."""

    CREATED = "created", _("created")
    IMPORTED = "imported", _("imported")
    RESCHEDULED = "rescheduled", _("rescheduled")
    REVOKED = "revoked", _("revoked")
    REFRESH_TOKENS_REVOKED = "refresh_tokens_revoked", _("refresh tokens revoked")
    REENCRYPTED = "reencrypted", _("re-encrypted")
    DELETED = "deleted", _("deleted")


class SigningKeyEvent(models.Model):
    """A change to a signing key: what was done, when, by whom and why.

    Rows are only added, in the transaction of the change. They name the key and the user by value, without foreign
    keys, so they outlive both. They contain nothing of the key but its kid.
    """

    kid = models.CharField(_("kid"), max_length=43, db_index=True, editable=False)
    algorithm = models.CharField(_("algorithm"), max_length=16, editable=False)
    at = models.DateTimeField(_("at"), editable=False)
    action = models.CharField(_("action"), max_length=32, choices=KeyAction.choices, editable=False)
    description = models.TextField(
        _("description"), blank=True, editable=False, help_text=_("In the language of the user or of the command.")
    )
    actor = models.CharField(
        _("by"), max_length=254, blank=True, editable=False, help_text=_("The user, or what --by of the command named.")
    )
    source = models.CharField(
        _("through"), max_length=100, blank=True, editable=False, help_text=_("The admin site or a command.")
    )
    reason = models.CharField(_("reason"), max_length=300, blank=True, editable=False)

    class Meta:  # noqa: D106 - Django's own
        verbose_name = _("signing key event")
        verbose_name_plural = _("signing key events")
        ordering: ClassVar = ["-pk"]
        # The permission to view signing keys includes their history.
        default_permissions: ClassVar = ()

    def __str__(self) -> str:
        return f"{self.get_action_display()}: {self.kid}"

    @property
    def by(self) -> str:
        """The actor and the source as one text."""
        return ", ".join(filter(None, (self.actor, self.source))) or "-"
