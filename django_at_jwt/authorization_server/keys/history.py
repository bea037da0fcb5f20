"""The history of the signing keys: a row for each key and change, written in the transaction of the change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_at_jwt.core.quotation import format_instant
from django_at_jwt.models import SigningKeyEvent

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.utils.functional import _StrPromise as StrPromise

    from django_at_jwt.core.key_lifecycle import KeyTimes
    from django_at_jwt.models.signing_key_event import KeyAction


@dataclass(frozen=True, kw_only=True, slots=True)
class ChangeOrigin:
    """Who changes signing keys, through what, and why. Each text may be empty.

    Attributes:
        actor: name of the user, or of the person who runs a command.
        source: the admin site or a command.
        reason: a text for administrators.
    """

    actor: str = ""
    source: str = ""
    reason: str = ""

    def because(self, cause: str) -> ChangeOrigin:
        """Return this origin with a cause in front of the reason."""
        return replace(self, reason=f"{cause}: {self.reason}" if self.reason else cause)


UNKNOWN_ORIGIN: Final = ChangeOrigin()


def key_event(key: KeyTimes, action: KeyAction, origin: ChangeOrigin, description: str = "") -> SigningKeyEvent:
    """Return the unsaved event of a change that is made now. Texts longer than their columns are truncated."""
    return SigningKeyEvent(
        kid=key.kid,
        algorithm=key.algorithm,
        at=timezone.now(),
        action=action,
        description=description,
        actor=origin.actor[:254],
        source=origin.source[:100],
        reason=origin.reason[:300],
    )


def record_events(events: Iterable[SigningKeyEvent], database: str) -> None:
    """Store events, in the transaction that the caller began on this database."""
    SigningKeyEvent.objects.using(database).bulk_create(events)


# Per instant: the sentence for one that was not planned before, and for one that moved.
_SENTENCES: Final[dict[str, tuple[StrPromise, StrPromise]]] = {
    "signing_at": (_("Signs from %(after)s."), _("Signs from %(after)s instead of %(before)s.")),
    "retained_at": (_("Signs until %(after)s."), _("Signs until %(after)s instead of %(before)s.")),
    "retired_at": (_("Published until %(after)s."), _("Published until %(after)s instead of %(before)s.")),
}


def describe_times(after: KeyTimes, before: KeyTimes | None = None) -> str:
    """Return a sentence for each instant of a key that was planned or moved.

    Args:
        before: ``None`` for a new key.
    """
    sentences = []
    for name, (planned, moved) in _SENTENCES.items():
        old, new = None if before is None else getattr(before, name), getattr(after, name)
        if old != new:
            text = planned if old is None else moved
            sentences.append(text % {"before": _instant(old), "after": _instant(new)})
    return " ".join(sentences)


def _instant(at: datetime | None) -> str:
    return gettext("further notice") if at is None else format_instant(at)
