"""Access tokens for django-ninja: ``pip install django-at-jwt[ninja]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.core.bearer import has_bearer_credentials
from django_at_jwt.resource_server.rest_framework.security_schemes import login_suffix, required_login

from .views import make_guard, refusal_in_event_loop

# After the modules above, which say what is missing if Django is not set up.
from ninja.errors import AuthenticationError, HttpError  # isort: skip
from ninja.security.base import AuthBase  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from django.http import HttpRequest, HttpResponse, HttpResponseBase
    from ninja import NinjaAPI

__all__ = ["AccessTokenBearer", "AccessTokenRefused", "AsyncAccessTokenBearer", "add_challenges"]

_REFUSAL: Final = "_access_token_refusal"


class AccessTokenRefused(HttpError):
    """The request's access token does not allow the operation.

    Attributes:
        response: the response with the challenge, as from Django REST framework.
    """

    def __init__(self, response: HttpResponseBase) -> None:
        super().__init__(response.status_code, response.reason_phrase)
        self.response: Final = response


class AccessTokenBearer(AuthBase):
    """Require an access token for an operation, a router or an API: ``auth=AccessTokenBearer(["orders:read"])``.

    ``request.auth`` is an :class:`~django_at_jwt.rest_framework.AccessToken`. ``request.user`` is the token's user or
    principal. Call :func:`add_challenges` for the API too.

    A request without a token is passed to the next item of ``auth``, if it is a list.

    The OpenAPI document has a bearer scheme. A login that ``permission`` requires with
    :class:`~django_at_jwt.rest_framework.RequiresAuthentication` is in its name and its description. django-ninja lists
    no scopes for it: state them in the description of the operation.

    Args:
        scopes: the scopes that the token must have, all of them: a list, or a dict of lists by HTTP method. An empty
            list accepts any token.
        permission, audience, revocation: as for :func:`~django_at_jwt.views.access_token_required`.

    Raises:
        ImproperlyConfigured: ``revocation`` is unknown.
    """

    openapi_type = "http"
    openapi_scheme = "bearer"
    openapi_bearerFormat = "at+jwt"  # noqa: N815 - the name in OpenAPI

    def __init__(
        self,
        scopes: Sequence[str] | Mapping[str, Sequence[str]] = (),
        *,
        permission: Any = None,
        audience: str | Sequence[str] | None = None,
        revocation: str | None = None,
    ) -> None:
        self._guard: Final = make_guard(permission, scopes, audience, revocation, name=type(self).__name__)
        login = required_login(self._guard())
        if login:
            self.openapi_description = f"RFC 9068 access tokens, of a login with: {login} (RFC 9470)"
            # django-ninja names a scheme after the class of the instance, and keeps one scheme for each name.
            self.__class__ = type(f"{type(self).__name__}{login_suffix(login)}", (type(self),), {})
        super().__init__()

    def __call__(self, request: HttpRequest) -> Any:
        """Return the access token, or ``None`` if the request has none.

        Raises:
            AccessTokenRefused: the token does not allow the request.
        """
        return _result(request, self._guard().refusal(request))


class AsyncAccessTokenBearer(AccessTokenBearer):
    """The same for asynchronous operations. It uses no thread while nothing has to be read."""

    async def __call__(self, request: HttpRequest) -> Any:
        """Return the access token, or ``None`` if the request has none.

        Raises:
            AccessTokenRefused: the token does not allow the request.
        """
        return _result(request, await refusal_in_event_loop(self._guard, request))


def _result(request: HttpRequest, refusal: HttpResponseBase | None) -> Any:
    if refusal is None:
        return request.access_token  # type: ignore[attr-defined]
    if has_bearer_credentials(request.META.get("HTTP_AUTHORIZATION", "")):
        raise AccessTokenRefused(refusal)
    # For the handler of the error that django-ninja raises if no other authentication accepts the request.
    setattr(request, _REFUSAL, refusal)
    return None


def add_challenges(api: NinjaAPI) -> None:
    """Answer refused requests with ``WWW-Authenticate`` and ``Retry-After``, which django-ninja's handlers leave out.

    Replaces the API's handler of ``ninja.errors.AuthenticationError``.
    """

    def refused(_request: HttpRequest, error: AccessTokenRefused) -> HttpResponseBase:
        return error.response

    def not_authenticated(request: HttpRequest, error: AuthenticationError) -> HttpResponseBase:
        refusal: HttpResponse | None = getattr(request, _REFUSAL, None)
        # Set if another authentication has accepted the request, and the operation raises the error itself.
        if refusal is not None and not getattr(request, "auth", None):
            return refusal
        return api.create_response(request, {"detail": str(error)}, status=error.status_code)

    api.add_exception_handler(AccessTokenRefused, refused)  # type: ignore[arg-type] # its types only know HttpResponse
    api.add_exception_handler(AuthenticationError, not_authenticated)  # type: ignore[arg-type]
