"""Key pairs that sign access tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_at_jwt.conf import app_settings
from django_at_jwt.core.key_lifecycle import KeyState, KeyTimes

if TYPE_CHECKING:
    from datetime import datetime

_NAMES_OF_STATES = {
    KeyState.ANNOUNCED: _("announced"),
    KeyState.SIGNING: _("signing"),
    KeyState.RETAINED: _("retained"),
    KeyState.RETIRED: _("retired"),
    KeyState.REVOKED: _("revoked"),
}


class SigningKey(models.Model):
    """A key pair. Its row holds the instants at which it changes state; the state itself follows from the time.

    The private half is encrypted (a compact JWE) and is empty once the key was revoked.
    """

    kid = models.CharField(
        _("kid"), max_length=43, unique=True, editable=False, help_text=_("The key's RFC 7638 thumbprint.")
    )
    algorithm = models.CharField(_("algorithm"), max_length=16, editable=False)
    public_jwk = models.JSONField(_("public JWK"), editable=False)
    private_jwe = models.TextField(_("encrypted private JWK"), editable=False, blank=True)

    announced_at = models.DateTimeField(_("announced at"), editable=False)
    signing_at = models.DateTimeField(_("signs from"), editable=False)
    retained_at = models.DateTimeField(_("signs until"), editable=False, null=True, blank=True)
    retired_at = models.DateTimeField(_("published until"), editable=False, null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), editable=False, null=True, blank=True)
    revocation_reason = models.CharField(_("reason of the revocation"), max_length=200, editable=False, blank=True)
    last_token_expires_at = models.DateTimeField(
        _("last token expires at"),
        editable=False,
        null=True,
        blank=True,
        help_text=_("When the last token that this key signed expires, as far as it was recorded."),
    )

    class Meta:  # noqa: D106 - Django's own
        verbose_name = _("signing key")
        verbose_name_plural = _("signing keys")
        ordering: ClassVar = ["algorithm", "-signing_at"]
        # No key is made, edited or deleted by a form: keys come from rotations and go when nothing needs them any more.
        default_permissions = ("view",)
        permissions: ClassVar = [
            ("rotate_signingkey", _("Can rotate signing keys")),
            ("revoke_signingkey", _("Can revoke signing keys")),
        ]

    def __str__(self) -> str:
        return f"{self.algorithm} {self.kid}"

    @property
    def times(self) -> KeyTimes:
        """The instants that count: a key in ``AT_JWT["REVOKED_KIDS"]`` is revoked, whatever a restored row says."""
        stored = self.stored_times
        if stored.revoked_at is None and self.kid in app_settings().revoked_kids:
            return replace(stored, revoked_at=self.announced_at)
        return stored

    @property
    def stored_times(self) -> KeyTimes:
        """The instants of this row, as plain values."""
        return KeyTimes(
            kid=self.kid,
            algorithm=self.algorithm,
            announced_at=self.announced_at,
            signing_at=self.signing_at,
            retained_at=self.retained_at,
            retired_at=self.retired_at,
            revoked_at=self.revoked_at,
        )

    def take_times(self, times: KeyTimes, *, using: str) -> None:
        """Store other instants for this key."""
        self.signing_at, self.retained_at = times.signing_at, times.retained_at
        self.retired_at, self.revoked_at = times.retired_at, times.revoked_at
        self.save(using=using, update_fields=["signing_at", "retained_at", "retired_at", "revoked_at"])

    def state_at(self, now: datetime) -> KeyState:
        """Give the state at an instant (an aware datetime)."""
        return self.times.state_at(now)

    def state_name(self) -> str:
        """Give the present state in the reader's language."""
        return str(_NAMES_OF_STATES[self.state_at(timezone.now())])
