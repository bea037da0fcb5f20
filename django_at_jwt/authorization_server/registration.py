"""Who may register clients, and which clients registered themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from oauth2_provider.models import AbstractApplication
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.conf import app_settings

from .toolkit import IsAuthenticatedDCRPermission

if TYPE_CHECKING:
    from django.http import HttpRequest

RegistrationSource: Final = AbstractApplication.RegistrationSource

SELF_REGISTERED: Final = (RegistrationSource.DCR, RegistrationSource.CIMD)
"""How a client was registered if it registered itself: by a request (RFC 7591), or with a metadata document."""


def registered_itself(client: Any) -> bool:
    """Return whether a client registered itself; it then has only APIs that say so."""
    return client.registration_source in SELF_REGISTERED


def is_registered_by_request(client: Any) -> bool:
    """Return whether a client registered itself by a request (RFC 7591), so that it can change its registration."""
    return bool(client.registration_source == RegistrationSource.DCR)


def has_metadata_document(client: Any) -> bool:
    """Return whether a client is identified by its metadata document."""
    return bool(client.registration_source == RegistrationSource.CIMD)


def registration_is_enabled() -> bool:
    """Return whether clients can register: by ``AT_JWT["CLIENT_REGISTRATION"]``, else by DOT's ``DCR_ENABLED``."""
    chosen = app_settings().client_registration
    return bool(oauth2_settings.DCR_ENABLED) if chosen is None else chosen != "closed"


def anyone_may_register() -> bool:
    """Return whether ``AT_JWT["CLIENT_REGISTRATION"]`` lets anyone register a client."""
    return app_settings().client_registration == "open"


def may_register(request: HttpRequest) -> bool:
    """Return whether the sender of a request may register a client.

    Not checked: how many requests the sender has made.
    """
    match app_settings().client_registration:
        case None:
            # As in DOT, an empty list closes registration.
            classes = oauth2_settings.DCR_REGISTRATION_PERMISSION_CLASSES
            return bool(classes) and all(each().has_permission(request) for each in classes)
        case "open":
            return True
        case "users":
            return bool(IsAuthenticatedDCRPermission().has_permission(request))
    return False
