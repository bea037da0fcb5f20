"""Who may register clients, and what such clients may have (RFC 7591)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oauth2_provider.settings import oauth2_settings

from django_at_jwt.conf import app_settings

from .resource_servers import registry
from .toolkit import IsAuthenticatedDCRPermission, get_scopes_backend

if TYPE_CHECKING:
    from django.http import HttpRequest


def registration_is_enabled() -> bool:
    """Return whether clients can register: by ``AT_JWT["CLIENT_REGISTRATION"]``, else by DOT's ``DCR_ENABLED``."""
    chosen = app_settings().client_registration
    return bool(oauth2_settings.DCR_ENABLED) if chosen is None else chosen != "closed"


def is_open_to_anyone() -> bool:
    """Return whether ``AT_JWT["CLIENT_REGISTRATION"]`` lets anyone register a client."""
    return app_settings().client_registration == "open"


def may_register(request: HttpRequest) -> bool:
    """Return whether the sender of a request may register a client.

    Not checked: how many requests the sender has made.
    """
    match app_settings().client_registration:
        case None:
            # As in DOT, an empty list lets nobody register.
            classes = oauth2_settings.DCR_REGISTRATION_PERMISSION_CLASSES
            return bool(classes) and all(each().has_permission(request) for each in classes)
        case "open":
            return True
        case "users":
            return bool(IsAuthenticatedDCRPermission().has_permission(request))
    return False


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
