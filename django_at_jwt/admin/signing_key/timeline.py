"""The timeline of the signing keys, to scale: one row per key, in percent of the displayed period."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from django_at_jwt.admin.dates import format_instant
from django_at_jwt.authorization_server.keys.rotation import is_spent
from django_at_jwt.conf import app_settings
from django_at_jwt.core.key_lifecycle import KeyState, KeyTimes
from django_at_jwt.models.signing_key import STATE_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django_at_jwt.models import SigningKey

# The narrowest span, in percent, that has room for the name of its state.
_LABELLED_WIDTH: Final = 14


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A period in one state. ``left`` and ``width`` are percentages of the whole timeline."""

    state: KeyState
    starts_at: datetime
    ends_at: datetime | None
    left: float
    width: float

    @property
    def name(self) -> str:
        """The state in the active language."""
        return str(STATE_NAMES[self.state])

    @property
    def is_labelled(self) -> bool:
        """Whether the span is wide enough for its name."""
        return self.width >= _LABELLED_WIDTH

    def __str__(self) -> str:
        end = gettext("further notice") if self.ends_at is None else format_instant(self.ends_at)
        names = {"state": self.name, "start": format_instant(self.starts_at), "end": end}
        return gettext("%(state)s from %(start)s until %(end)s") % names


@dataclass(frozen=True, kw_only=True, slots=True)
class TimelineRow:
    """One key and its spans. ``revoked`` is the position of its revocation in percent, or ``None``.

    A key that only a setting revokes has no spans: it is unknown when it was revoked.
    """

    kid: str
    algorithm: str
    state: KeyState
    spans: tuple[Span, ...]
    revoked_at: datetime | None
    revoked: float | None
    is_revoked_by_setting: bool

    def __str__(self) -> str:
        periods = [str(span) for span in self.spans]
        if self.revoked_at is not None or self.is_revoked_by_setting:
            periods.append(self.revocation)
        return f"{self.algorithm} {self.kid}: {'; '.join(periods)}"

    @property
    def revocation(self) -> str:
        """When the key was revoked, as text."""
        if self.is_revoked_by_setting:
            return gettext('revoked by AT_JWT["REVOKED_KIDS"], at an unknown time')
        return gettext("revoked at %(at)s") % {"at": format_instant(self.revoked_at)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """All rows, the start and end of the displayed period, and the position of the current time in percent."""

    rows: tuple[TimelineRow, ...]
    starts_at: datetime
    ends_at: datetime
    now: float


def timeline(keys: Sequence[SigningKey], now: datetime) -> Timeline | None:
    """Return the timeline of the keys that are not retired, or ``None`` if there are none."""
    shown = [key for key in keys if key.state_at(now) is not KeyState.RETIRED]
    if not shown:
        return None
    instants = [now, *(at for key in shown if not key.is_revoked_by_setting for at in _instants(key.stored_times))]
    starts, ends = min(instants), max(instants)
    margin = max((ends - starts) * 0.04, timedelta(seconds=1))
    starts, ends = starts - margin, ends + margin
    whole = (ends - starts).total_seconds()

    def percent(at: datetime) -> float:
        return round(100 * (at - starts).total_seconds() / whole, 3)

    def spans(key: SigningKey) -> tuple[Span, ...]:
        laid_out = []
        for state, begin, end in () if key.is_revoked_by_setting else _periods(key.stored_times):
            left = percent(begin)
            width = max(0.0, percent(end if end is not None else ends) - left)
            laid_out.append(Span(state=state, starts_at=begin, ends_at=end, left=left, width=width))
        return tuple(laid_out)

    rows = (
        TimelineRow(
            kid=key.kid,
            algorithm=key.algorithm,
            state=key.state_at(now),
            spans=spans(key),
            revoked_at=key.revoked_at,
            revoked=None if key.revoked_at is None else percent(key.revoked_at),
            is_revoked_by_setting=key.is_revoked_by_setting,
        )
        for key in sorted(shown, key=lambda key: (key.algorithm, key.signing_at, key.kid))
    )
    return Timeline(rows=tuple(rows), starts_at=starts, ends_at=ends, now=percent(now))


def is_drawn(key: SigningKey, now: datetime) -> bool:
    """Return whether the timeline shows a key.

    The row of a revoked key is kept for ever, so it is shown only for the propagation time after the revocation, and
    while a token of the key may be alive.
    """
    if key.state_at(now) is not KeyState.REVOKED:
        return key.state_at(now) is not KeyState.RETIRED
    is_recent = key.revoked_at is None or now < key.revoked_at + app_settings().propagation_time
    return is_recent or not is_spent(key, now)


def _instants(key: KeyTimes) -> list[datetime]:
    planned = (key.announced_at, key.signing_at, key.retained_at, key.retired_at)
    # A revocation cancels all later instants.
    return [at if key.revoked_at is None else min(at, key.revoked_at) for at in planned if at]


def _periods(key: KeyTimes) -> list[tuple[KeyState, datetime, datetime | None]]:
    planned = [
        (KeyState.ANNOUNCED, key.announced_at, key.signing_at),
        (KeyState.SIGNING, key.signing_at, key.retained_at),
        (KeyState.RETAINED, key.retained_at, key.retired_at),
    ]
    periods = []
    for state, begin, planned_end in planned:
        if begin is None or (key.revoked_at is not None and begin >= key.revoked_at):
            continue
        end = planned_end
        if key.revoked_at is not None and (end is None or end > key.revoked_at):
            end = key.revoked_at
        if end is None or end > begin:
            periods.append((state, begin, end))
    return periods
