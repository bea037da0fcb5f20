"""Revoke tokens when django-oauth-toolkit, a user, a client or a resource server changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import get_hasher, identify_hasher, is_password_usable
from django.db import connections
from django.db.models import Q
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_application_model, get_refresh_token_model

from django_at_jwt.conf import app_settings, token_user_model
from django_at_jwt.models import Authorization, ResourceServer
from django_at_jwt.models.authorization import EndReason
from django_at_jwt.models.primary import primary_rows

from .authorizations import (
    authorizations_of_users,
    forget_authorizations,
    forget_clients,
    live_authorizations_of_users,
    lock_authorizations,
)
from .entries import deny_tokens
from .issued_tokens import link_of_row
from .reasons import current_reason
from .revoke import (
    close_audiences,
    deny_all_tokens,
    deny_tokens_of_client,
    end_authorizations,
    reopen_audiences,
    revoke_client,
    revoke_users,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from django.db.models import Model
    from django.db.models.signals import ModelSignal

_UID: Final = "django_at_jwt.revocation"
# Set on an instance before it is saved, if its save revokes tokens, or ends the revocation of later ones.
_PENDING: Final = "_django_at_jwt_end_reason"


def connect() -> None:
    """Connect the signal receivers that revoke tokens.

    ``QuerySet.update()`` sends no signal; after it, call the functions of :mod:`django_at_jwt.revocation`.
    """
    _connect(post_delete, get_access_token_model(), _after_access_token_delete)
    _connect(pre_save, get_refresh_token_model(), _before_refresh_token_save)
    _connect(post_save, get_refresh_token_model(), _after_refresh_token_save)
    for model in {token_user_model(), get_user_model()}:
        _connect(pre_save, model, _before_user_save)
        _connect(post_save, model, _after_user_save)
        _connect(pre_delete, model, _before_user_delete)
    _connect(pre_save, get_application_model(), _before_client_save)
    _connect(post_save, get_application_model(), _after_client_save)
    _connect(pre_delete, get_application_model(), _before_client_delete)
    _connect(pre_save, ResourceServer, _before_resource_server_save)
    _connect(post_save, ResourceServer, _after_resource_server_save)
    _connect(pre_delete, ResourceServer, _before_resource_server_delete)


def _connect(signal: ModelSignal, model: type[Model], receiver: Callable[..., None]) -> None:
    # Instances of proxies and of models that inherit a table send signals of their own class.
    for each in apps.get_models():
        if issubclass(each, model):
            signal.connect(receiver, sender=each, dispatch_uid=_UID)


def _after_access_token_delete(instance: Any, **_kwargs: Any) -> None:
    """Revoke a token whose row was deleted before it expired. ``cleartokens`` deletes only expired ones.

    Its authorization ends (RFC 7009 section 2.1), or the token alone if the client acts for itself.
    """
    reason = current_reason()
    if reason is None or instance.expires <= timezone.now():
        return
    link = link_of_row(instance)
    if link is None:
        return
    if link.authorization:
        _end(Q(identifier=link.authorization), reason)
    else:
        deny_tokens([(link.token_id, link.expires_at)], reason=reason)


def _before_refresh_token_save(
    instance: Any, *, raw: bool, using: str, update_fields: Collection[str] | None, **_kwargs: Any
) -> None:
    """Find out whether this revokes the refresh token; saving one again that was replaced does not."""
    vars(instance).pop(_PENDING, None)
    reason = current_reason()
    if raw or instance.revoked is None or instance.token_family is None or reason is None:
        return
    former = _former(instance, ("revoked",), using, update_fields)
    if former is not None and former["revoked"] is None:
        setattr(instance, _PENDING, reason)


def _after_refresh_token_save(instance: Any, **_kwargs: Any) -> None:
    """End the authorization of a refresh token that was revoked, not replaced: in the admin, by a user, at logout."""
    reason = vars(instance).pop(_PENDING, None)
    if reason is not None:
        _end(Q(family=instance.token_family), reason)


def _end(condition: Q, reason: EndReason) -> None:
    live = primary_rows(Authorization).filter(condition, ended_at__isnull=True)
    if reason is EndReason.REFRESH_TOKEN_REUSED:
        # django-oauth-toolkit holds locks on the tokens, and token requests lock the authorization before them. It is
        # ended, which is reported, after django-oauth-toolkit's transaction.
        deny_all_tokens(live, reason=reason, reports=False)
    else:
        end_authorizations(live, reason=reason)


def _before_user_save(
    instance: Any, *, raw: bool, using: str, update_fields: Collection[str] | None, **_kwargs: Any
) -> None:
    """Mark the user if this save deactivates it or changes the password. Saving the same values again does neither."""
    vars(instance).pop(_PENDING, None)
    former = None if raw else _former(instance, ("is_active", "password"), using, update_fields)
    if former is None:
        return
    if former.get("is_active") and not instance.is_active:
        reason = EndReason.USER_DEACTIVATED
    elif "password" in former and _is_new_password(instance, former["password"], update_fields):
        reason = EndReason.PASSWORD_CHANGED
    else:
        return
    if reason is EndReason.USER_DEACTIVATED or app_settings().revoke_on_password_change:
        setattr(instance, _PENDING, reason)
        for model in _user_models_of(instance):
            if _is_saved_alone(using):
                revoke_users([instance], model=model, reason=reason)
            else:
                # Before the row of the user, as token requests do.
                lock_authorizations(live_authorizations_of_users([instance], model))


def _is_saved_alone(using: str) -> bool:
    """Return whether a row is committed as soon as it is saved, before the receivers of ``post_save``.

    They revoke what was issued in the meantime. If they fail, or the process is killed, saving the row again revokes
    nothing, so revoke before the row is saved, too.
    """
    return not connections[using].in_atomic_block


def _former(
    instance: Any, names: Iterable[str], using: str, update_fields: Collection[str] | None
) -> dict[str, Any] | None:
    """Return the stored values of those fields that are about to be saved, or ``None`` if there are none."""
    fields = {field.name for field in instance._meta.concrete_fields}
    saved = [name for name in names if name in fields and (update_fields is None or name in update_fields)]
    if instance._state.adding or not saved:
        return None
    row: dict[str, Any] | None = type(instance)._base_manager.using(using).filter(pk=instance.pk).values(*saved).first()
    return row


def _is_new_password(user: Any, former: str, update_fields: Collection[str] | None) -> bool:
    if user.password == former or not (is_password_usable(former) or is_password_usable(user.password)):
        return False
    # At login, Django may hash the same password with the preferred hasher, or with its new parameters. It then saves
    # this field, to which the model may add others, and clears its mark of a new password.
    has_no_mark = update_fields is not None and getattr(user, "_password", None) is None
    return not (has_no_mark and _is_outdated(former) and not _is_outdated(user.password))


def _is_outdated(encoded: str) -> bool:
    """Return whether Django would hash a password again when its user logs in."""
    try:
        used = identify_hasher(encoded)
    except ValueError:
        # It cannot be verified, so the user cannot log in with it.
        return False
    preferred = get_hasher()
    return bool(used.algorithm != preferred.algorithm or preferred.must_update(encoded))


def _after_user_save(instance: Any, **_kwargs: Any) -> None:
    reason = vars(instance).pop(_PENDING, None)
    if reason is not None:
        for model in _user_models_of(instance):
            revoke_users([instance], model=model, reason=reason)


def _user_models_of(user: Any) -> list[type[Model]]:
    return [model for model in {token_user_model(), get_user_model()} if isinstance(user, model)]


def _before_user_delete(instance: Any, **_kwargs: Any) -> None:
    for model in _user_models_of(instance):
        revoke_users([instance], model=model, reason=EndReason.USER_DELETED)
        forget_authorizations(authorizations_of_users([instance], model))


def _before_client_save(
    instance: Any, *, raw: bool, using: str, update_fields: Collection[str] | None, **_kwargs: Any
) -> None:
    """Find out whether this changes the ``client_id``, by which tokens name their client."""
    vars(instance).pop(_PENDING, None)
    former = None if raw else _former(instance, ("client_id",), using, update_fields)
    if former is not None and former["client_id"] != instance.client_id:
        setattr(instance, _PENDING, former["client_id"])
        if _is_saved_alone(using):
            deny_tokens_of_client(former["client_id"])


def _after_client_save(instance: Any, *, using: str, **_kwargs: Any) -> None:
    former = vars(instance).pop(_PENDING, None)
    if former is not None:
        # Later revocations name the new client_id only.
        deny_tokens_of_client(former, reports=not _is_saved_alone(using))


def _before_client_delete(instance: Any, **_kwargs: Any) -> None:
    if current_reason() is None:
        return
    revoke_client(instance, reason=EndReason.CLIENT_DELETED)
    forget_clients([instance.pk])


def _before_resource_server_save(
    instance: ResourceServer, *, raw: bool, using: str, update_fields: Collection[str] | None, **_kwargs: Any
) -> None:
    vars(instance).pop(_PENDING, None)
    former = None if raw else _former(instance, ("enabled",), using, update_fields)
    if former is not None and former["enabled"] != instance.enabled:
        setattr(instance, _PENDING, True)


def _after_resource_server_save(instance: ResourceServer, *, created: bool, raw: bool, **_kwargs: Any) -> None:
    is_changed = vars(instance).pop(_PENDING, False)
    if instance.enabled and (is_changed or (created and not raw)):
        reopen_audiences(instance.names)
    elif is_changed and not _is_declared(instance):
        close_audiences(instance.names)


def _before_resource_server_delete(instance: ResourceServer, **_kwargs: Any) -> None:
    if instance.enabled and not _is_declared(instance):
        close_audiences(instance.names)


def _is_declared(instance: ResourceServer) -> bool:
    """Return whether the settings declare the API, so that its row has no effect."""
    return any(server.identifier == instance.identifier for server in app_settings().resource_servers)
