"""Checks of the resource servers in the settings and in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.db import Error as AnyDatabaseError

from django_at_jwt.conf import app_settings, toolkit_setting
from django_at_jwt.core.resource_servers import ResourceServers, TokenFormat

from .ids import UNREADABLE, CheckId, issues_tokens, settings_valid, system_check, views_take_access_tokens

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from django_at_jwt.core.resource_servers import ResourceServerConfig
    from django_at_jwt.models import ResourceServer as ResourceServerRow


@system_check(issues_tokens, settings_valid)
def check_default_resource(**_kwargs: Any) -> list[CheckMessage]:
    """Check that tokens have an audience if the client requests no resource (RFC 9068 section 3)."""
    registered = registered_servers()
    if registered is None or registered.marked_default is not None:
        # No error before the table exists, or "migrate" could not run. E012 reports a default that cannot be one.
        return []
    return [
        Error(
            "No default resource is set, so tokens for which the client requests no resource have no audience.",
            hint='Set it, for instance AT_JWT = {"DEFAULT_RESOURCE": "https://www.example.com/"}, or mark a resource '
            "server as the default in the admin.",
            id=CheckId.NO_DEFAULT_RESOURCE,
        )
    ]


@system_check(issues_tokens, settings_valid)
def check_one_default(**_kwargs: Any) -> list[CheckMessage]:
    """Check that at most one row is the default; ``loaddata`` and ``QuerySet.update()`` can mark several."""
    if app_settings().default_resource is not None:
        return []
    defaults = [row.identifier for row in _rows() if row.is_default]
    if len(defaults) < 2:  # noqa: PLR2004 - several
        return []
    return [
        Warning(
            f"Several resource servers are marked as the default: {', '.join(defaults)}. {defaults[0]} is used, since "
            "it was registered first.",
            hint="Save the intended default in the admin: this unmarks the others.",
            id=CheckId.SEVERAL_DEFAULTS,
        )
    ]


@system_check(issues_tokens, settings_valid, views_take_access_tokens)
def check_audience_of_views(**_kwargs: Any) -> list[CheckMessage]:
    """Check that this project's views have an audience if the default resource is a row, which views do not read."""
    settings = app_settings()
    registered = registered_servers()
    if registered is None or registered.default is None or settings.audience or settings.default_resource:
        return []
    return [
        Warning(
            f"The default resource, {registered.default}, is only marked in the admin, which views do not read: views "
            "with AccessTokenAuthentication or access_token_required that name no audience answer with status 500.",
            hint=f'Add "AUDIENCE": "{registered.default}" to AT_JWT, or name the audience in each view with '
            f'AccessTokenAuthentication.for_audience("{registered.default}") and silence this warning.',
            id=CheckId.NO_AUDIENCE_FOR_VIEWS,
        )
    ]


@system_check(issues_tokens, settings_valid)
def check_known_scopes(**_kwargs: Any) -> list[CheckMessage]:
    """Check that clients can request each scope of a resource server."""
    from django_at_jwt.authorization_server.toolkit import get_scopes_backend  # noqa: PLC0415 - it needs the toolkit

    registered = registered_servers()
    try:
        known = frozenset(get_scopes_backend().get_all_scopes())
    except AnyDatabaseError:
        # The site's scopes may be in a table that "migrate" has yet to create.
        return []
    unknown = {
        server.identifier: [scope for scope in server.scopes or () if scope not in known] for server in registered or ()
    }
    return [
        Warning(
            f"Resource server {identifier} has scopes that no client can request: {', '.join(scopes)}.",
            hint=_scopes_to_add(scopes),
            id=CheckId.UNKNOWN_SCOPE,
        )
        for identifier, scopes in unknown.items()
        if scopes
    ]


def _scopes_to_add(scopes: Sequence[str]) -> str:
    quoted = " and ".join(f'"{scope}"' for scope in scopes)
    texts, them = ("a text", "it") if len(scopes) == 1 else ("a text for each", "them")
    return (
        f'Add {quoted} to OAUTH2_PROVIDER["SCOPES"], with {texts} for the consent page, or remove {them} from the '
        "resource server."
    )


@system_check(issues_tokens, settings_valid)
def check_resource_servers(**_kwargs: Any) -> list[CheckMessage]:
    """Check that tokens for each resource server can be issued, and that none is configured in two places."""
    registered = registered_servers()
    if registered is None:
        return []
    messages: list[CheckMessage] = [
        Error(f"Resource server {server.identifier} {problem}", hint=hint, id=CheckId.UNUSABLE_RESOURCE_SERVER)
        for server in registered
        if server.enabled
        for problem, hint in _problems_of(server, registered)
    ]
    declared = {server.identifier for server in app_settings().resource_servers}
    messages += [
        Warning(
            f'Resource server {row.identifier} is both in the database and in AT_JWT["RESOURCE_SERVERS"].',
            hint="The settings take precedence. Delete it in the admin or remove it from the settings.",
            id=CheckId.REGISTERED_TWICE,
        )
        for row in _rows()
        if row.identifier in declared
    ]
    return messages


@system_check(issues_tokens, settings_valid)
def check_equivalent_identifiers(**_kwargs: Any) -> list[CheckMessage]:
    """Check that no two resource servers have the same identifier in different spellings (RFC 3986 section 6.2.3).

    The admin form and the settings refuse it; fixtures, code and a default resource in the settings are not checked
    there.
    """
    registered = registered_servers()
    return [
        Error(
            f"Two resource servers have the identifier {name!r}, so a request can mean either."
            if name == first
            else f"The resource identifiers {first!r} and {name!r} are equivalent, so a request can mean either.",
            hint="Delete one of the two resource servers, or correct it: scheme and host are not case-sensitive, the "
            'default port can be omitted, and an empty path is the same as "/". Former identifiers count too.',
            id=CheckId.EQUIVALENT_IDENTIFIERS,
        )
        for name, first in (() if registered is None else registered.collisions())
    ]


@system_check(issues_tokens, settings_valid)
def check_clients(**_kwargs: Any) -> list[CheckMessage]:
    """Check that each enabled resource server has a client; new rows have none until an administrator chooses them."""
    return [
        Warning(
            f"No client gets tokens for resource server {server.identifier}.",
            hint='Choose its clients, or open it to all clients, in the admin or in AT_JWT["RESOURCE_SERVERS"].',
            id=CheckId.NO_CLIENTS,
        )
        for server in registered_servers() or ()
        if server.enabled and server.client_ids is not None and not (server.client_ids or server.registered_clients)
    ]


@system_check(issues_tokens, settings_valid)
def check_introspection_clients(**_kwargs: Any) -> list[CheckMessage]:
    """Check that each client that may introspect tokens exists and is confidential."""
    named = {
        f'AT_JWT["INTROSPECTION_CLIENTS"] has the client {client_id!r}': client_id
        for client_id in app_settings().introspection_clients
    }
    for server in registered_servers() or ():
        for client_id in sorted(server.introspection_clients):
            named[f"Resource server {server.identifier} names the introspecting client {client_id!r}"] = client_id
    try:
        confidential = _confidential(named.values())
    except UNREADABLE:
        return []
    return [
        Warning(
            f"{where}, which is not a confidential client, so it cannot introspect tokens.",
            hint="Name a confidential client, or remove it.",
            id=CheckId.NO_INTROSPECTION_CLIENT,
        )
        for where, client_id in named.items()
        if client_id not in confidential
    ]


@system_check(issues_tokens, settings_valid)
def check_introspection_scope(**_kwargs: Any) -> list[CheckMessage]:
    """Check that a client may introspect the tokens of others, if this site has the scope for introspection."""
    if "introspection" not in (toolkit_setting("SCOPES") or {}) or app_settings().introspection_clients:
        return []
    if any(server.introspection_clients for server in registered_servers() or ()) or _has_introspection_client():
        return []
    return [
        Warning(
            'OAUTH2_PROVIDER["SCOPES"] has the scope "introspection", but no client may introspect the tokens of '
            'others: an API that introspects gets {"active": false} for each of them.',
            hint="Name the client that the API introspects with in the introspection_clients of its resource server or "
            'in AT_JWT["INTROSPECTION_CLIENTS"]. If no API introspects, remove the scope.',
            id=CheckId.UNUSED_INTROSPECTION_SCOPE,
        )
    ]


def _has_introspection_client() -> bool:
    """Return whether the admin's list names a client, or cannot be read."""
    from django_at_jwt.models import IntrospectionClient  # noqa: PLC0415 - see _rows()

    try:
        return IntrospectionClient.objects.exists()
    except UNREADABLE:
        return True


def _confidential(client_ids: Collection[str]) -> set[str]:
    from oauth2_provider.models import AbstractApplication, get_application_model  # noqa: PLC0415 - see above

    if not client_ids:
        return set()
    rows = get_application_model()._default_manager.filter(
        client_id__in=set(client_ids), client_type=AbstractApplication.CLIENT_CONFIDENTIAL
    )
    return set(rows.values_list("client_id", flat=True))


@system_check(issues_tokens, settings_valid)
def check_readable_rows(**_kwargs: Any) -> list[CheckMessage]:
    """Check that each row is valid; fixtures and code can store what the admin form rejects."""
    messages: list[CheckMessage] = []
    for row in _rows():
        try:
            row.registered  # noqa: B018 - for its ValueError
        except ValueError as error:
            messages.append(
                Error(
                    f"No tokens are issued for resource server {row.identifier}, because its row is invalid: {error}.",
                    hint="Open it in the admin, save it, and correct the fields with errors.",
                    id=CheckId.UNREADABLE_RESOURCE_SERVER,
                )
            )
    return messages


def _problems_of(server: ResourceServerConfig, registered: ResourceServers) -> Iterator[tuple[str, str]]:
    in_use = app_settings().signing_algorithms
    if server.token_format is TokenFormat.AT_JWT and server.algorithm is not None and server.algorithm not in in_use:
        yield (
            f"requires the algorithm {server.algorithm}, which is not in use.",
            f'Add "{server.algorithm}" to AT_JWT["SIGNING_ALGORITHMS"] and run: manage.py rotate_signing_keys',
        )
    if server.isolated and server.identifier == registered.marked_default:
        yield (
            "is the default and isolated, so requests without a resource get no token.",
            "Clients must request an isolated resource by name. Choose another default or turn off isolation.",
        )


def registered_servers() -> ResourceServers | None:
    """Return the resource servers, or ``None`` if the rows cannot be read and the settings name no default."""
    from django_at_jwt.authorization_server.resource_servers import registry  # noqa: PLC0415 - it needs the tables

    settings = app_settings()
    try:
        return registry.latest()
    except UNREADABLE:
        if settings.default_resource is None:
            return None
        return ResourceServers.of(settings.resource_servers, default=settings.default_resource)


def _rows() -> list[ResourceServerRow]:
    """Return the rows in the order of registration, or no rows if the table cannot be read."""
    from django_at_jwt.models import ResourceServer as Row  # noqa: PLC0415 - a project that only verifies has no such table

    try:
        return list(Row.objects.order_by("pk"))
    except UNREADABLE:
        return []
