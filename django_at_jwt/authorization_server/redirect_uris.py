"""Rules for redirect URIs that django-oauth-toolkit does not check when a client is registered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import get_application_model
from oauth2_provider.settings import oauth2_settings
from oauth2_provider.validators import AllowedURIValidator

from django_at_jwt.core.client_metadata import problem_with_redirect_uri

if TYPE_CHECKING:
    from collections.abc import Callable


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


def problem_with_registered_uri(uri: Any) -> str | None:
    """Return why a client that registers itself cannot have a redirect URI, as the rest of a sentence, or ``None``.

    It must also pass the validation of DOT's application model.
    """
    schemes = {str(scheme).lower() for scheme in oauth2_settings.ALLOWED_REDIRECT_URI_SCHEMES}
    problem = problem_with_redirect_uri(uri, schemes=schemes)
    if problem is not None:
        return problem
    try:
        AllowedURIValidator(schemes, name="redirect uri", allow_path=True, allow_query=True)(uri)
    except ValidationError:
        return "is not a URI that clients can register"
    return None


def guard_redirect_uris(*refusals: Callable[[str], None]) -> None:
    """Add :func:`refuse_user_information` to the application model, for all forms including the site's own.

    Args:
        refusals: more validators, for the redirect URIs that receive codes.
    """
    for name, validators in (
        ("redirect_uris", (refuse_user_information, *refusals)),
        ("post_logout_redirect_uris", (refuse_user_information,)),
    ):
        # Migrations don't record a field's list of validators.
        of_field = get_application_model()._meta.get_field(name).validators
        of_field.extend(each for each in validators if each not in of_field)
