"""The deny list in the database."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_at_jwt.core.deny_list import DenyEntry, DenyKind

from .authorization import EndReason

if TYPE_CHECKING:
    from datetime import datetime


class DenyListEntry(models.Model):
    """A revocation that concerns tokens which have not expired yet.

    It names a token, an authorization, a client or an audience by value, without a foreign key, so it outlives the row
    that it names. Rows are only added, and deleted once they have expired, or if they concern later tokens of an API
    that was enabled again.
    """

    kind = models.CharField(
        _("kind"),
        max_length=16,
        choices=[
            (DenyKind.TOKEN.value, _("token")),
            (DenyKind.AUTHORIZATION.value, _("authorization")),
            (DenyKind.CLIENT.value, _("client")),
            (DenyKind.AUDIENCE.value, _("audience")),
        ],
    )
    value = models.CharField(_("value"), max_length=255)
    issued_until = models.DateTimeField(
        _("issued until"), null=True, blank=True, help_text=_("Concerns tokens issued up to this instant; empty: all.")
    )
    # Databases may compare text without case, so uniqueness is that of the digest.
    digest = models.CharField(_("digest"), max_length=64, editable=False)
    reason = models.CharField(_("reason"), max_length=64, blank=True, choices=EndReason.choices)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(
        _("expires at"), db_index=True, help_text=_("When the last token that it concerns has expired, plus leeway.")
    )

    class Meta:  # noqa: D106 - Django's own
        verbose_name = _("deny list entry")
        verbose_name_plural = _("deny list entries")
        ordering: ClassVar = ["-pk"]
        default_permissions = ("view",)
        # Not on the field: see Authorization.
        constraints: ClassVar = [models.UniqueConstraint(fields=["digest"], name="at_jwt_deny_list_digest")]
        permissions: ClassVar = [("revoke_tokens", _("Can revoke tokens"))]

    def __str__(self) -> str:
        return f"{self.kind} {self.value}"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.digest:
            until = "" if self.issued_until is None else int(self.issued_until.timestamp())
            self.digest = hashlib.sha256(f"{self.kind} {until} {self.value}".encode()).hexdigest()

    @property
    def entry(self) -> DenyEntry:
        """The entry as plain values."""
        return as_entry(self.kind, self.value, self.issued_until, self.expires_at)


def as_entry(kind: str, value: str, issued_until: datetime | None, expires_at: datetime) -> DenyEntry:
    """Return an entry from the columns of its row.

    Raises:
        ValueError: the kind is unknown, for instance that of a newer version of this app.
    """
    until = None if issued_until is None else int(issued_until.timestamp())
    return DenyEntry(DenyKind(kind), value, until, math.ceil(expires_at.timestamp()))
