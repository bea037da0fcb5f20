"""Checks of authorization requests that a site answers with its own view instead of this app's.

Unlike the view, a validator has neither the session nor the consent page. It sees the method, address, user and
cookies of the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from oauth2_provider.settings import oauth2_settings

from django_at_jwt.authorization_server.login.events import authentication_by_cookie
from django_at_jwt.authorization_server.views.consent import has_agreed
from django_at_jwt.core.errors import ConsentRequired

from .request import AUTHENTICATION, stored

if TYPE_CHECKING:
    from oauthlib.common import Request

    from django_at_jwt.core.audience import Audience


def check_consent(request: Request, audience: Audience) -> None:
    """Record how the user logged in, and check that the user has consented to this audience.

    Does nothing until a code or token is about to be issued, or if it was done before: by this app's authorization
    view, or for the other token of a hybrid flow.

    With ``approval_prompt=auto``, DOT's view skips the consent page if the user has consented to the same scopes for
    any API. The page cannot be shown from here, so such a request is rejected. A submitted form counts as consent to
    its content. Not checked: that the page named the API, ``max_age`` and ``acr_values``.

    Raises:
        ConsentRequired: no form was submitted, and the user has not consented to this audience before.
    """
    user, client = stored(request, "user"), request.client
    # DOT sets the user only when a code or token is about to be issued.
    if user is None or AUTHENTICATION in vars(request):
        return
    setattr(request, AUTHENTICATION, authentication_by_cookie(request.headers.get("HTTP_COOKIE", ""), user))
    if request.http_method == "POST" or client.skip_authorization or not _is_automatic(request):
        return
    if not has_agreed(user, client, audience):
        raise ConsentRequired(
            "The user has not consented to this resource. Ask again with approval_prompt=force.",
            detail="no consent to this resource, and approval_prompt=auto skips the consent page; derive the "
            "authorization view from django_at_jwt.oauth2_views.AuthorizationView, which shows it",
        )


def _is_automatic(request: Request) -> bool:
    prompts = [value for name, value in request.uri_query_params if name == "approval_prompt"]
    return bool((prompts[-1] if prompts else oauth2_settings.REQUEST_APPROVAL_PROMPT) == "auto")
