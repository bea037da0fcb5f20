"""The device flow: what a device requests, steps that oauthlib and DOT leave to each other, and polling (RFC 8628)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import F
from django.utils import timezone
from oauth2_provider.models import get_application_model, get_device_grant_model
from oauth2_provider.settings import oauth2_settings
from oauthlib.oauth2 import InvalidGrantError
from oauthlib.oauth2.rfc8628.errors import (
    AccessDenied,
    AuthorizationPendingError,
    ExpiredTokenError,
    SlowDownError,
)

from django_at_jwt.authorization_server.clients import stored_client
from django_at_jwt.authorization_server.resource_servers import audience_errors, registry
from django_at_jwt.authorization_server.toolkit import get_scopes_backend, set_oauthlib_user_to_device_request_user
from django_at_jwt.core.audience import resolve_audience
from django_at_jwt.core.errors import InvalidScope
from django_at_jwt.core.grant_types import DEVICE_CODE
from django_at_jwt.models import Authorization

from .authorization import attach_authorization
from .request import AUTHORIZATION, DEVICE_CODE_ROW, DEVICE_GRANT, LACKS_USER, stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.http import HttpRequest
    from oauthlib.common import Request

    from django_at_jwt.core.audience import Audience


SLOW_DOWN_SECONDS: Final = 5
"""What each ``slow_down`` adds to the interval of a device."""

# Networks delay one request more than another.
_TOLERANCE: Final = timedelta(seconds=0.5)
_PRE_TOKEN: Final = "pre_token"  # noqa: S105 - an argument of oauthlib


class DeviceGrantMixin:
    """Validates the device code of a token request, and limits its scopes to those that the user consented to."""

    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Reject a device code that is not approved, expired, used or another client's (RFC 8628 section 3.5).

        The client is authenticated by now. oauthlib 3 has no step for the code, and that of oauthlib 4 comes after this
        one. Another client's code is rejected like one that never existed.
        """
        allowed = super().validate_grant_type(client_id, grant_type, client, request, *args, **kwargs)  # type: ignore[misc]
        if allowed and grant_type == DEVICE_CODE:
            device = stored(request, DEVICE_CODE_ROW) or _find_device(request)
            if device is None or device.client_id != request.client.client_id:
                raise InvalidGrantError(request=request)
            if device.is_expired():
                raise ExpiredTokenError(request=request)
            if device.status == device.DENIED:
                raise AccessDenied(request=request)
            if device.status != device.AUTHORIZED:
                raise (SlowDownError if is_polled_too_early(device) else AuthorizationPendingError)(request=request)
            authorization = Authorization.objects.of_code(request.device_code)
            if authorization is not None and authorization.code_used_at is not None:
                raise ExpiredTokenError(request=request)
            request.user = device.user
            setattr(request, DEVICE_GRANT, device)
            setattr(request, LACKS_USER, authorization is None or not authorization.user_key)
            attach_authorization(request, authorization)
        return allowed

    def validate_device_code(
        self, client_id: str, device_code: str, request: Request, *args: Any, **kwargs: Any
    ) -> Any:
        """Return the status of a device code for oauthlib 4; DOT does not implement it yet (RFC 8628 section 3.5)."""
        if stored(request, DEVICE_GRANT) is None:
            return None
        request.scopes = _consented_scopes(request)
        return "authorized"

    def validate_scopes(
        self, client_id: str, scopes: Sequence[str], client: Any, request: Request, *args: Any, **kwargs: Any
    ) -> bool:
        """Validate the scopes that the user consented to for a device; ignore those of its token request.

        A token request of this grant has no ``scope`` (RFC 8628 section 3.4). For a device without scopes, oauthlib
        would use the request's or the default ones.
        """
        if stored(request, DEVICE_GRANT) is not None:
            request.scope = None
            scopes = request.scopes = _consented_scopes(request)
        return super().validate_scopes(client_id, scopes, client, request, *args, **kwargs)  # type: ignore[misc]


def _consented_scopes(request: Request) -> list[str]:
    """Return the scopes that the user was shown: of the authorization, else of the device grant."""
    authorization: Authorization | None = stored(request, AUTHORIZATION)
    if authorization is not None:
        return authorization.scopes.split()
    return str(stored(request, DEVICE_GRANT).scope or "").split()


def _find_device(request: Request) -> Any:
    rows = get_device_grant_model().objects.select_related("user")
    return rows.filter(device_code=request.device_code).first()


@audience_errors()
def requested_audience(request: HttpRequest) -> tuple[Any, Audience]:
    """Return a device's client, and the audience that it requests with ``resource`` and ``scope``.

    See RFC 8628 section 3.1 and RFC 8707 section 2.

    Raises:
        IssuanceError: it has no valid audience, or the client may not have a scope.
    """
    client_id = request.POST.get("client_id", "")
    application = get_application_model().objects.get(client_id=client_id)
    backend = get_scopes_backend()
    asked = request.POST.get("scope", "").split()
    if not set(asked) <= set(backend.get_available_scopes(application=application, request=request)):
        raise InvalidScope("A requested scope is unknown or not for this client.")
    # oauthlib ignores the query; a resource there must not be ignored silently.
    resources = [*filter(None, request.POST.getlist("resource")), *filter(None, request.GET.getlist("resource"))]
    audience = resolve_audience(
        registry.for_client(registry.knowing(resources), application),
        client_id=client_id,
        resources=resources,
        scopes=asked or backend.get_default_scopes(application=application, request=request),
        asked_scopes=asked,
    )
    return application, audience


@audience_errors()
def pending_audience(device: Any) -> Audience:
    """Return the audience of a device that waits for its user's consent, as the resource servers are now.

    Raises:
        IssuanceError: a requested resource server is no longer available.
    """
    authorization = Authorization.objects.of_code(device.device_code)
    resources = authorization.resources if authorization is not None else ()
    scopes = device.scope if authorization is None else authorization.scopes
    servers = registry.knowing(resources)
    application = stored_client(device.client_id)
    return resolve_audience(
        servers if application is None else registry.for_client(servers, application),
        client_id=device.client_id,
        resources=resources,
        scopes=str(scopes or "").split(),
    )


def begin_polling(device_code: str, interval: int) -> None:
    """Store the interval that a device was told, instead of DOT's default; its first poll may come at once."""
    last = timezone.now() - timedelta(seconds=interval)
    get_device_grant_model().objects.filter(device_code=device_code).update(interval=interval, last_checked=last)


def is_polled_too_early(device: Any) -> bool:
    """Record a poll, and return whether it came before the interval had passed, which then grows.

    Of two simultaneous polls, one is too early: the row changes only if no other poll was recorded since it was read.
    """
    now = timezone.now()
    rows = get_device_grant_model().objects.filter(pk=device.pk)
    latest = now - timedelta(seconds=device.interval) + _TOLERANCE
    if rows.filter(interval=device.interval, last_checked__lte=latest).update(last_checked=now):
        return False
    rows.update(last_checked=now, interval=F("interval") + SLOW_DOWN_SECONDS)
    return True


def token_server_kwargs() -> dict[str, Any]:
    """Return DOT's arguments of oauthlib's server, without the step that fails for an unknown device code.

    DOT's step runs before the client is authenticated, so its failure would reveal which codes exist.
    """
    kwargs: dict[str, Any] = oauth2_settings.server_kwargs
    steps = kwargs.get(_PRE_TOKEN) or ()
    own = [set_device_user if step is set_oauthlib_user_to_device_request_user else step for step in steps]
    return {**kwargs, _PRE_TOKEN: own}


def set_device_user(request: Request) -> None:
    """Set the user and the scopes of the request for the site's own steps, if the device code exists."""
    device = _find_device(request)
    if device is not None:
        setattr(request, DEVICE_CODE_ROW, device)
        request.user = device.user
        request.scopes = (device.scope or "").split()
