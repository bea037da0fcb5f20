"""Which sources this site lets claim mappers read: fields on a list, through relations to one row, and no others."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.utils.translation import gettext_lazy as _

from django_at_jwt.claims import registered_claim_sources
from django_at_jwt.conf import app_settings, token_user_model, toolkit_model
from django_at_jwt.core.claims import UnusableRule
from django_at_jwt.core.claims.errors import gettext_noop, refuse
from django_at_jwt.core.claims.rules import (
    ClientField,
    Groups,
    Permissions,
    RegisteredSource,
    ResourceServerField,
    UserField,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_at_jwt.core.claims.rules import Source

RESOURCE_SERVER_FIELDS: Final = ("identifier", "name")
# These are never mapped, whatever the settings list.
_SECRETS: Final = frozenset({"password", "client_secret"})


def refuse_source(source: Source) -> None:
    """Refuse a source that this site does not let mappers read.

    Raises:
        UnusableRule: with a sentence that says what to do.
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
                gettext_noop("A resource server has the fields %(fields)s."),
                fields=", ".join(RESOURCE_SERVER_FIELDS),
            )
        case RegisteredSource(name=name) if name not in registered_claim_sources():
            raise refuse(
                "source",
                gettext_noop("No source is registered as “%(name)s”; there is %(known)s."),
                name=name,
                known=", ".join(sorted(registered_claim_sources())) or _("none"),
            )
        case Groups() if groups_field() is None:
            raise refuse("source", gettext_noop("The users of this site have no groups."))
        case Permissions() if permissions_field() is None:
            raise refuse("source", gettext_noop("The users of this site have no permissions."))


def _refuse_unlisted(name: str, listed: Sequence[str], setting: str) -> None:
    if name not in listed:
        raise refuse(
            "source",
            gettext_noop("“%(name)s” may not be mapped. Choose one of %(listed)s, or add it to AT_JWT[“%(setting)s”]."),
            name=name,
            listed=", ".join(listed),
            setting=setting,
        )


def refuse_user_path(path: str) -> None:
    """Refuse a path that does not lead to a plain field of the user, or of a row that the user has one of.

    Raises:
        UnusableRule: as :func:`refuse_source`. Whether the path is listed is not checked.
    """
    resolve_path(token_user_model(), path)


def refuse_client_field(name: str) -> None:
    """Refuse what is no plain field of the client application itself.

    Raises:
        UnusableRule: as :func:`refuse_source`. Whether the field is listed is not checked.
    """
    if "." in name:
        raise refuse("source", gettext_noop("Only fields of the client itself can be mapped, without a dot."))
    resolve_path(toolkit_model("APPLICATION_MODEL"), name)


def resolve_path(model: type[models.Model], path: str) -> list[Any]:
    """Give the fields on the way of a path, relations first; raises as :func:`refuse_source`."""
    way: list[Any] = []
    *relations, last = path.split(".")
    for segment in relations:
        field = _field(model, segment)
        if not (field.one_to_one or field.many_to_one) or field.related_model is None:
            raise refuse(
                "source",
                gettext_noop("“%(name)s” does not lead to one other row: only foreign keys and one-to-one fields do."),
                name=segment,
            )
        if _leads_to_another_user(field):
            raise refuse(
                "source",
                gettext_noop("“%(name)s” leads to another user, of whom nothing is put into a token."),
                name=segment,
            )
        way.append(field)
        model = field.related_model
    field = _field(model, last)
    if field.is_relation or isinstance(field, (models.BinaryField, models.FileField)):
        raise refuse("source", gettext_noop("“%(name)s” holds no plain value."), name=last)
    return [*way, field]


def _leads_to_another_user(relation: Any) -> bool:
    """Tell whether a relation leads to a row of users, or of a model that inherits with them.

    From a user's row to the part of it that is in a parent's or a child's table, it leads to the same user.
    """
    is_of_users = any(
        issubclass(relation.related_model, users) or issubclass(users, relation.related_model)
        for model in (token_user_model(), get_user_model())
        if (users := model._meta.concrete_model) is not None
    )
    link = relation.remote_field if relation.concrete else relation
    return is_of_users and not link.parent_link


def _field(model: type[models.Model], name: str) -> Any:
    # Names that Python code uses for itself, and those that mean a comparison to the ORM.
    if name in _SECRETS or name.startswith("_") or "__" in name:
        raise refuse("source", gettext_noop("“%(name)s” is never put into a token."), name=name)
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        field = None
    # The column of a foreign key is found under its own name too; the key's path is the way to it.
    if field is None or field.name != name:
        known = [each.name for each in model._meta.get_fields() if each.name not in _SECRETS]
        nearest = difflib.get_close_matches(name, known, n=1)
        raise refuse(
            "source",
            gettext_noop("%(model)s has no field “%(name)s”; there is %(known)s."),
            model=model._meta.label,
            name=name,
            known=", ".join(nearest or sorted(known)),
        )
    return field


def groups_field() -> Any:
    """Give the user model's relation to groups that have names, or ``None``."""
    field = _many_to_many("groups")
    return field if field is not None and hasattr(field.remote_field.model, "name") else None


def permissions_field() -> Any:
    """Give the user model's relation to Django's permissions, or ``None``."""
    field = _many_to_many("user_permissions")
    return field if field is not None and field.remote_field.model._meta.label == "auth.Permission" else None


def _many_to_many(name: str) -> Any:
    try:
        field: Any = token_user_model()._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return field if field.many_to_many else None


def usable_user_fields() -> tuple[str, ...]:
    """Give the listed paths that lead somewhere: the default list names fields that not every user model has."""
    return tuple(path for path in app_settings().mappable_user_fields if _is_usable(path))


def _is_usable(path: str) -> bool:
    try:
        refuse_user_path(path)
    except UnusableRule:
        return False
    return True
