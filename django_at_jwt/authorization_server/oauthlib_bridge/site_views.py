"""Authorization requests that the site's own view answers, without this app's: what can be enforced without it.

The view has the session and the consent page, and a validator has neither. It sees the method, the address, the user
and the cookies of the request that is answered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from oauth2_provider.settings import oauth2_settings

from django_at_jwt.authorization_server.login.events import authentication_by_cookie
from django_at_jwt.authorization_server.views.consent import has_agreed
from django_at_jwt.core.errors import ConsentRequired

from .request import AUTHENTICATION, stored

if TYPE_CHECKING:
    from oauthlib.common import Request

    from django_at_jwt.core.audience import Audience

_COOKIES: Final = "HTTP_COOKIE"


def is_being_answered(request: Request) -> bool:
    """Return whether a code or a token is about to be issued; the toolkit names the user only then."""
    return stored(request, "user") is not None


def was_judged(request: Request) -> bool:
    """Return whether this app's authorization view, or :func:`judge`, has looked at the login and the consent."""
    return AUTHENTICATION in vars(request)


def judge(request: Request, audience: Audience) -> None:
    """Record how the user had logged in, and refuse an answer without a consent page that nothing justifies.

    ``approval_prompt=auto`` skips the page if the user has agreed to the same scopes before, in the toolkit's view for
    any API. The page cannot be shown from here. A form that was sent counts as consent to what it holds: whether the
    page named the API is not checked, and neither are ``max_age`` and ``acr_values``.

    Raises:
        ConsentRequired: no form was sent, and the user has not agreed to this audience before.
    """
    user, client = stored(request, "user"), request.client
    setattr(request, AUTHENTICATION, authentication_by_cookie(request.headers.get(_COOKIES, ""), user))
    if request.http_method == "POST" or client.skip_authorization or not _is_automatic(request):
        return
    if not has_agreed(user, client.client_id, audience):
        raise ConsentRequired(
            "The user has not agreed to this resource; ask again with approval_prompt=force.",
            detail="approval_prompt=auto, and no consent to this resource. Derive the authorization view from "
            "django_at_jwt.oauth2_views.AuthorizationView, which shows the consent page instead",
        )


def _is_automatic(request: Request) -> bool:
    prompts = [value for name, value in request.uri_query_params if name == "approval_prompt"]
    return bool((prompts[-1] if prompts else oauth2_settings.REQUEST_APPROVAL_PROMPT) == "auto")
