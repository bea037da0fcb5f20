"""The scopes that clients may request: those of the settings, and those that resource servers name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oauth2_provider.settings import oauth2_settings

from django_at_jwt.authorization_server.toolkit import SettingsScopes, get_scopes_backend

from .resource_servers import registry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django_at_jwt.core.resource_servers import ResourceServerConfig, ResourceServers


class ResourceServerScopes(SettingsScopes):
    """The scopes of ``OAUTH2_PROVIDER["SCOPES"]`` and of all enabled resource servers.

    Set ``OAUTH2_PROVIDER["SCOPES_BACKEND_CLASS"]`` to ``"django_at_jwt.scopes.ResourceServerScopes"``. Administrators
    can then add scopes when they register an API. The default scopes remain those of the settings. Which APIs a client
    may request is decided as for other scopes.
    """

    def get_all_scopes(self) -> dict[str, Any]:
        """Return all scopes with descriptions. The settings override the descriptions of resource servers.

        Raises:
            django.db.Error: the resource servers cannot be read.
        """
        return {**_named_by(registry.current()), **super().get_all_scopes()}

    def get_available_scopes(
        self, application: Any = None, request: Any = None, *args: Any, **kwargs: Any
    ) -> list[str]:
        """Return all scopes.

        Raises:
            django.db.Error: the resource servers cannot be read.
        """
        return list(self.get_all_scopes())


def removed_scopes(before: ResourceServers, after: ResourceServers) -> frozenset[str]:
    """Return the scopes that no longer exist after a change of the resource servers.

    The set is empty if another scopes backend decides which scopes exist.
    """
    if not isinstance(get_scopes_backend(), ResourceServerScopes):
        return frozenset()
    return frozenset(_named_by(before).keys() - _named_by(after).keys() - oauth2_settings.SCOPES.keys())


def _named_by(servers: Iterable[ResourceServerConfig]) -> dict[str, str]:
    """Return the scopes of enabled resource servers with descriptions."""
    named: dict[str, str] = {}
    for server in servers:
        if server.enabled:
            for scope, text in (server.scopes or {}).items():
                named[scope] = named.get(scope) or text
    return named
