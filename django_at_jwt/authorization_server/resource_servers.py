"""The registry of resource servers: those that the settings declare, and those that an administrator registered."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django_at_jwt.conf import access_token_lifetime, app_settings, register_process_cache
from django_at_jwt.core.audience import requested_servers, resolve_audience
from django_at_jwt.core.resource_servers import ResourceServerConfig, ResourceServers
from django_at_jwt.models import ResourceServer as ResourceServerRow

from .row_cache import RowCache

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_at_jwt.core.audience import Audience, AudienceRequest

logger = logging.getLogger("django_at_jwt")


def _read(database: str) -> ResourceServers:
    # Fixtures can leave several rows marked as the default. The first one registered wins, so that rows loaded later
    # don't change what existing clients get.
    rows = list(ResourceServerRow.objects.using(database).order_by("pk"))
    return with_declared(
        [registered_or_disabled(row) for row in rows],
        default=next((row.identifier for row in rows if row.is_default), None),
    )


def registered_or_disabled(row: ResourceServerRow) -> ResourceServerConfig:
    """Give a row as a plain value or, in place of one that cannot be read, an API that is switched off.

    It stops its own tokens and nobody else's. Were it left out, and the default, tokens would be for it by no rule.
    """
    try:
        return row.registered
    except ValueError as error:
        # A traceback would say nothing more.
        logger.error("No tokens for resource server %s: its row cannot be read: %s", row.identifier, error)  # noqa: TRY400
        return ResourceServerConfig(identifier=row.identifier, name=row.name, scopes={}, enabled=False)


class ResourceServerRegistry:
    """All registered resource servers, shared by all threads of this process.

    What the settings declare wins over a row of the same identifier.
    """

    def __init__(self) -> None:
        self._servers = RowCache(ResourceServerRow, _read)

    def current(self) -> ResourceServers:
        """Give the resource servers as they are now; no query while what was read before is young enough.

        Raises:
            django.db.Error: they cannot be read.
        """
        return self._servers.current()

    def latest(self) -> ResourceServers:
        """Give the resource servers as they were a second ago or later.

        Raises:
            django.db.Error: they cannot be read.
        """
        return self._servers.latest()

    def resolve(self, request: AudienceRequest) -> Audience:
        """Resolve the audience of a token.

        Raises:
            InvalidTarget, InvalidScope, IssuanceUnavailable: as :func:`~django_at_jwt.core.audience.resolve_audience`.
        """
        return resolve_audience(request, self._knowing(request.resources))

    def requested(self, request: AudienceRequest) -> tuple[ResourceServerConfig, ...]:
        """Give the resource servers that a request names.

        Raises:
            InvalidTarget: as :func:`~django_at_jwt.core.audience.requested_servers`.
        """
        return requested_servers(request, self._knowing(request.resources))

    def _knowing(self, resources: Iterable[object]) -> ResourceServers:
        """Give the registry, with one that was registered a moment ago through another process.

        An unknown resource causes a read, once in a second at the most.
        """
        registry = self.current()
        if any(isinstance(named, str) and named not in registry.by_identifier for named in resources):
            registry = self.latest()
        return registry

    def longest_lifetime(self) -> int:
        """Give the longest lifetime, in seconds, of any token that can be issued now.

        Raises:
            django.db.Error: the resource servers cannot be read.
        """
        servers = self.latest()
        return max([access_token_lifetime(), *(server.lifetime or 0 for server in servers if server.enabled)])

    def forget(self) -> None:
        """Read the rows again at the next use."""
        self._servers.forget()


def with_declared(servers: Iterable[ResourceServerConfig], *, default: str | None) -> ResourceServers:
    """Give the resource servers of rows together with those that the settings declare, which win."""
    settings = app_settings()
    return ResourceServers.of(
        (*servers, *settings.resource_servers),
        default=settings.default_resource or default,
        issuer_scopes=settings.issuer_scopes,
    )


registry = ResourceServerRegistry()
register_process_cache(registry.forget)
