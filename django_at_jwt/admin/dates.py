"""The one format of dates on the admin pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.utils.dateformat import format as date_format
from django.utils.timezone import is_aware, localtime

if TYPE_CHECKING:
    from datetime import datetime

# Templates write it as |date:"Y-m-d H:i:s T".
_DAY: Final = "Y-m-d"
_TIME: Final = "H:i:s T"


def day_and_time(instant: datetime) -> tuple[str, str]:
    """Return the day and the time of an instant in the current time zone, with its name."""
    local = localtime(instant) if is_aware(instant) else instant
    return date_format(local, _DAY), date_format(local, _TIME).strip()


def format_instant(instant: datetime | None) -> str:
    """Return an instant such as ``2026-11-27 14:05:00 UTC``, or ``-`` for ``None``."""
    return "-" if instant is None else " ".join(day_and_time(instant))
