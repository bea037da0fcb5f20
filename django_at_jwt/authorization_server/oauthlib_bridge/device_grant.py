"""The token request of the device flow: steps that oauthlib and DOT leave to each other (RFC 8628)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oauth2_provider.models import get_device_grant_model
from oauthlib.oauth2 import InvalidGrantError
from oauthlib.oauth2.rfc8628.errors import (
    AccessDenied,
    AuthorizationPendingError,
    ExpiredTokenError,
    SlowDownError,
)

from django_at_jwt.models import Authorization

from .authorization import attach_authorization
from .device_polling import is_polled_too_early
from .request import AUTHORIZATION, DEVICE_CODE_GRANT, DEVICE_GRANT, stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from oauthlib.common import Request


class DeviceGrantMixin:
    """Validates the device code of a token request, and limits its scopes to those that the user consented to."""

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Reject a device code that is not approved, expired or another client's (RFC 8628 §3.5).

        The client is authenticated by now. oauthlib 3 has no step for the code, and that of oauthlib 4 comes after this
        one. Another client's code is rejected like one that never existed.
        """
        allowed = bool(
            super().validate_grant_type(client_id, grant_type, client, request, *args, **kwargs)  # type: ignore[misc]
        )
        if allowed and grant_type == DEVICE_CODE_GRANT:
            device = _device_grant(request)
            if device is None:
                raise InvalidGrantError(request=request)
            if device.is_expired():
                raise ExpiredTokenError(request=request)
            if device.status == device.DENIED:
                raise AccessDenied(request=request)
            if device.status != device.AUTHORIZED:
                raise (SlowDownError if is_polled_too_early(device) else AuthorizationPendingError)(request=request)
            request.user = device.user
            setattr(request, DEVICE_GRANT, device)
            attach_authorization(request, Authorization.objects.of_code(request.device_code))
        return allowed

    def validate_device_code(
        self, client_id: str, device_code: str, request: Request, *args: Any, **kwargs: Any
    ) -> Any:
        """Return the status of a device code for oauthlib 4; DOT does not implement it yet (RFC 8628 §3.5)."""
        if stored(request, DEVICE_GRANT) is None:
            return None
        request.scopes = _consented_scopes(request)
        return "authorized"

    def validate_scopes(
        self, client_id: str, scopes: Sequence[str], client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Validate the scopes that the user consented to for a device; ignore those of its token request.

        A token request of this grant has no ``scope`` (RFC 8628 §3.4). For a device without scopes, oauthlib would use
        the request's or the default ones.
        """
        if stored(request, DEVICE_GRANT) is not None:
            request.scope = None
            scopes = request.scopes = _consented_scopes(request)
        return bool(super().validate_scopes(client_id, scopes, client, request, *args, **kwargs))  # type: ignore[misc]


def _consented_scopes(request: Request) -> list[str]:
    """Return the scopes that the user was shown: of the authorization, else of the device grant."""
    authorization: Authorization | None = stored(request, AUTHORIZATION)
    if authorization is not None:
        return authorization.scopes.split()
    return str(stored(request, DEVICE_GRANT).scope or "").split()


def _device_grant(request: Request) -> Any:
    """Return the device grant of a token request, or ``None`` if it belongs to another client or does not exist."""
    grants = get_device_grant_model().objects
    return grants.filter(device_code=request.device_code, client_id=request.client.client_id).first()
