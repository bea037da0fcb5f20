"""Record on each signing key when the last token that it signed expires."""

from __future__ import annotations

import threading
from typing import Final

from django.conf import settings as django_settings
from django.db.models import Q
from django.utils import timezone

from django_at_jwt.conf import register_process_cache
from django_at_jwt.models import SigningKey
from django_at_jwt.models.instants import as_datetime
from django_at_jwt.models.primary import primary_rows

STEP_SECONDS: Final = 60


class LastTokenExpiry:
    """Keep ``last_token_expires_at`` at or after the expiry of every issued token, with one write per key and minute.

    The recorded value is a minute ahead, so that tokens of the next minute need no write. Each process reads the row
    once in that time, and remembers what another process wrote.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._recorded: dict[str, int] = {}

    def record(self, kid: str, expires_at: int) -> None:
        """Record that a key has signed a token that expires at ``expires_at`` (seconds since the epoch).

        Raises:
            django.db.Error: the write failed; the token must not be issued.
        """
        if expires_at <= self._recorded.get(kid, 0):
            return
        with self._lock:
            if expires_at <= self._recorded.get(kid, 0):
                return
            mark = expires_at + STEP_SECONDS
            lower = Q(last_token_expires_at__isnull=True) | Q(last_token_expires_at__lt=as_datetime(expires_at))
            if not SigningKey.objects.filter(lower, kid=kid).update(last_token_expires_at=as_datetime(mark)):
                # Another process has recorded a later expiry. If this transaction cannot see it yet, it reads an older
                # one, and the next token asks again.
                mark = _stored_expiry(kid)
            # A rollback discards the row's value but not this one. The next minute's write corrects it, and keys are
            # deleted a minute later because of it (see safe_to_purge_after).
            self._recorded[kid] = mark

    def forget(self) -> None:
        """Write again at the next token, as in a new process."""
        self._recorded.clear()


def _stored_expiry(kid: str) -> int:
    rows = primary_rows(SigningKey).filter(kid=kid)
    instant = rows.values_list("last_token_expires_at", flat=True).first()
    if instant is None:
        return 0
    aware = instant if django_settings.USE_TZ else timezone.make_aware(instant, timezone.get_default_timezone())
    return int(aware.timestamp())


last_token_expiry = LastTokenExpiry()
register_process_cache(last_token_expiry.forget)
