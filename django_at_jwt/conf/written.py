"""The site's settings as it wrote them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.conf import settings as django_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

# Django keeps each setting here once it was read, and takes it out when it changes. Asking the settings object itself
# runs a method of it first, written in Python, which takes longer than all else that a request does with settings.
read_before: Final[Mapping[str, Any]] = vars(django_settings)


def written_setting(name: str) -> Any:
    """Give a setting as it is now, or ``None`` where the site has none."""
    return read_before.get(name) or getattr(django_settings, name, None)
