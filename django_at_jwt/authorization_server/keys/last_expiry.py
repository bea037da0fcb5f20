"""What was really issued: each signing key knows when the last token that it signed expires."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Final

from django.conf import settings as django_settings
from django.db.models import Q
from django.utils import timezone

from django_at_jwt.conf import register_process_cache
from django_at_jwt.models import SigningKey
from django_at_jwt.models.primary import primary_rows

STEP_SECONDS: Final = 60


class LastTokenExpiry:
    """Keeps ``last_token_expires_at`` of the keys at or above the truth, with one write for each key and minute.

    What is written lies a minute ahead, so that the tokens of that minute need no further write, whichever process
    issues them: each asks the row once in that time, and remembers what another one wrote.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recorded: dict[str, int] = {}

    def record(self, kid: str, expires_at: int) -> None:
        """Note that a key has signed a token that expires at ``expires_at`` (seconds since the epoch).

        Raises:
            django.db.Error: it could not be written, and so the token must not be given out.
        """
        if expires_at <= self._recorded.get(kid, 0):
            return
        with self._lock:
            if expires_at <= self._recorded.get(kid, 0):
                return
            mark = expires_at + STEP_SECONDS
            lower = Q(last_token_expires_at__isnull=True) | Q(last_token_expires_at__lt=as_datetime(expires_at))
            if not SigningKey.objects.filter(lower, kid=kid).update(last_token_expires_at=as_datetime(mark)):
                # Another process has written a mark that covers this token. One that this transaction cannot see yet is
                # read as an older one, after which the next token asks again.
                mark = _stored_mark(kid)
            # A request that is rolled back takes the mark with it, but not its memory; the next minute's mark makes up
            # for that, and whoever deletes keys waits a minute longer.
            self._recorded[kid] = mark

    def forget(self) -> None:
        """Write again at the next token."""
        self._recorded.clear()


def _stored_mark(kid: str) -> int:
    rows = primary_rows(SigningKey).filter(kid=kid)
    instant = rows.values_list("last_token_expires_at", flat=True).first()
    if instant is None:
        return 0
    aware = instant if django_settings.USE_TZ else timezone.make_aware(instant, timezone.get_default_timezone())
    return int(aware.timestamp())


def as_datetime(seconds: int) -> datetime:
    """Give an instant as the site's models hold it: aware, or in the site's time zone where ``USE_TZ`` is off."""
    instant = datetime.fromtimestamp(seconds, tz=UTC)
    return instant if django_settings.USE_TZ else timezone.make_naive(instant, timezone.get_default_timezone())


last_token_expiry = LastTokenExpiry()
register_process_cache(last_token_expiry.forget)
