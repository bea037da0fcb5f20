"""The settings: read once, and again after Django's ``setting_changed``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, Final

from django.apps import apps
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.views.decorators.debug import sensitive_variables

from .app_settings import AppSettings
from .issuers import problems_in_issuers
from .oauth2_provider import local_issuer
from .process_cache import process_cached
from .validators import Reader, problems_among

SETTING_NAME: Final = "AT_JWT"

_FIELDS: Final[Mapping[str, Field[Any]]] = {each.name.upper(): each for each in fields(AppSettings)}


@sensitive_variables()
def problems_in(values: object, *, by: Reader = "examine") -> list[tuple[str, str]]:
    """Return what is wrong with a value of ``AT_JWT``: pairs of a setting's name and a sentence.

    ``by`` is ``"read"`` for that alone with which nothing works.
    """
    if not isinstance(values, Mapping):
        return [(SETTING_NAME, "must be a dict")]
    # No generator: Django could not tell that the variables of its frame are sensitive.
    problems = problems_among(
        {name: value for name, value in values.items() if name != _ISSUERS}, _FIELDS, SETTING_NAME, by=by
    )
    if _ISSUERS in values:
        problems += problems_in_issuers(values[_ISSUERS], f"{SETTING_NAME}[{_ISSUERS!r}]")
    return problems


_ISSUERS: Final = "ISSUERS"


@process_cached
def app_settings() -> AppSettings:
    """Return the settings of this app.

    Raises:
        ImproperlyConfigured: a value cannot be used; ``manage.py check`` reports it too.
    """
    read = _read()
    if isinstance(read, str):
        raise ImproperlyConfigured(read)
    return read


@sensitive_variables()
def _read() -> AppSettings | str:
    """Return the settings, or a sentence that says what is wrong with them.

    The dict holds key-encryption keys. It is a local variable of this frame only, which no traceback can show: the
    exception is raised by the caller.
    """
    values = getattr(django_settings, SETTING_NAME, None) or {}
    for name, problem in problems_in(values, by="read"):
        return f"{name} {problem}."
    return AppSettings(
        **{each.name: each.metadata["read"](values[name]) for name, each in _FIELDS.items() if name in values}
    )


assert all(each.default is not MISSING for each in _FIELDS.values())  # noqa: S101 - each setting may be left out


def known_issuers() -> tuple[str, ...]:
    """Give the identifiers of the issuers whose tokens this project accepts, its own first, each once.

    Raises:
        ImproperlyConfigured: as :func:`app_settings`.
    """
    local = (local_issuer(),) if local_issuer() else ()
    return tuple(dict.fromkeys((*local, *(each.issuer for each in app_settings().issuers))))


def require_installed() -> None:
    """Say what is missing where this app's tables and the toolkit's are used and they are not in ``INSTALLED_APPS``.

    Raises:
        ImproperlyConfigured: with the line to add. Django's own error would speak of an ``app_label``.
    """
    for app in ("django_at_jwt", "oauth2_provider"):
        if not apps.is_installed(app):
            raise ImproperlyConfigured(f'Add "{app}" to INSTALLED_APPS.')
