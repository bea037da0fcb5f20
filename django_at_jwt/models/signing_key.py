"""Signing keys in the database."""

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

STATE_NAMES = {
    KeyState.ANNOUNCED: _("announced"),
    KeyState.SIGNING: _("signing"),
    KeyState.RETAINED: _("retained"),
    KeyState.RETIRED: _("retired"),
    KeyState.REVOKED: _("revoked"),
}

# When each state begins, the last state first.
_BEGINNINGS = {KeyState.RETIRED: "retired_at", KeyState.RETAINED: "retained_at", KeyState.SIGNING: "signing_at"}


class SigningKey(models.Model):
    """A key pair. The row stores when it changes state; the current state is derived from the time.

    The private key is encrypted (compact JWE), and erased when the key is revoked.
    """

    kid = models.CharField(
        _("kid"), max_length=43, unique=True, editable=False, help_text=_("RFC 7638 thumbprint of the key.")
    )
    algorithm = models.CharField(_("algorithm"), max_length=16, editable=False)
    public_jwk = models.JSONField(_("public JWK"), editable=False)
    private_jwe = models.TextField(_("encrypted private JWK"), editable=False, blank=True)

    announced_at = models.DateTimeField(_("announced at"), editable=False)
    signing_at = models.DateTimeField(_("signs from"), editable=False)
    retained_at = models.DateTimeField(_("signs until"), editable=False, null=True, blank=True)
    retired_at = models.DateTimeField(_("published until"), editable=False, null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), editable=False, null=True, blank=True)
    revocation_reason = models.CharField(_("revocation reason"), max_length=200, editable=False, blank=True)
    last_token_expires_at = models.DateTimeField(
        _("last token expires at"),
        editable=False,
        null=True,
        blank=True,
        help_text=_("When the last recorded token that this key signed expires."),
    )

    class Meta:  # noqa: D106 - Django's own
        verbose_name = _("signing key")
        verbose_name_plural = _("signing keys")
        ordering: ClassVar = ["algorithm", "-signing_at"]
        # Keys are not added, changed or deleted by forms, but by rotation, revocation and the purge command.
        default_permissions = ("view",)
        permissions: ClassVar = [
            ("rotate_signingkey", _("Can rotate signing keys")),
            ("revoke_signingkey", _("Can revoke signing keys")),
        ]

    def __str__(self) -> str:
        return f"{self.algorithm} {self.kid}"

    @property
    def times(self) -> KeyTimes:
        """The effective instants: a key in ``AT_JWT["REVOKED_KIDS"]`` is revoked, even if a restored row is not."""
        stored = self.stored_times
        # It is unknown since when, so it counts as revoked from the beginning.
        return replace(stored, revoked_at=self.announced_at) if self.is_revoked_by_setting else stored

    @property
    def is_revoked_by_setting(self) -> bool:
        """Whether ``AT_JWT["REVOKED_KIDS"]`` alone revokes the key, so that it is unknown when it was revoked."""
        return self.revoked_at is None and self.kid in app_settings().revoked_kids

    @property
    def stored_times(self) -> KeyTimes:
        """The instants stored in this row."""
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
        """Store new instants for this key."""
        self.signing_at, self.retained_at = times.signing_at, times.retained_at
        self.retired_at, self.revoked_at = times.retired_at, times.revoked_at
        self.save(using=using, update_fields=["signing_at", "retained_at", "retired_at", "revoked_at"])

    def state_at(self, now: datetime) -> KeyState:
        """Return the state at an instant (an aware datetime)."""
        return self.times.state_at(now)

    @staticmethod
    def in_state(state: KeyState, now: datetime) -> models.Q:
        """Return the condition for rows that are in a state at an instant (an aware datetime), as :meth:`state_at`."""
        revoked = models.Q(revoked_at__isnull=False) | models.Q(kid__in=app_settings().revoked_kids)
        if state is KeyState.REVOKED:
            return revoked
        condition = ~revoked
        for latest, name in _BEGINNINGS.items():
            begun = models.Q(**{f"{name}__lte": now})
            if state is latest:
                return condition & begun
            condition &= ~begun
        return condition

    @staticmethod
    def not_retired(now: datetime) -> models.Q:
        """Return the condition for rows that are not retired at an instant (an aware datetime).

        Retired keys have no part in a rotation or a revocation, and a site that never purges keeps hundreds.
        """
        in_use = models.Q(retired_at__isnull=True) | models.Q(retired_at__gt=now)
        return in_use | SigningKey.in_state(KeyState.REVOKED, now)

    def state_name(self) -> str:
        """Return the current state in the active language."""
        return str(STATE_NAMES[self.state_at(timezone.now())])
