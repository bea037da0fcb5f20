"""Instants as the columns of the site's models hold them."""

from __future__ import annotations

from datetime import UTC, datetime

from django.conf import settings as django_settings
from django.utils import timezone


def as_datetime(seconds: int) -> datetime:
    """Return seconds since the epoch as a datetime: aware, or in the site's time zone if ``USE_TZ`` is off."""
    instant = datetime.fromtimestamp(seconds, tz=UTC)
    return instant if django_settings.USE_TZ else timezone.make_naive(instant, timezone.get_default_timezone())
