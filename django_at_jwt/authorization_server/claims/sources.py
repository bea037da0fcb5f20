"""Read claim sources: plain values from the rows of a token's user and client, in at most two statements."""

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
    """Read only what the selected mappers need.

    The user's fields come from the loaded row. Fields of related rows and groups take one statement together,
    permissions another. Registered sources are called later, one by one, and may run further statements.

    Args:
        needs: what the selected mappers need.
        context: the token's user, client, scopes, audience and grant.
        resource_server: the fields of the token's only resource server; empty if it has several.
        protocol: the protocol claims.
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
    loaded = [path for path in needs.user_fields if "." not in path and path not in unloaded]
    values = {path: getattr(user, path) for path in loaded}
    related = sorted(needs.user_fields.difference(loaded))
    with_groups = needs.groups and groups_field() is not None
    if not related and not with_groups:
        return values, ()
    columns = [path.replace(".", "__") for path in related]
    # One row for each group, each with the same related fields; one row if the user is not in a group.
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
    """Return the permissions granted to a user directly or through a group.

    Not included: the implicit permissions of a superuser, since a claim that lists every permission is large and
    redundant, and permissions of other authentication backends.
    """
    direct: Any = permissions_field()
    through, database = direct.remote_field.through, user._state.db
    of_user = {direct.m2m_field_name(): user.pk}
    allowed = Q(pk__in=through._base_manager.using(database).filter(**of_user).values(direct.m2m_reverse_field_name()))
    in_groups = groups_field()
    if in_groups is not None and hasattr(in_groups.remote_field.model, "permissions"):
        memberships = in_groups.remote_field.through._base_manager.using(database)
        groups = memberships.filter(**{in_groups.m2m_field_name(): user.pk}).values(in_groups.m2m_reverse_field_name())
        of_groups: Any = in_groups.remote_field.model._meta.get_field("permissions")
        granted = of_groups.remote_field.through._base_manager.using(database)
        granted = granted.filter(**{f"{of_groups.m2m_field_name()}__in": groups})
        allowed |= Q(pk__in=granted.values(of_groups.m2m_reverse_field_name()))
    permissions = direct.remote_field.model._base_manager.using(database).filter(allowed).order_by()
    return sorted(f"{app}.{name}" for app, name in permissions.values_list("content_type__app_label", "codename"))


def _registered(names: Collection[str], context: ClaimContext, *, rollback: bool) -> dict[str, Any]:
    if not names:
        return {}
    sources = registered_claim_sources()
    return {name: partial(_call, sources[name], context, rollback) for name in names if name in sources}


def _call(source: ClaimSource, context: ClaimContext, rollback: bool) -> Any:  # noqa: FBT001 - bound above
    with savepoints(rollback=rollback):
        value = source.function(context)
        # A value of another type than the registered one makes the mapper fail.
        return value if is_missing(value) else fitting(source.type)(value)
