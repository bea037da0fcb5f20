"""Who has looked at which user's claims, in the admin's history of that user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.admin.models import CHANGE, LogEntry
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from django.http import HttpRequest

    from django_at_jwt.authorization_server.effects import Effects


def record_preview(request: HttpRequest, effects: Effects) -> None:
    """Record that the claims of the users in a sample were shown, as far as there were any to show."""
    users = {effect.token.user.pk: effect.token.user for effect in effects.tokens if effect.token.user is not None}
    if users and request.user.pk is not None:
        message = _("Claims in access tokens were previewed.")
        LogEntry.objects.log_actions(request.user.pk, users.values(), CHANGE, message)
