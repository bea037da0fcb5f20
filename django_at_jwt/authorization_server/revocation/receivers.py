"""Revoke tokens when django-oauth-toolkit, a user, a client or a resource server changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.db.models.signals import post_delete, post_save, pre_delete
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_application_model, get_refresh_token_model

from django_at_jwt.conf import app_settings, token_user_model
from django_at_jwt.models import Authorization, IssuedToken, ResourceServer
from django_at_jwt.models.authorization import EndReason, reference_to
from django_at_jwt.models.primary import primary_rows

from .entries import deny_tokens
from .revoke import end_authorizations, revoke_audience, revoke_client, revoke_user
from .supersession import is_refreshing

if TYPE_CHECKING:
    from collections.abc import Collection

_UID: Final = "django_at_jwt.revocation"
_SUPERSEDED: Final = "superseded by a refresh"
_DELETED: Final = "its row was deleted"


def connect() -> None:
    """Connect the signal receivers that revoke tokens.

    ``QuerySet.update()`` sends no signal; after it, call the functions of :mod:`django_at_jwt.revocation`.
    """
    post_delete.connect(_access_token_deleted, sender=get_access_token_model(), dispatch_uid=_UID)
    post_save.connect(_refresh_token_saved, sender=get_refresh_token_model(), dispatch_uid=_UID)
    for users in {token_user_model(), get_user_model()}:
        post_save.connect(_user_saved, sender=users, dispatch_uid=_UID)
        pre_delete.connect(_user_deleted, sender=users, dispatch_uid=_UID)
    pre_delete.connect(_client_deleted, sender=get_application_model(), dispatch_uid=_UID)
    post_save.connect(_resource_server_saved, sender=ResourceServer, dispatch_uid=_UID)


def _access_token_deleted(instance: Any, **_kwargs: Any) -> None:
    """Deny a token whose row was deleted before it expired. ``cleartokens`` deletes only expired ones."""
    links = primary_rows(IssuedToken).filter(access_token=str(instance.pk))
    if instance.expires > timezone.now() and (app_settings().revoke_superseded_tokens or not is_refreshing()):
        reason = _SUPERSEDED if is_refreshing() else _DELETED
        deny_tokens(links.values_list("token_id", "expires_at"), reason=reason)
    links.delete()


def _refresh_token_saved(instance: Any, update_fields: Collection[str] | None = None, **_kwargs: Any) -> None:
    """End the authorization of a refresh token that was revoked, not replaced: in the admin, by a user, at logout."""
    if instance.revoked is None or is_refreshing() or (update_fields is not None and "revoked" not in update_fields):
        return
    if instance.token_family is not None:
        live = primary_rows(Authorization).filter(family=instance.token_family, ended_at__isnull=True)
        end_authorizations(live, reason=EndReason.TOKEN_REVOKED)


def _user_saved(instance: Any, *, created: bool, update_fields: Collection[str] | None, **_kwargs: Any) -> None:
    if created:
        return
    if not getattr(instance, "is_active", True):
        revoke_user(instance, reason=EndReason.USER_DEACTIVATED)
    elif _has_new_password(instance, update_fields) and app_settings().revoke_on_password_change:
        revoke_user(instance, reason=EndReason.PASSWORD_CHANGED)


def _has_new_password(user: Any, update_fields: Collection[str] | None) -> bool:
    # Django's own mark of a new password, for password validators. It is None if a login only hashed the same password
    # with the preferred hasher.
    return getattr(user, "_password", None) is not None and (update_fields is None or "password" in update_fields)


def _user_deleted(instance: Any, **_kwargs: Any) -> None:
    revoke_user(instance, reason=EndReason.USER_DELETED)
    model, key = reference_to(instance)
    primary_rows(Authorization).filter(user_model=model, user_key=key).delete()


def _client_deleted(instance: Any, **_kwargs: Any) -> None:
    revoke_client(instance, reason=EndReason.CLIENT_DELETED)
    model, key = reference_to(instance)
    primary_rows(Authorization).filter(client_model=model, client_key=key).delete()


def _resource_server_saved(instance: ResourceServer, *, created: bool, **_kwargs: Any) -> None:
    if not (created or instance.enabled):
        revoke_audience(instance.identifier)
