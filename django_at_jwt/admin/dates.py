"""The one format of dates on the admin pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.dateformat import format as date_format
from django.utils.timezone import is_aware, localtime

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

# Templates write it as |date:"Y-m-d H:i:s T".
DAY_FORMAT: Final = "Y-m-d"
TIME_FORMAT: Final = "H:i:s T"


def day_and_time(instant: datetime, zone: tzinfo | None = None) -> tuple[str, str]:
    """Return the day and the time of an instant, with the name of the time zone: by default, the current one."""
    local = localtime(instant, zone) if is_aware(instant) else instant
    return date_format(local, DAY_FORMAT), date_format(local, TIME_FORMAT).strip()


def format_instant(instant: datetime | None, zone: tzinfo | None = None) -> str:
    """Return an instant such as ``2026-11-27 14:05:00 UTC``, or ``-`` for ``None``."""
    return "-" if instant is None else " ".join(day_and_time(instant, zone))
