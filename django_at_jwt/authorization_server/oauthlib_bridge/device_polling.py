"""How often a device may poll (RFC 8628 §3.5), and DOT's step before each poll without its disclosure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.db.models import F
from django.utils import timezone
from oauth2_provider.models import get_device_grant_model
from oauth2_provider.settings import oauth2_settings
from oauth2_provider.utils import set_oauthlib_user_to_device_request_user

if TYPE_CHECKING:
    from oauthlib.common import Request

SLOW_DOWN_SECONDS: Final = 5
"""What each ``slow_down`` adds to the interval of a device."""

# Networks delay one request more than another.
_TOLERANCE: Final = timedelta(seconds=0.5)
_PRE_TOKEN: Final = "pre_token"  # noqa: S105 - an argument of oauthlib


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

    DOT's step runs before the client is authenticated, so its failure would tell anyone which codes exist.
    """
    kwargs: dict[str, Any] = oauth2_settings.server_kwargs
    steps = kwargs.get(_PRE_TOKEN) or ()
    own = [set_device_user if step is set_oauthlib_user_to_device_request_user else step for step in steps]
    return {**kwargs, _PRE_TOKEN: own}


def set_device_user(request: Request) -> None:
    """Set the user and the scopes of the request for the site's own steps, if the device code exists."""
    device = get_device_grant_model().objects.filter(device_code=request.device_code).first()
    if device is not None:
        request.user = device.user
        request.scopes = (device.scope or "").split()
