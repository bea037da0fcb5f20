"""The registry of resource servers: those that the settings declare, and those that an administrator registered."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from django_at_jwt.conf import AppSettings, access_token_lifetime, app_settings
from django_at_jwt.core.audience import requested_servers, resolve_audience
from django_at_jwt.core.resource_servers import ResourceServer, ResourceServers
from django_at_jwt.models import ResourceServer as ResourceServerRow

from .snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_at_jwt.core.audience import Audience, AudienceRequest

logger = logging.getLogger("django_at_jwt")


class _Rows(NamedTuple):
    servers: tuple[ResourceServer, ...]
    default: str | None


def _read(database: str) -> _Rows:
    # Of several that are marked as the default, as fixtures can leave them behind, it is the one that was registered
    # first: what was loaded after it does not change what existing clients get.
    rows = list(ResourceServerRow.objects.using(database).order_by("pk"))
    return _Rows(
        servers=tuple(registered_or_disabled(row) for row in rows),
        default=next((row.identifier for row in rows if row.is_default), None),
    )


def registered_or_disabled(row: ResourceServerRow) -> ResourceServer:
    """Give a row as a plain value or, in place of one that cannot be read, an API that is switched off.

    It stops its own tokens and nobody else's. Were it left out, and the default, tokens would be for it by no rule.
    """
    try:
        return row.registered
    except ValueError as error:
        # A traceback would say nothing more.
        logger.error("No tokens for resource server %s: its row cannot be read: %s", row.identifier, error)  # noqa: TRY400
        return ResourceServer(identifier=row.identifier, name=row.name, scopes={}, enabled=False)


class ResourceServerRegistry:
    """All registered resource servers, shared by all threads of this process.

    What the settings declare wins over a row of the same identifier.
    """

    def __init__(self) -> None:
        self._rows = Snapshot(ResourceServerRow, _read)
        self._merged: tuple[_Rows, AppSettings, ResourceServers] | None = None

    def current(self) -> ResourceServers:
        """Give the resource servers as they are now; no query while what was read before is young enough.

        Raises:
            django.db.Error: they cannot be read.
        """
        return self._with_settings(self._rows.current())

    def latest(self) -> ResourceServers:
        """Give the resource servers as they were a second ago or later.

        Raises:
            django.db.Error: they cannot be read.
        """
        return self._with_settings(self._rows.latest())

    def resolve(self, request: AudienceRequest) -> Audience:
        """Resolve the audience of a token.

        Raises:
            InvalidTarget, InvalidScope, IssuanceUnavailable: as :func:`~django_at_jwt.core.audience.resolve_audience`.
        """
        return resolve_audience(request, self._knowing(request.resources))

    def requested(self, request: AudienceRequest) -> tuple[ResourceServer, ...]:
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
        self._rows.forget()

    def _with_settings(self, rows: _Rows) -> ResourceServers:
        settings = app_settings()
        before = self._merged
        if before is not None and before[0] is rows and before[1] is settings:
            return before[2]
        merged = with_declared(rows.servers, default=rows.default)
        self._merged = (rows, settings, merged)
        return merged


def with_declared(servers: Iterable[ResourceServer], *, default: str | None) -> ResourceServers:
    """Give the resource servers of rows together with those that the settings declare, which win."""
    settings = app_settings()
    return ResourceServers.of(
        (*servers, *settings.resource_servers),
        default=settings.default_resource or default,
        issuer_scopes=settings.issuer_scopes,
    )


registry = ResourceServerRegistry()
