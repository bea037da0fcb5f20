"""The audiences that a view, a validator or a caller declares."""

from __future__ import annotations

from collections.abc import Collection

from django.core.exceptions import ImproperlyConfigured


def audiences_of_view(value: object) -> tuple[str, ...]:
    """Return the audiences that a view declares; empty for those in the settings.

    Raises:
        ImproperlyConfigured: the value is not a non-empty string, a list of such strings, or ``None``.
    """
    if value is None:
        return ()
    audiences = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Collection) else ()
    if not audiences or not all(isinstance(each, str) and each for each in audiences):
        raise ImproperlyConfigured(
            f"audience must be a non-empty string, a list of such strings, or None (got {value!r})."
        )
    return audiences
