"""Lifetimes in words, such as "1 hour 30 minutes", and the form field that reads them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.exceptions import ValidationError
from django.utils.dateparse import parse_duration
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBER: Final = "%(num)d"
# The seconds of each unit and its names. Django has translations of all but the seconds.
_UNITS: Final = (
    (86400, "%(num)d day", "%(num)d days", ("d",)),
    (3600, "%(num)d hour", "%(num)d hours", ("h",)),
    (60, "%(num)d minute", "%(num)d minutes", ("min", "m")),
    (1, "%(num)d second", "%(num)d seconds", ("sec", "s")),
)
# What a PositiveIntegerField stores in every database.
_MOST_SECONDS: Final = 2**31 - 1
_LONGEST_TEXT: Final = 100
# Together, they have every plural form of every language.
_PLURALS: Final = (0, 1, 2, 3, 5, 11, 21, 100)


def lifetime_in_words(seconds: int) -> str:
    """Return a number of seconds in words, such as "1 hour 30 minutes"."""
    parts: list[str] = []
    rest = seconds
    for size, singular, plural, _short in _UNITS:
        number, rest = divmod(rest, size)
        if number or (size == 1 and not parts):
            parts.append(ngettext(singular, plural, number) % {"num": number})
    return " ".join(parts)


def read_lifetime(text: str) -> int:
    """Return the seconds of a lifetime in words, or in a format of Django's ``parse_duration``.

    Words may be English or of the active language. A number alone counts seconds.

    Raises:
        ValueError: it is neither, or not a whole number of seconds.
    """
    if len(text) > _LONGEST_TEXT:
        raise ValueError("not a duration")
    try:
        duration = parse_duration(text.strip())
        seconds = _read_words(text) if duration is None else duration.total_seconds()
    except OverflowError:
        raise ValueError("too long") from None
    if seconds != int(seconds):
        raise ValueError("not a whole number of seconds")
    return int(seconds)


def _read_words(text: str) -> int:
    parts, rest, seconds = [*_parts()], _plain(text), 0
    while rest:
        found = [(match, unit) for pattern, unit in parts if (match := pattern.match(rest))]
        if not found:
            raise ValueError("not a duration")
        match, unit = max(found, key=lambda each: each[0].end())
        seconds += unit * int(match["number"] or 1)
        rest = rest[match.end() :].lstrip(" ,")
    return seconds


def _parts() -> Iterator[tuple[re.Pattern[str], int]]:
    """Yield patterns of a number with a unit, and the seconds of the unit."""
    for size, singular, plural, short in _UNITS:
        names = {ngettext(singular, plural, number): number for number in _PLURALS}
        names |= dict.fromkeys((singular, plural, *(f"{_NUMBER} {each}" for each in short)), 1)
        for name, number in names.items():
            before, mark, after = (re.escape(part.strip()) for part in _plain(name).partition(_NUMBER))
            # Hebrew has words for one and two hours, without a number.
            digits, unit = (r"\d+", size) if mark else ("", size * number)
            # The next part may follow at once, as in "1h30m".
            yield re.compile(rf"{before} *(?P<number>{digits}) *{after}(?=$|[ ,]|\d)"), unit


def _plain(text: str) -> str:
    """Return a text without marks of direction, in lower case and with single spaces."""
    return " ".join(re.sub("[\u200e\u200f\u202a-\u202e]", "", text).casefold().split())


class LifetimeField(forms.Field):
    """A lifetime in seconds, shown and read in words. ``None`` if it is empty."""

    widget = AdminTextInputWidget
    default_error_messages = {
        "invalid": _("Enter a duration, such as “1 hour”, “90 minutes” or a number of seconds."),
    }

    def prepare_value(self, value: Any) -> Any:
        """Return stored seconds in words."""
        return lifetime_in_words(value) if isinstance(value, int) else value

    def to_python(self, value: Any) -> Any:
        """Return the seconds, or ``None``.

        Raises:
            ValidationError: the text is not a lifetime of at least a second.
        """
        text = str(value or "").strip()
        if not text:
            return None
        try:
            seconds = read_lifetime(text)
        except ValueError:
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None
        if not 1 <= seconds <= _MOST_SECONDS:
            raise ValidationError(_("The lifetime must be at least one second and at most 68 years."), code="invalid")
        return seconds

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether the seconds differ."""
        try:
            return bool(self.to_python(data) != initial)
        except ValidationError:
            return True
