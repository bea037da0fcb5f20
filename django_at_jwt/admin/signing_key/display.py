"""The instants and names of a signing key as text, the same in the list and on the key's page."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.html import format_html
from django.utils.timesince import timeuntil
from django.utils.translation import gettext

from django_at_jwt.admin.dates import day_and_time, format_instant
from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.core.errors import KeysUnavailable
from django_at_jwt.core.key_lifecycle import next_signer, signer_at
from django_at_jwt.core.quotation import sentence

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from django_at_jwt.core.key_lifecycle import KeyTimes
    from django_at_jwt.models import SigningKey


def schedules(keys: Sequence[KeyTimes], algorithms: Iterable[str], now: datetime) -> list[dict[str, Any]]:
    """Return the signing key of each algorithm, the key that takes over next, and the wait until then as text."""
    return [
        {
            "algorithm": name,
            "signer": signer_at(keys, name, now),
            "successor": following,
            "wait": "" if following is None else wait_until(following.signing_at, now),
        }
        for name, following in ((name, next_signer(keys, name, now)) for name in algorithms)
    ]


def unopenable_keys() -> list[str]:
    """Return a sentence for each key that this process cannot decrypt; an empty list if the keys cannot be read."""
    try:
        key_store.current()
    except KeysUnavailable:
        return []
    return [sentence(str(error)) for error in key_store.unopenable_keys().values()]


def wait_until(at: datetime, now: datetime) -> str:
    """Return how long it is until an instant, such as ``in 6 days, 23 hours``."""
    if at < now + timedelta(minutes=1):
        return gettext("within a minute")
    return gettext("in %(time)s") % {"time": timeuntil(at, now)}


def never_signed(key: SigningKey) -> bool:
    """Return whether the key was revoked or withdrawn before it could sign."""
    if key.is_revoked_by_setting:
        return timezone.now() < key.signing_at
    end = _effective_end(key, key.retained_at)
    return end is not None and end <= key.signing_at


def _effective_end(key: SigningKey, planned: datetime | None) -> datetime | None:
    """Return the end of a state: the planned one, or an earlier revocation."""
    return min((at for at in (planned, key.revoked_at) if at is not None), default=None)


def end_in_two_lines(key: SigningKey, planned: datetime | None) -> str:
    """Return the end of a state for a narrow column."""
    return gettext("unknown") if key.is_revoked_by_setting else two_lines(_effective_end(key, planned))


def end_with_plan(key: SigningKey, planned: datetime | None) -> str:
    """Return the end of a state as text, and what was planned if a revocation came first."""
    if key.is_revoked_by_setting and planned is None:
        return gettext("unknown")
    if key.is_revoked_by_setting:
        return gettext("unknown (revoked; %(planned)s was planned)") % {"planned": format_instant(planned)}
    end = _effective_end(key, planned)
    if planned is None or end == planned:
        return format_instant(end)
    return gettext("%(revoked_at)s (revoked; %(planned)s was planned)") % {
        "revoked_at": format_instant(end),
        "planned": format_instant(planned),
    }


def revocation_date(key: SigningKey) -> str:
    """Return when the key was revoked, also if only a setting revokes it."""
    if key.is_revoked_by_setting:
        return gettext('unknown: only AT_JWT["REVOKED_KIDS"] revokes the key. Revoke it in the database too.')
    return format_instant(key.revoked_at)


def short_kid(kid: str) -> str:
    """Return the first characters of a kid, with the full kid as a tooltip."""
    return format_html('<code title="{}">{}…</code>', kid, kid[:12])


def two_lines(instant: datetime | None) -> str:
    """Return an instant for a narrow column: the day and the time may take two lines."""
    if instant is None:
        return "-"
    return format_html('<span class="at-jwt-day">{}</span> <span class="at-jwt-day">{}</span>', *day_and_time(instant))


def with_copy_button(value: str, *, element: str, label: str) -> str:
    """Return HTML and a button that copies its text. The button is hidden without the script that it needs.

    Args:
        value: HTML of the element with this id.
        label: of the button.
    """
    return format_html(
        '{} <button type="button" class="at-jwt-copy" data-copies="{}" data-done="{}" data-failed="{}" hidden>{}'
        "</button>",
        value,
        element,
        gettext("Copied"),
        gettext("Not copied: the browser does not allow it. Select the text and copy it."),
        label,
    )
