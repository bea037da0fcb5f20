"""The redirect URIs that clients can have, by this app's rules and those of django-oauth-toolkit."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import get_application_model

from django_at_jwt.core.redirect_uris import has_user_information, problem_with_redirect_uri


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

    The site's model of clients must take it too.
    """
    model = get_application_model()
    client = model(
        redirect_uris=uri, authorization_grant_type=model.GRANT_AUTHORIZATION_CODE, client_type=model.CLIENT_PUBLIC
    )
    problem = problem_with_redirect_uri(uri, schemes={scheme.lower() for scheme in client.get_allowed_schemes()})
    if problem is not None:
        return problem
    refused = "is not a URI that clients can register"
    try:
        model._meta.get_field("redirect_uris").run_validators(uri)
    except ValidationError:
        return refused
    try:
        client.clean()
    except ValidationError as error:
        return refused if "redirect_uris" in getattr(error, "error_dict", {}) else None
    return None
