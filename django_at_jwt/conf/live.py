"""The settings as they are now: read anew whenever the site's dict is another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, Final

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.views.decorators.debug import sensitive_variables

from .declaring import Reader, problems_among
from .issuers import problems_in_issuers
from .toolkit import local_issuer
from .typed import AppSettings
from .written import read_before, written_setting

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


_last_read: tuple[object, AppSettings] | None = None


def app_settings() -> AppSettings:
    """Give the settings as they are now.

    Raises:
        ImproperlyConfigured: a value cannot be used; ``manage.py check`` says so before.
    """
    # The dict holds key-encryption keys, so no frame that an error report could show may have it as a local. A request
    # needs it several times, so it is looked up here first.
    if _last_read is not None and _last_read[0] is (read_before.get(SETTING_NAME) or written_setting(SETTING_NAME)):
        return _last_read[1]
    read = _read()
    if isinstance(read, str):
        raise ImproperlyConfigured(read)
    return read


@sensitive_variables()
def _read() -> AppSettings | str:
    """Give the settings, or a sentence that says what is wrong with them."""
    global _last_read  # noqa: PLW0603 - remembers what the very same dict was read as, so that a request does not parse it
    written = written_setting(SETTING_NAME)
    values = written or _NOTHING
    for name, problem in problems_in(values, by="read"):
        return f"{name} {problem}."
    read = AppSettings(
        **{each.name: each.metadata["read"](values[name]) for name, each in _FIELDS.items() if name in values}
    )
    _last_read = (written, read)
    return read


_NOTHING: Final[Mapping[str, Any]] = {}
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
