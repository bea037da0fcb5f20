"""The resource servers that tokens are for, declared and registered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's own name
from django.db import Error as AnyDatabaseError
from django.utils.connection import ConnectionDoesNotExist

from django_at_jwt.conf import app_settings
from django_at_jwt.core.resource_servers import ResourceServers, TokenFormat

from .ids import CheckId, issues_tokens, readable, views_take_access_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from django_at_jwt.core.resource_servers import ResourceServerConfig
    from django_at_jwt.models import ResourceServer as ResourceServerRow


def check_default_resource(**_kwargs: Any) -> list[CheckMessage]:
    """Tokens that nobody asked a resource for have an audience (RFC 9068 §3)."""
    if not issues_tokens() or not readable():
        return []
    registered = _registered()
    if registered is None or registered.marked_default is not None:
        # Before the table is there, "migrate" must not be kept from making it. Of one that cannot be it, E012 tells.
        return []
    return [
        Error(
            "There is no default resource, so tokens that nobody asked a resource for would have no audience.",
            hint='Name your API, for instance AT_JWT = {"DEFAULT_RESOURCE": "https://www.example.com/"}, or mark a '
            "resource server as the default in the admin.",
            id=CheckId.NO_DEFAULT_RESOURCE,
        )
    ]


def check_one_default(**_kwargs: Any) -> list[CheckMessage]:
    """One row alone is the default; ``loaddata`` and ``QuerySet.update()`` can leave several behind."""
    if not issues_tokens() or not readable() or app_settings().default_resource is not None:
        return []
    defaults = [row.identifier for row in _rows() if row.is_default]
    if len(defaults) < 2:  # noqa: PLR2004 - several
        return []
    return [
        Warning(
            f"Several resource servers are marked as the default: {', '.join(defaults)}. {defaults[0]} is it, since it "
            "was registered first.",
            hint="Save the one that you want to be it in the admin: that takes the mark from the others.",
            id=CheckId.SEVERAL_DEFAULTS,
        )
    ]


def check_audience_of_views(**_kwargs: Any) -> list[CheckMessage]:
    """Views of this project know their audience, where the default resource is a row, which they do not read."""
    if not issues_tokens() or not readable() or not views_take_access_tokens():
        return []
    settings = app_settings()
    registered = _registered()
    if registered is None or registered.default is None or settings.audience or settings.default_resource:
        return []
    return [
        Warning(
            f"The default resource, {registered.default}, is marked in the admin alone, where views do not look: those "
            "with AccessTokenAuthentication or access_token_required and no audience of their own cannot answer.",
            hint=f'Add "AUDIENCE": "{registered.default}" to AT_JWT, or name the API at each view, with '
            f'AccessTokenAuthentication.for_audience("{registered.default}"), and silence this.',
            id=CheckId.NO_AUDIENCE_FOR_VIEWS,
        )
    ]


def check_known_scopes(**_kwargs: Any) -> list[CheckMessage]:
    """Clients can ask for each scope that a resource server names."""
    if not issues_tokens() or not readable():
        return []
    from oauth2_provider.scopes import get_scopes_backend  # noqa: PLC0415 - a project that only verifies has no toolkit

    registered = _registered()
    try:
        known = frozenset(get_scopes_backend().get_all_scopes())
    except AnyDatabaseError:
        # A site may keep its scopes in a table, which "migrate" is about to make.
        return []
    unknown = {
        server.identifier: [scope for scope in server.scopes or () if scope not in known] for server in registered or ()
    }
    return [
        Warning(
            f"Resource server {identifier} names scopes that no client can ask for: {', '.join(scopes)}.",
            hint=_scopes_to_add(scopes),
            id=CheckId.UNKNOWN_SCOPE,
        )
        for identifier, scopes in unknown.items()
        if scopes
    ]


def _scopes_to_add(scopes: Sequence[str]) -> str:
    named = " and ".join(f'"{scope}"' for scope in scopes)
    texts, them = ("a text", "it") if len(scopes) == 1 else ("a text for each", "them")
    return (
        f'Add {named} to OAUTH2_PROVIDER["SCOPES"], with {texts} for the consent page, or take {them} out of the '
        "resource server."
    )


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
            f"Resource server {row.identifier} is registered in the admin and declared in the settings.",
            hint="The settings win. Delete it in the admin, or take it out of AT_JWT['RESOURCE_SERVERS'].",
            id=CheckId.REGISTERED_TWICE,
        )
        for row in _rows()
        if row.identifier in declared
    ]
    return messages


def check_readable_rows(**_kwargs: Any) -> list[CheckMessage]:
    """Each row can be read; a fixture or code can store what no form would take."""
    if not issues_tokens() or not readable():
        return []
    messages: list[CheckMessage] = []
    for row in _rows():
        try:
            row.registered  # noqa: B018 - what is looked for is the error
        except ValueError as error:
            messages.append(
                Error(
                    f"There are no tokens for resource server {row.identifier}: its row cannot be read: {error}.",
                    hint="Open it in the admin, which says at each field what is wrong, and save it.",
                    id=CheckId.UNREADABLE_RESOURCE_SERVER,
                )
            )
    return messages


def _problems_of(server: ResourceServerConfig, registered: ResourceServers) -> Iterator[tuple[str, str]]:
    in_use = app_settings().signing_algorithms
    if server.token_format is TokenFormat.AT_JWT and server.algorithm is not None and server.algorithm not in in_use:
        yield (
            f"wants its tokens signed with {server.algorithm}, which is not in use.",
            f"Add {server.algorithm!r} to AT_JWT['SIGNING_ALGORITHMS'] and run: manage.py rotate_signing_keys",
        )
    if server.isolated and server.identifier == registered.marked_default:
        yield (
            "is the default, and isolated, so that it is not taken where nobody asks.",
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


def _rows() -> list[ResourceServerRow]:
    """Give the rows in the order of registration."""
    from django_at_jwt.models import ResourceServer as Row  # noqa: PLC0415 - a project that only verifies has no such table

    try:
        return list(Row.objects.order_by("pk"))
    except (AnyDatabaseError, ConnectionDoesNotExist):
        return []
