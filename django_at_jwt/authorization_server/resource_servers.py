"""The registry of resource servers, declared in the settings or registered in the admin."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from django.db import Error as AnyDatabaseError

from django_at_jwt.conf import access_token_lifetime, app_settings, register_process_cache
from django_at_jwt.core.errors import IssuanceUnavailable, NoDefaultResource
from django_at_jwt.core.resource_servers import ResourceServerConfig, ResourceServers
from django_at_jwt.models import ResourceServer as ResourceServerRow

from .registration import SELF_REGISTERED, registered_itself
from .row_cache import RowCache
from .toolkit import get_scopes_backend

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

logger = logging.getLogger("django_at_jwt")


def _read(database: str) -> ResourceServers:
    # Fixtures can mark several rows as the default. The first one registered wins, so that rows loaded later don't
    # change the tokens of existing clients.
    rows = list(ResourceServerRow.objects.using(database).order_by("pk"))
    return with_declared(
        [registered_or_disabled(row) for row in rows],
        default=next((row.identifier for row in rows if row.is_default), None),
    )


def registered_or_disabled(row: ResourceServerRow) -> ResourceServerConfig:
    """Return the configuration of a row or, if it cannot be read, a disabled resource server.

    Disabled, it blocks its own tokens only. If it were left out and the default, tokens would be issued for it without
    its rules.
    """
    try:
        return row.registered
    except ValueError as error:
        # A traceback would add nothing.
        logger.error("No tokens are issued for resource server %s: its row cannot be read: %s", row.identifier, error)  # noqa: TRY400
        return ResourceServerConfig(identifier=row.identifier, name=row.name, scopes={}, enabled=False)


class ResourceServerRegistry:
    """All resource servers, shared by the threads of this process.

    The settings override a row with the same identifier.
    """

    def __init__(self) -> None:
        self._servers = RowCache(ResourceServerRow, _read)
        self._for_registered: tuple[ResourceServers, ResourceServers] | None = None

    def current(self) -> ResourceServers:
        """Return the resource servers, read again if older than ``KEY_RING_MAX_AGE``.

        Raises:
            django.db.Error: the rows cannot be read.
        """
        return self._servers.current()

    def latest(self) -> ResourceServers:
        """Return the resource servers, read at most a second ago.

        Raises:
            django.db.Error: the rows cannot be read.
        """
        return self._servers.latest()

    def knowing(self, resources: Iterable[object]) -> ResourceServers:
        """Return the resource servers; read them again if one of ``resources`` is unknown, at most once a second.

        Another process may have just registered it.

        Raises:
            django.db.Error: the rows cannot be read.
        """
        servers = self.current()
        if any(isinstance(name, str) and servers.named(name) is None for name in resources):
            servers = self.latest()
        return servers

    def for_client(self, servers: ResourceServers, client: Any) -> ResourceServers:
        """Return the resource servers with the access that they grant to a client.

        Args:
            servers: of :meth:`current`, :meth:`latest` or :meth:`knowing`.
            client: a row of DOT's application model.
        """
        if not registered_itself(client):
            return servers
        kept = self._for_registered
        if kept is None or kept[0] is not servers:
            # Another thread may do the same, with the same result.
            kept = self._for_registered = servers, servers.for_registered_clients()
        return kept[1]

    def longest_lifetime(self) -> int:
        """Return the longest lifetime (in seconds) of any token that can be issued now.

        Raises:
            django.db.Error: the resource servers cannot be read.
        """
        servers = self.latest()
        return max([access_token_lifetime(), *(server.lifetime or 0 for server in servers if server.enabled)])

    def clear(self) -> None:
        """Discard what was read, as in a new process."""
        self._servers.clear()


def is_open_to(server: ResourceServerConfig, *, client_id: str, registration_source: str) -> bool:
    """Return whether a client may get a token for an API, by how it was registered."""
    seen = server.for_registered_clients() if registration_source in SELF_REGISTERED else server
    return seen.is_open_to(client_id)


def scopes_of_registered_clients() -> frozenset[str]:
    """Return the scopes that clients which registered themselves can get: those of their APIs, and the issuer's.

    Raises:
        django.db.Error: the resource servers cannot be read.
    """
    known = registry.current()
    servers = [each for each in known if each.enabled and each.registered_clients]
    available: list[Any] = get_scopes_backend().get_available_scopes()
    return frozenset(
        scope
        for scope in available
        if scope in known.issuer_scopes or any(known.has_meaning(scope, server) for server in servers)
    )


def with_declared(servers: Iterable[ResourceServerConfig], *, default: str | None) -> ResourceServers:
    """Return the given resource servers and those declared in the settings, which override them."""
    settings = app_settings()
    return ResourceServers.of(
        (*servers, *settings.resource_servers),
        default=settings.default_resource or default,
        issuer_scopes=settings.issuer_scopes,
    )


@contextmanager
def audience_errors() -> Iterator[None]:
    """Turn a database error into an :class:`IssuanceUnavailable`, and add a remedy to the lack of a default resource.

    Raises:
        IssuanceUnavailable: the resource servers cannot be read.
        NoDefaultResource: with a remedy.
    """
    try:
        yield
    except NoDefaultResource as error:
        raise NoDefaultResource(
            f'{error}; set AT_JWT["DEFAULT_RESOURCE"], or mark a resource server that is not isolated as the default'
        ) from None
    except AnyDatabaseError as error:
        raise IssuanceUnavailable(f"the resource servers cannot be read ({error}); was migrate run?") from None


registry = ResourceServerRegistry()
register_process_cache(registry.clear)
