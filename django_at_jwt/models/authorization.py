"""Facts of an authorization that django-oauth-toolkit's models do not store."""

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
    """Finds authorizations by the client's credentials."""

    def of_code(self, code: str) -> Authorization | None:
        """Return the authorization of an authorization code or device code."""
        return primary_rows(self.model).filter(key=key_of_code(code)).first()

    def of_family(self, token_family: UUID | None) -> Authorization | None:
        """Return the authorization of a family of refresh tokens."""
        return primary_rows(self.model).filter(key=key_of_family(token_family)).first() if token_family else None

    def remember_login(self, device_code: str, authentication: dict[str, Any]) -> None:
        """Store how the user who approved a device logged in."""
        primary_rows(self.model).filter(key=key_of_code(device_code)).update(authentication=authentication)


class Authorization(models.Model):
    """What a resource owner approved and how they logged in, which is the same for all tokens of the authorization.

    The row belongs to a code, and, once the code is exchanged, to the family of refresh tokens (RFC 9068 §2.2.1).
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
        # Not the key: it identifies a credential.
        return f"authorization {self.pk}"

    @classmethod
    def for_code(
        cls, code: str, *, scopes: Sequence[str], resources: Sequence[str], expires_at: datetime, **others: Any
    ) -> Self:
        """Return an unsaved row for an authorization code or device code."""
        return cls(
            key=key_of_code(code), scopes=" ".join(scopes), resources=list(resources), expires_at=expires_at, **others
        )

    def move_to_family(self, token_family: UUID, *, keep_until: datetime) -> None:
        """Assign the row to a family of refresh tokens, and store it.

        Args:
            token_family: the family.
            keep_until: the clean-up keeps the row until then, even if no token of the family exists yet.
        """
        before, self.key, self.expires_at = self.key, key_of_family(token_family), keep_until
        if not self._state.adding:
            if type(self)._base_manager.filter(pk=self.pk, key=before).update(key=self.key, expires_at=keep_until):
                return
            # Another request exchanged the same code: the second family gets its own row.
            self.pk, self._state.adding = None, True
        self.save()


def key_of_code(code: str) -> str:
    """Return the key of a code: its hash, since the code is a credential."""
    return f"c:{hashlib.sha256(code.encode()).hexdigest()}"


def key_of_family(token_family: UUID) -> str:
    """Return the key of a family of refresh tokens."""
    return f"f:{token_family.hex}"


def family_of(key: str) -> UUID | None:
    """Return the family of refresh tokens of a key, or ``None`` for the key of a code."""
    return UUID(key[2:]) if key.startswith("f:") else None
