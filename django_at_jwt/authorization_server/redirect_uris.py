"""Rules for redirect URIs that django-oauth-toolkit does not check when a client is registered."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import get_application_model

_FIELDS: Final = ("redirect_uris", "post_logout_redirect_uris")


def has_user_information(uri: str) -> bool:
    """Return whether a URI has a user name or password before its host, as in ``https://user@example.com/``.

    Such a URI shows one host to people and leads to another.
    """
    try:
        return "@" in urlsplit(uri).netloc
    except ValueError:
        # Not a URI at all, which is reported elsewhere.
        return False


def refuse_user_information(redirect_uris: str) -> None:
    """Validate the redirect URIs of a client in every form that creates or changes one.

    Raises:
        ValidationError: a URI has user information. The message does not repeat it, since it may be a password.
    """
    if any(has_user_information(uri) for uri in redirect_uris.split()):
        raise ValidationError(
            _('A redirect URI has a user name or password before its host ("user@"). Remove it.'),
            code="user_information",
        )


def guard_redirect_uris() -> None:
    """Add :func:`refuse_user_information` to the application model, for all forms including the site's own."""
    for name in _FIELDS:
        # Migrations don't record a field's list of validators.
        validators = get_application_model()._meta.get_field(name).validators
        if refuse_user_information not in validators:
            validators.append(refuse_user_information)
