"""Reading the sources of claims: from the rows of a token's user and client to plain values, in two statements."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from django_at_jwt.claims import ClaimContext, ClaimSource, registered_claim_sources
from django_at_jwt.conf import app_settings, token_user_model
from django_at_jwt.core.claims import SourceValues
from django_at_jwt.core.claims.values import fitting, is_missing
from django_at_jwt.models.mappable import groups_field, permissions_field

from .savepoints import savepoints

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from django_at_jwt.core.claims import Needs


def read_sources(
    needs: Needs,
    context: ClaimContext,
    *,
    resource_server: Mapping[str, Any],
    protocol: Mapping[str, Any],
    rollback: bool = False,
) -> SourceValues:
    """Read what some mappers need, and nothing else.

    The user's own fields are taken from the row that there is. Fields of related rows and the groups take one statement
    together, the permissions another one. Registered sources are called later, one by one, and may have statements of
    their own.

    Args:
        resource_server: the fields of the one resource server that the token is for, or nothing.
        protocol: the claims of the protocol.
        rollback: undo what registered sources write to databases.
    """
    user: dict[str, Any] = {}
    groups: Collection[str] = ()
    permissions: Collection[str] = ()
    if context.user is not None:
        user, groups = _user_and_groups(needs, context.user)
        if needs.permissions and permissions_field() is not None:
            permissions = _permissions(context.user)
    return SourceValues(
        user=user,
        groups=groups,
        permissions=permissions,
        client={name: getattr(context.client, name, None) for name in app_settings().mappable_client_fields},
        resource_server=resource_server,
        registered=_registered(needs.registered, context, rollback=rollback),
        protocol=protocol,
    )


def _user_and_groups(needs: Needs, user: Any) -> tuple[dict[str, Any], Collection[str]]:
    unloaded = user.get_deferred_fields()
    at_hand = [path for path in needs.user_fields if "." not in path and path not in unloaded]
    values = {path: getattr(user, path) for path in at_hand}
    related = sorted(needs.user_fields.difference(at_hand))
    with_groups = needs.groups and groups_field() is not None
    if not related and not with_groups:
        return values, ()
    columns = [path.replace(".", "__") for path in related]
    # A row for each group, with the same related fields in each, and one row where the user is in no group.
    rows = list(
        token_user_model()
        ._base_manager.using(user._state.db)
        .filter(pk=user.pk)
        .order_by()
        .values_list(*columns, *(["groups__name"] if with_groups else []))
    )
    if not rows:
        return values, ()
    values |= dict(zip(related, rows[0], strict=False))
    return values, sorted({row[-1] for row in rows if row[-1] is not None}) if with_groups else ()


def _permissions(user: Any) -> list[str]:
    """The permissions that a user was given, one by one or by a group.

    Not those that a superuser has without having been given them: a claim of all permissions that there are would say
    less than it costs. Nor what other authentication backends would add.
    """
    given: Any = permissions_field()
    through, database = given.remote_field.through, user._state.db
    by_name = {given.m2m_field_name(): user.pk}
    allowed = Q(pk__in=through._base_manager.using(database).filter(**by_name).values(given.m2m_reverse_field_name()))
    in_groups = groups_field()
    if in_groups is not None and hasattr(in_groups.remote_field.model, "permissions"):
        memberships = in_groups.remote_field.through._base_manager.using(database)
        groups = memberships.filter(**{in_groups.m2m_field_name(): user.pk}).values(in_groups.m2m_reverse_field_name())
        of_groups: Any = in_groups.remote_field.model._meta.get_field("permissions")
        granted = of_groups.remote_field.through._base_manager.using(database)
        granted = granted.filter(**{f"{of_groups.m2m_field_name()}__in": groups})
        allowed |= Q(pk__in=granted.values(of_groups.m2m_reverse_field_name()))
    permissions = given.remote_field.model._base_manager.using(database).filter(allowed).order_by()
    return sorted(f"{app}.{name}" for app, name in permissions.values_list("content_type__app_label", "codename"))


def _registered(names: Collection[str], context: ClaimContext, *, rollback: bool) -> dict[str, Any]:
    if not names:
        return {}
    sources = registered_claim_sources()
    return {name: partial(_call, sources[name], context, rollback) for name in names if name in sources}


def _call(source: ClaimSource, context: ClaimContext, rollback: bool) -> Any:  # noqa: FBT001 - bound above
    with savepoints(rollback=rollback):
        value = source.function(context)
        # What a function gives has the type that it was registered with, or its mapper fails.
        return value if is_missing(value) else fitting(source.type)(value)
