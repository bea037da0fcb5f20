"""The settings: read once, and again after Django's ``setting_changed``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any, Final

from django.apps import apps
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.views.decorators.debug import sensitive_variables

from .app_settings import AppSettings
from .issuers import problems_in_issuers
from .oauth2_provider import local_issuer
from .process_cache import process_cached
from .validators import Reader, entry_name, problems_among

SETTING_NAME: Final = "AT_JWT"

_FIELDS: Final[Mapping[str, Field[Any]]] = {each.name.upper(): each for each in fields(AppSettings)}
_ISSUERS: Final = "ISSUERS"


@sensitive_variables()
def problems_in(values: object, *, by: Reader = "examine") -> list[tuple[str, str]]:
    """Return the problems of a value of ``AT_JWT``: pairs of a setting's name and the rest of the sentence.

    Args:
        values: the value of ``AT_JWT``.
        by: ``"examine"`` for all problems, ``"read"`` only for those that make all settings unusable.
    """
    if not isinstance(values, Mapping):
        return [(SETTING_NAME, f"must be a dict (got {type(values).__name__})")]
    # A list, not a generator: sensitive_variables() does not cover a generator's frame.
    problems = problems_among(
        {name: value for name, value in values.items() if name != _ISSUERS}, _FIELDS, SETTING_NAME, by=by
    )
    if _ISSUERS in values:
        problems += problems_in_issuers(values[_ISSUERS], entry_name(SETTING_NAME, _ISSUERS))
    return problems


@process_cached
def app_settings() -> AppSettings:
    """Return the settings of this app.

    Raises:
        ImproperlyConfigured: a value is invalid; ``manage.py check`` reports it too.
    """
    read = _read()
    if isinstance(read, str):
        raise ImproperlyConfigured(read)
    return read


@sensitive_variables()
def _read() -> AppSettings | str:
    """Return the settings, or a sentence with their first problem.

    The dict contains key-encryption keys. The caller raises the exception, so that this frame, and the dict in it, is
    in no traceback.
    """
    values = getattr(django_settings, SETTING_NAME, None) or {}
    for name, problem in problems_in(values, by="read"):
        return f"{name} {problem}."
    return AppSettings(
        **{each.name: each.metadata["read"](values[name]) for name, each in _FIELDS.items() if name in values}
    )


def known_issuers() -> tuple[str, ...]:
    """Return the identifiers of the issuers whose tokens this project accepts, the local issuer first.

    Raises:
        ImproperlyConfigured: see :func:`app_settings`.
    """
    local = (local_issuer(),) if local_issuer() else ()
    return tuple(dict.fromkeys((*local, *(each.issuer for each in app_settings().issuers))))


def require_setup() -> None:
    """Check that Django is set up, for modules that cannot be imported before.

    Raises:
        ImproperlyConfigured: it is not. Django's own errors would name a setting that is not to blame.
    """
    if not django_settings.configured or not apps.apps_ready:
        raise ImproperlyConfigured(
            "Set DJANGO_SETTINGS_MODULE and call django.setup() before importing this. "
            "Without a Django project, use django_at_jwt.Verifier."
        )


def require_installed() -> None:
    """Check that this app and django-oauth-toolkit are in ``INSTALLED_APPS``.

    Raises:
        ImproperlyConfigured: with the app to add. Django's own error would only mention an ``app_label``.
    """
    for app in ("django_at_jwt", "oauth2_provider"):
        if not apps.is_installed(app):
            raise ImproperlyConfigured(f'Add "{app}" to INSTALLED_APPS.')
