"""The sources that claim mappers may read on this site: only listed fields, through relations to a single row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.utils.translation import gettext_lazy as _

from django_at_jwt.claims import registered_claim_sources
from django_at_jwt.conf import app_settings, token_user_model, toolkit_model
from django_at_jwt.core.claims import UnusableRule
from django_at_jwt.core.claims.errors import refuse
from django_at_jwt.core.claims.rules import (
    ClientField,
    Groups,
    Permissions,
    RegisteredSource,
    ResourceServerField,
    UserField,
)
from django_at_jwt.core.quotation import gettext_noop, nearest_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_at_jwt.core.claims.rules import Source

RESOURCE_SERVER_FIELDS: Final = ("identifier", "name")
# Never mapped, even if the settings list them.
_SECRETS: Final = frozenset({"password", "client_secret"})


def refuse_source(source: Source) -> None:
    """Check that this site lets claim mappers read a source.

    Raises:
        UnusableRule: with what to do.
    """
    match source:
        case UserField(path=path):
            _refuse_unlisted(path, app_settings().mappable_user_fields, "MAPPABLE_USER_FIELDS")
            refuse_user_path(path)
        case ClientField(name=name):
            _refuse_unlisted(name, app_settings().mappable_client_fields, "MAPPABLE_CLIENT_FIELDS")
            refuse_client_field(name)
        case ResourceServerField(name=name) if name not in RESOURCE_SERVER_FIELDS:
            raise refuse(
                "source",
                gettext_noop("A resource server only has the fields %(fields)s."),
                fields=", ".join(RESOURCE_SERVER_FIELDS),
            )
        case RegisteredSource(name=name) if name not in registered_claim_sources():
            raise refuse(
                "source",
                gettext_noop("No source is registered as “%(name)s”. Registered sources: %(known)s."),
                name=name,
                known=", ".join(sorted(registered_claim_sources())) or _("(none)"),
            )
        case Groups() if groups_field() is None:
            raise refuse("source", gettext_noop("The users of this site have no groups."))
        case Permissions() if permissions_field() is None:
            raise refuse("source", gettext_noop("The users of this site have no permissions."))


def _refuse_unlisted(name: str, listed: Sequence[str], setting: str) -> None:
    if name not in listed:
        raise refuse(
            "source",
            gettext_noop('“%(name)s” may not be mapped. Choose one of %(listed)s, or add it to AT_JWT["%(setting)s"].'),
            name=name,
            listed=", ".join(listed),
            setting=setting,
        )


def refuse_user_path(path: str) -> None:
    """Check that a path leads to a plain field of the user, through relations to a single row.

    Not checked: whether the settings list the path.

    Raises:
        UnusableRule: see :func:`refuse_source`.
    """
    resolve_path(token_user_model(), path)


def refuse_client_field(name: str) -> None:
    """Check that a name is a plain field of the client application.

    Not checked: whether the settings list the field.

    Raises:
        UnusableRule: see :func:`refuse_source`.
    """
    if "." in name:
        raise refuse("source", gettext_noop("Only fields of the client itself can be mapped, without a dot."))
    resolve_path(toolkit_model("APPLICATION_MODEL"), name)


def resolve_path(model: type[models.Model], path: str) -> list[Any]:
    """Return the fields of a path, the relations first.

    Raises:
        UnusableRule: see :func:`refuse_source`.
    """
    fields: list[Any] = []
    *relations, last = path.split(".")
    for segment in relations:
        field = _field(model, segment)
        if not (field.one_to_one or field.many_to_one) or field.related_model is None:
            raise refuse(
                "source",
                gettext_noop("“%(name)s” does not lead to a single row, as a foreign key or one-to-one field does."),
                name=segment,
            )
        if _leads_to_another_user(field):
            raise refuse(
                "source",
                gettext_noop("“%(name)s” leads to another user, whose fields are never put into a token."),
                name=segment,
            )
        fields.append(field)
        model = field.related_model
    field = _field(model, last)
    if field.is_relation or isinstance(field, (models.BinaryField, models.FileField)):
        raise refuse("source", gettext_noop("“%(name)s” is not a plain value."), name=last)
    return [*fields, field]


def _leads_to_another_user(relation: Any) -> bool:
    """Return whether a relation leads to a user, or to a model that shares multi-table inheritance with users.

    The link between the parent's and the child's row of one user leads to the same user.
    """
    is_of_users = any(
        issubclass(relation.related_model, users) or issubclass(users, relation.related_model)
        for model in (token_user_model(), get_user_model())
        if (users := model._meta.concrete_model) is not None
    )
    link = relation.remote_field if relation.concrete else relation
    return is_of_users and not link.parent_link


def _field(model: type[models.Model], name: str) -> Any:
    # Private names, and names with the ORM's lookup separator.
    if name in _SECRETS or name.startswith("_") or "__" in name:
        raise refuse("source", gettext_noop("“%(name)s” is never put into a token."), name=name)
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        field = None
    # get_field() also finds a foreign key by its column name, which is not accepted here.
    if field is None or field.name != name:
        known = [each.name for each in model._meta.get_fields() if each.name not in _SECRETS]
        raise refuse(
            "source",
            gettext_noop("%(model)s has no field “%(name)s”. Use %(known)s."),
            model=model._meta.label,
            name=name,
            known=", ".join(nearest_names(name, known)),
        )
    return field


def find_hash_key(name: str) -> str:
    """Return the key that a hash refers to by its name.

    Raises:
        UnusableRule: it is not in the settings.
    """
    keys = dict(app_settings().claim_hash_keys)
    if name not in keys:
        problem = gettext_noop('There is no key “%(name)s” in AT_JWT["CLAIM_HASH_KEYS"].')
        raise refuse("transforms", problem, name=name)
    return keys[name]


def groups_field() -> Any:
    """Return the user model's relation to groups with names, or ``None``."""
    field = _many_to_many("groups")
    return field if field is not None and hasattr(field.remote_field.model, "name") else None


def permissions_field() -> Any:
    """Return the user model's relation to Django's permissions, or ``None``."""
    field = _many_to_many("user_permissions")
    return field if field is not None and field.remote_field.model._meta.label == "auth.Permission" else None


def _many_to_many(name: str) -> Any:
    try:
        field: Any = token_user_model()._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return field if field.many_to_many else None


def usable_user_fields() -> tuple[str, ...]:
    """Return the listed paths that exist: not every user model has the fields of the default list."""
    return tuple(path for path in app_settings().mappable_user_fields if _is_usable(path))


def _is_usable(path: str) -> bool:
    try:
        refuse_user_path(path)
    except UnusableRule:
        return False
    return True
