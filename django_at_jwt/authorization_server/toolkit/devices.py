"""The device flow, where oauthlib and the toolkit leave a step to each other (RFC 8628)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from oauth2_provider.models import get_device_grant_model
from oauthlib.oauth2 import InvalidGrantError
from oauthlib.oauth2.rfc8628.errors import AccessDenied, AuthorizationPendingError, ExpiredTokenError

from django_at_jwt.models import Authorization

from .requests import DEVICE_CODE_GRANT
from .storing import recall

if TYPE_CHECKING:
    from oauthlib.common import Request


class DeviceMixin:
    """Looks at a device code before there is a token for it."""

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Refuse a device code that is another client's, or too old; oauthlib 3 has no step for it (RFC 8628 §3.5)."""
        allowed = bool(
            super().validate_grant_type(client_id, grant_type, client, request, *args, **kwargs)  # type: ignore[misc]
        )
        if allowed and grant_type == DEVICE_CODE_GRANT:
            device = _device_grant(request)
            if device is None:
                raise InvalidGrantError(request=request)
            if device.is_expired():
                raise ExpiredTokenError(request=request)
            recall(request, Authorization.objects.of_code(request.device_code))
        return allowed

    def validate_device_code(
        self, client_id: str, device_code: str, request: Request, *args: Any, **kwargs: Any
    ) -> Any:
        """Tell oauthlib 4 how far a device's authorization is, which the toolkit does not yet (RFC 8628 §3.5)."""
        device = _device_grant(request)
        if device is None:
            return None
        if device.is_expired():
            return ExpiredTokenError.error
        if device.status == device.DENIED:
            return AccessDenied.error
        if device.status != device.AUTHORIZED:
            return AuthorizationPendingError.error
        request.user = device.user
        request.scopes = device.scope.split()
        return "authorized"


def _device_grant(request: Request) -> Any:
    """The device grant of a token request, if it belongs to the client that asks."""
    grants = get_device_grant_model().objects
    return grants.filter(device_code=request.device_code, client_id=request.client.client_id).first()
