"""What one authorization settled, and what the toolkit's own rows have no place for."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar, Self
from uuid import UUID

from django.db import models
from django.utils.translation import gettext_lazy as _

from .primary import primary_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class AuthorizationManager(models.Manager["Authorization"]):
    """Keeps and gives authorizations by what the client holds of them."""

    def of_code(self, code: str) -> Authorization | None:
        """Give the authorization that an authorization code or a device code stands for."""
        return primary_rows(self.model).filter(key=key_of_code(code)).first()

    def of_family(self, token_family: UUID | None) -> Authorization | None:
        """Give the authorization of a refresh token, whichever of its family it is."""
        return primary_rows(self.model).filter(key=key_of_family(token_family)).first() if token_family else None

    def remember_login(self, device_code: str, authentication: dict[str, Any]) -> None:
        """Keep how the user had logged in who approved a device."""
        primary_rows(self.model).filter(key=key_of_code(device_code)).update(authentication=authentication)


class Authorization(models.Model):
    """What a resource owner agreed to once, and how they had logged in: the same for every token that comes of it.

    The row belongs to a code first, and to the family of refresh tokens once the code was exchanged (RFC 9068 §2.2.1).
    """

    key = models.CharField(_("key"), max_length=66, unique=True)
    scopes = models.TextField(_("scopes"), blank=True)
    resources = models.JSONField(_("resources"), default=list)
    authentication = models.JSONField(_("authentication"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires at"), db_index=True)

    objects: ClassVar[AuthorizationManager] = AuthorizationManager()

    class Meta:  # noqa: D106 - Django's own
        verbose_name = _("authorization")
        verbose_name_plural = _("authorizations")
        default_permissions = ()

    def __str__(self) -> str:
        # The key stands for a credential.
        return f"authorization {self.pk}"

    @classmethod
    def for_code(
        cls, code: str, *, scopes: Sequence[str], resources: Sequence[str], expires_at: datetime, **others: Any
    ) -> Self:
        """Make the unsaved row of an authorization code or a device code."""
        return cls(
            key=key_of_code(code), scopes=" ".join(scopes), resources=list(resources), expires_at=expires_at, **others
        )

    def move_to_family(self, token_family: UUID, *, keep_until: datetime) -> None:
        """Let the row belong to a family of refresh tokens from now on, and store it.

        Args:
            keep_until: no clean-up deletes the row before, even if it sees none of the family's tokens yet.
        """
        before, self.key, self.expires_at = self.key, key_of_family(token_family), keep_until
        if not self._state.adding:
            if type(self)._base_manager.filter(pk=self.pk, key=before).update(key=self.key, expires_at=keep_until):
                return
            # Another request has exchanged the same code. Each of the two families has what was settled.
            self.pk, self._state.adding = None, True
        self.save()


def key_of_code(code: str) -> str:
    """Give the key of a code: its hash, since the code itself is a credential."""
    return f"c:{hashlib.sha256(code.encode()).hexdigest()}"


def key_of_family(token_family: UUID) -> str:
    """Give the key of a family of refresh tokens."""
    return f"f:{token_family.hex}"


def family_of(key: str) -> UUID | None:
    """Give the family of refresh tokens that a key stands for, or ``None`` where it stands for a code."""
    return UUID(key[2:]) if key.startswith("f:") else None
