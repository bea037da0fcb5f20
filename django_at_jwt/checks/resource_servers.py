"""The resource servers that tokens are for, declared and registered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.db import Error as AnyDatabaseError
from django.utils.connection import ConnectionDoesNotExist

from django_at_jwt.conf import app_settings
from django_at_jwt.core.resource_servers import ResourceServers, TokenFormat

from .applicability import CheckId, issues_tokens, readable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django_at_jwt.core.resource_servers import ResourceServer


def check_default_resource(**_kwargs: Any) -> list[CheckMessage]:
    """Tokens that nobody asked a resource for have an audience (RFC 9068 §3)."""
    if not issues_tokens() or not readable():
        return []
    registered = _registered()
    if registered is None or registered.default is not None:
        # Before the table is there, "migrate" must not be kept from making it.
        return []
    return [
        Error(
            "There is no default resource, so tokens that nobody asked a resource for would have no audience.",
            hint='Name your API, for instance AT_JWT = {"DEFAULT_RESOURCE": "https://www.example.com/"}, or mark a '
            "resource server as the default in the admin.",
            id=CheckId.NO_DEFAULT_RESOURCE,
        )
    ]


def check_resource_servers(**_kwargs: Any) -> list[CheckMessage]:
    """Tokens for each resource server can be signed, and nobody is told two things about one."""
    if not issues_tokens() or not readable():
        return []
    registered = _registered()
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
            f"Resource server {identifier} is registered in the admin and declared in the settings.",
            hint="The settings win. Delete it in the admin, or take it out of AT_JWT['RESOURCE_SERVERS'].",
            id=CheckId.REGISTERED_TWICE,
        )
        for identifier in _identifiers_of_rows()
        if identifier in declared
    ]
    return messages


def _problems_of(server: ResourceServer, registered: ResourceServers) -> Iterator[tuple[str, str]]:
    in_use = app_settings().signing_algorithms
    if server.token_format is TokenFormat.AT_JWT and server.algorithm is not None and server.algorithm not in in_use:
        yield (
            f"wants its tokens signed with {server.algorithm}, which is not in use.",
            f"Add {server.algorithm!r} to AT_JWT['SIGNING_ALGORITHMS'] and run: manage.py rotate_signing_keys",
        )
    if server.isolated and server.identifier == registered.default:
        yield (
            "is the default, and isolated.",
            "An isolated one must be asked for by name. Choose another default, or let it be no longer isolated.",
        )


def _registered() -> ResourceServers | None:
    """The registry, or ``None`` where the rows cannot be read and the settings do not name the default."""
    from django_at_jwt.authorization_server.resource_servers import registry  # noqa: PLC0415 - it needs the tables

    settings = app_settings()
    try:
        return registry.latest()
    except (AnyDatabaseError, ConnectionDoesNotExist):
        if settings.default_resource is None:
            return None
        return ResourceServers.of(settings.resource_servers, default=settings.default_resource)


def _identifiers_of_rows() -> list[str]:
    from django_at_jwt.models import ResourceServer as Row  # noqa: PLC0415 - a project that only verifies has no such table

    try:
        return list(Row.objects.values_list("identifier", flat=True))
    except (AnyDatabaseError, ConnectionDoesNotExist):
        return []
