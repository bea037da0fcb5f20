"""The user code of a device: how a user may write it, and how often it may be wrong (RFC 8628 sections 5.1 and 6.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.db.models import F, Value
from django.db.models.functions import Replace, Upper
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import get_device_grant_model

from django_at_jwt.authorization_server.toolkit import DeviceGrantForm
from django_at_jwt.conf import app_settings

from .rate_limits import Counted, count_attempt, network_of

if TYPE_CHECKING:
    from django.http import HttpRequest

WINDOW_SECONDS: Final = 900
"""Attempts are counted in windows of this length, which begin at fixed instants."""

_MOST_ALIKE: Final = 20


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A counted attempt.

    Attributes:
        retry_after: the seconds to wait if it is over a limit, otherwise 0.
    """

    retry_after: int = 0
    _counted: tuple[Counted, ...] = ()

    @property
    def is_allowed(self) -> bool:
        """Whether it is within all limits."""
        return not self.retry_after

    def succeed(self) -> None:
        """Take the attempt back, since it was right."""
        for each in self._counted:
            each.take_back()


class UserCodeForm(DeviceGrantForm):
    """DOT's form for a user code; the code may be in lower case, and without or with other separators."""

    def clean_user_code(self) -> str:
        """Return the code as it is stored, and add ``device_grant`` to the cleaned data.

        Raises:
            ValidationError: no device waits with this code.
        """
        device = _grant_of(self.cleaned_data["user_code"])
        if device is None:
            raise ValidationError(_("Incorrect user code"), code="incorrect_user_code")
        if device.is_expired():
            raise ValidationError(_("Expired user code"), code="expired_user_code")
        if device.status != device.AUTHORIZATION_PENDING:
            raise ValidationError(_("User code has already been used"), code="user_code_already_used")
        self.cleaned_data["device_grant"] = device
        return device.user_code


class RefusedUserCodeForm(DeviceGrantForm):
    """The same form after too many wrong codes; the code is not looked up."""

    def clean_user_code(self) -> str:
        """Refuse any code.

        Raises:
            ValidationError: always.
        """
        raise ValidationError(_("Too many wrong codes. Try again in 15 minutes."), code="too_many_attempts")


def begin_user_code_attempt(request: HttpRequest) -> Attempt:
    """Count an attempt to enter a user code, for the session and for the address that the request came from.

    It is counted before the code is looked up, so that simultaneous attempts cannot exceed a limit. An attempt beyond
    the session's limit is not counted for the address.
    """
    settings = app_settings()
    # A site may log users in without sessions.
    session = getattr(getattr(request, "session", None), "session_key", None) or f"user {request.user.pk}"
    limits = (
        (f"session {session}", settings.user_code_attempts),
        (f"address {network_of(request)}", settings.user_code_attempts_per_address),
    )
    counted = []
    for sender, most in limits:
        if not most:
            continue
        counted.append(count_attempt("user_code", sender, WINDOW_SECONDS))
        if counted[-1].number > most:
            return Attempt(retry_after=counted[-1].retry_after)
    return Attempt(_counted=tuple(counted))


def _grant_of(entered: str) -> Any:
    """Return the device grant of a code as a user entered it, or ``None``."""
    grants = get_device_grant_model().objects.order_by("-pk")
    # Some databases ignore case.
    exact = [device for device in grants.filter(user_code=entered)[:_MOST_ALIKE] if device.user_code == entered]
    if exact:
        return exact[0]
    code = re.sub(r"[\W_]+", "", entered).upper()
    if not code:
        return None
    stored = Upper(Replace(Replace(F("user_code"), Value("-")), Value(" ")))
    alike = grants.annotate(plain_user_code=stored).filter(plain_user_code=code)
    # A site's own codes may differ only in case.
    waiting = alike.filter(status=grants.model.AUTHORIZATION_PENDING, expires__gt=timezone.now())[:2]
    return waiting[0] if len(waiting) == 1 else None if waiting else alike.first()
