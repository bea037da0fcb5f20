"""Authorizations: one consent, and all tokens issued for it."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_at_jwt.core.token_id import LONGEST_TOKEN_ID

from .issued_token import IssuedToken
from .primary import primary_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from uuid import UUID


FIRST_TOKEN_FIELDS: Final = ("first_token_id", "first_token_kid", "first_token_checksum", "first_token_expires_at")


class EndReason(models.TextChoices):
    """Why tokens were revoked."""

    TOKEN_REVOKED = "token_revoked", _("its token was revoked")
    REFRESH_TOKEN_REUSED = "refresh_token_reused", _("a refresh token was used again")
    CODE_REPLAYED = "code_replayed", _("the authorization code was used again")
    LOGOUT = "logout", _("the user logged out")
    USER_DEACTIVATED = "user_deactivated", _("the user was deactivated")
    USER_DELETED = "user_deleted", _("the user was deleted")
    PASSWORD_CHANGED = "password_changed", _("the user's password was changed")
    CLIENT_DELETED = "client_deleted", _("the client was deleted")
    CLIENT_REVOKED = "client_revoked", _("all tokens of the client were revoked")
    SUPERSEDED = "superseded", _("replaced by a refresh")
    API_DISABLED = "api_disabled", _("the API was disabled")
    KEY_REVOKED = "key_revoked", _("a signing key was revoked")
    ADMINISTRATOR = "administrator", _("revoked by an administrator")


class AuthorizationManager(models.Manager["Authorization"]):
    """Finds authorizations by the client's credentials."""

    def of_code(self, code: str) -> Authorization | None:
        """Return the authorization of an authorization code or device code."""
        return primary_rows(self.model).filter(code_hash=credential_hash(code)).first()

    def of_family(self, token_family: UUID | None) -> Authorization | None:
        """Return the authorization of a family of refresh tokens."""
        return primary_rows(self.model).filter(family=token_family).first() if token_family else None

    def lock_family(self, token_family: UUID | None) -> None:
        """Lock the authorization of a family of refresh tokens until the end of the transaction."""
        if token_family is not None:
            primary_rows(self.model).select_for_update().filter(family=token_family).first()

    def begin_family(self, refresh_token: Any, *, scopes: str) -> Authorization:
        """Store and return the authorization of a family that has none yet.

        Args:
            refresh_token: a row of the family.
            scopes: the granted scopes, separated by spaces.
        """
        user_model, user_key = reference_to(refresh_token.user)
        client_model, client_key = reference_to(refresh_token.application)
        authorization, _created = primary_rows(self.model).get_or_create(
            family=refresh_token.token_family,
            defaults={
                "user_model": user_model,
                "user_key": user_key,
                "client_model": client_model,
                "client_key": client_key,
                "scopes": scopes,
                "resources": list(refresh_token.resource or ()),
                "expires_at": timezone.now(),
            },
        )
        return authorization

    def approve_device(self, device_code: str, *, user: Any, authentication: dict[str, Any] | None) -> None:
        """Store who approved a device, and how they logged in."""
        user_model, user_key = reference_to(user)
        primary_rows(self.model).filter(code_hash=credential_hash(device_code)).update(
            user_model=user_model, user_key=user_key, authentication=authentication
        )


def new_identifier() -> str:
    """Return a random identifier for an authorization: 32 characters of lower-case hex."""
    return secrets.token_hex(16)


class Authorization(models.Model):
    """What a resource owner approved and how they logged in: the same for all its tokens (RFC 9068 section 2.2.1).

    User and client are stored by model label and primary key, without foreign keys: django-oauth-toolkit's tables may
    be in another database, and ``AccessToken.user`` may refer to another model than ``AUTH_USER_MODEL``. The user is
    empty until a device is approved.

    ``code_hash`` identifies the code or device code, also after its exchange, and ``family`` the refresh tokens.

    If the first access token is a JWT, the link between it and its row is part of this row, and stored in the same
    statement. The row of the token is known by its checksum, since its primary key does not exist yet. All other tokens
    have an :class:`~django_at_jwt.models.IssuedToken`.
    """

    identifier = models.CharField(_("identifier"), max_length=32, default=new_identifier, editable=False)
    user_model = models.CharField(_("user model"), max_length=100, blank=True)
    user_key = models.CharField(_("user"), max_length=64, blank=True)
    client_model = models.CharField(_("client model"), max_length=100, blank=True)
    client_key = models.CharField(_("client"), max_length=64, blank=True)
    scopes = models.TextField(_("scopes"), blank=True)
    resources = models.JSONField(_("resources"), default=list)
    authentication = models.JSONField(_("authentication"), null=True, blank=True)
    code_hash = models.CharField(_("hash of the code"), max_length=64, null=True, blank=True)  # noqa: DJ001
    code_used_at = models.DateTimeField(_("code used at"), null=True, blank=True)
    family = models.UUIDField(_("family of refresh tokens"), null=True, blank=True, unique=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    last_token_at = models.DateTimeField(
        _("last token"), null=True, blank=True, help_text=_("When its last token was issued, to the hour.")
    )
    tokens_expire_at = models.DateTimeField(
        _("tokens expire at"), null=True, blank=True, help_text=_("When all access tokens issued so far have expired.")
    )
    first_token_id = models.CharField(  # noqa: DJ001
        _("jti of the first access token"), max_length=LONGEST_TOKEN_ID, null=True, blank=True
    )
    first_token_kid = models.CharField(  # noqa: DJ001
        _("kid of the first access token"), max_length=43, null=True, blank=True
    )
    first_token_checksum = models.CharField(  # noqa: DJ001
        _("checksum of the first access token's row"), max_length=64, null=True, blank=True
    )
    first_token_expires_at = models.DateTimeField(_("first access token expires at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    end_reason = models.CharField(_("reason of the end"), max_length=32, blank=True, choices=EndReason.choices)
    expires_at = models.DateTimeField(
        _("expires at"), db_index=True, help_text=_("Kept until then, even if no token of it is stored.")
    )

    objects: ClassVar[AuthorizationManager] = AuthorizationManager()

    class Meta:  # noqa: D106 - Django's own
        verbose_name = _("authorization")
        verbose_name_plural = _("authorizations")
        default_permissions = ("view",)
        indexes: ClassVar = [
            models.Index(fields=["user_key", "user_model"], name="at_jwt_authorization_user"),
            models.Index(fields=["client_key", "client_model"], name="at_jwt_authorization_client"),
            models.Index(fields=["first_token_kid", "first_token_expires_at"], name="at_jwt_authorization_key"),
        ]
        # Not unique=True: on PostgreSQL, Django would add a second index for LIKE to each field.
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["identifier"], name="at_jwt_authorization_id"),
            models.UniqueConstraint(fields=["code_hash"], name="at_jwt_authorization_code"),
            models.UniqueConstraint(fields=["first_token_checksum"], name="at_jwt_authorization_token"),
        ]

    def __str__(self) -> str:
        # Not the hash or the family: they identify a credential.
        return f"authorization {self.pk}"

    @classmethod
    def for_device(
        cls, device_code: str, *, client: Any, scopes: Sequence[str], resources: Sequence[str], expires_at: datetime
    ) -> Self:
        """Return an unsaved row for a device code, which has no user until it is approved."""
        row = cls(
            code_hash=credential_hash(device_code),
            scopes=" ".join(scopes),
            resources=list(resources),
            expires_at=expires_at,
        )
        row.set_client(client)
        return row

    def first_link(self, access_token: str) -> IssuedToken:
        """Return the link of the first access token, unsaved.

        Args:
            access_token: the primary key of its row, or an empty string if the row is gone.
        """
        return IssuedToken(  # type: ignore[misc] # The four columns are set together.
            access_token=access_token,
            token_id=self.first_token_id,
            authorization=self.identifier,
            kid=self.first_token_kid,
            # A refresh token issued with it has begun the family.
            has_refresh_token=self.family is not None,
            expires_at=self.first_token_expires_at,
        )

    def set_user(self, user: Any) -> None:
        """Set the user who approved it, or clear it with ``None``. Not saved."""
        self.user_model, self.user_key = reference_to(user)

    def set_client(self, client: Any) -> None:
        """Set the client. Not saved."""
        self.client_model, self.client_key = reference_to(client)


def reference_to(row: Any) -> tuple[str, str]:
    """Return the model label and the primary key of a row as text; empty strings for ``None``."""
    return ("", "") if row is None or row.pk is None else (label_of(row), str(row.pk))


def label_of(model: Any) -> str:
    """Return the label that references have for the rows of a model: that of its concrete model."""
    return str(model._meta.concrete_model._meta.label)


def referenced_rows(model: Any, references: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Any]:
    """Return rows of a model by their references, in one statement.

    Left out: rows that do not exist, and references to other models, whose keys may have another type.
    """
    label = label_of(model)
    keys = {key for of_model, key in references if of_model == label}
    rows = model._default_manager.filter(pk__in=keys) if keys else ()
    return {reference_to(row): row for row in rows}


def credential_hash(credential: str) -> str:
    """Return the hash under which a code is stored; for a token, DOT's ``token_checksum``."""
    return hashlib.sha256(credential.encode()).hexdigest()
