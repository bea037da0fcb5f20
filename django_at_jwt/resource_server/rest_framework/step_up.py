"""A login that is recent and strong enough, asked for by the API (RFC 9470)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from django.core.exceptions import ImproperlyConfigured

from django_at_jwt.conf import app_settings
from django_at_jwt.core.remedies import Remedies, Remedy, StepUp

from .required_scopes import checked_scopes
from .token_permission import TokenPermission

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rest_framework.request import Request
    from rest_framework.views import APIView

    from .principal import AccessToken


class RequiresAuthentication(TokenPermission):
    """The user logged in lately enough, and in a way that is strong enough (RFC 9470).

    A token that does not say so is answered with 401 ``insufficient_user_authentication``, from which a client knows
    what to ask the issuer for. A client that acts for itself is refused, since it has nobody who could log in.

    Args:
        acr_values: the token's ``acr`` must be one of these; the preferred one first.
        max_age: seconds; ``auth_time`` must not be longer ago, with the leeway of the settings.
    """

    def __init__(self, *, acr_values: Sequence[str] = (), max_age: int | None = None) -> None:
        if not acr_values and max_age is None:
            raise ImproperlyConfigured("RequiresAuthentication needs acr_values or max_age.")
        if max_age is not None and max_age < 0:
            raise ImproperlyConfigured(f"max_age is a number of seconds, not {max_age!r}.")
        checked = checked_scopes(acr_values, where="acr_values")  # They are written as scopes are, with spaces between.
        self.step_up: Final = StepUp(acr_values=checked, max_age=max_age)

    def is_met(self, token: AccessToken, request: Request, view: APIView) -> bool:
        """Tell whether ``acr`` and ``auth_time`` say so."""
        wanted = self.step_up
        if token.claims.is_machine or (wanted.acr_values and token.get("acr") not in wanted.acr_values):
            return False
        if wanted.max_age is None:
            return True
        auth_time = token.get("auth_time")
        if isinstance(auth_time, bool) or not isinstance(auth_time, int | float):
            return False
        # Compared before it is subtracted from: JSON's integers may be larger than any float. Nobody has logged in in
        # the future, and whoever says so would be believed for as long as they like.
        now, leeway = time.time(), app_settings().leeway
        return 0 <= auth_time <= now + leeway and now - auth_time <= wanted.max_age + leeway

    def remedies(self, token: AccessToken | None, request: Request, view: APIView, *, wanted: bool) -> Remedies:
        """Say what would help: another login, where there is a user who could log in."""
        by_its_own = super().remedies(token, request, view, wanted=wanted)
        if by_its_own or not wanted or token is None or token.claims.is_machine:
            return by_its_own
        return (Remedy(step_up=self.step_up),)
