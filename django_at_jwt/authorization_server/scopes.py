"""The scopes that clients may request: those of the settings, and those that resource servers name."""

from __future__ import annotations

from typing import Any

from django_at_jwt.authorization_server.toolkit import SettingsScopes

from .resource_servers import registry


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
        named: dict[str, Any] = {}
        for server in registry.current():
            if server.enabled:
                for scope, text in (server.scopes or {}).items():
                    named[scope] = named.get(scope) or text
        return {**named, **super().get_all_scopes()}

    def get_available_scopes(
        self, application: Any = None, request: Any = None, *args: Any, **kwargs: Any
    ) -> list[str]:
        """Return all scopes.

        Raises:
            django.db.Error: the resource servers cannot be read.
        """
        return list(self.get_all_scopes())
