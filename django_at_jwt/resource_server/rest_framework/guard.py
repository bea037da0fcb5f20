"""The guard of plain Django views, with Django REST framework's authentication, permissions and error responses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django.utils.cache import patch_vary_headers
from django.views.decorators.debug import sensitive_variables
from rest_framework.renderers import JSONRenderer
from rest_framework.views import APIView

from django_at_jwt.resource_server.access_token import AccessToken
from django_at_jwt.resource_server.users.resolution import principal_in_memory
from django_at_jwt.resource_server.verification import verify_token_in_memory

from .authentication import AccessTokenAuthentication
from .permissions import reads_only_the_token

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponseBase


class Guard(APIView):
    """A view without handlers that only authenticates a plain request and checks its permissions.

    Plain views thereby follow the same rules, and their clients get the same error responses, as the site's APIs.

    Attributes:
        required_scopes: as for :class:`~.permissions.HasScopes`.
    """

    renderer_classes = [JSONRenderer]
    required_scopes: ClassVar[Any] = None

    def refusal(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase | None:
        """Return the error response, or ``None`` if the request is allowed.

        An allowed request gets ``access_token``, and ``user`` is the token's user or principal, even if there is a
        session of another user.

        Raises:
            ImproperlyConfigured: no required scopes, issuer or audience are configured.
        """
        self._begin(request, *args, **kwargs)
        try:
            self.perform_authentication(self.request)
            self.check_permissions(self.request)
        except Exception as error:  # noqa: BLE001 - handle_exception() raises other exceptions again
            # With DEBUG on, handle_exception() reads the renderer before it raises other exceptions again.
            negotiated = self.perform_content_negotiation(self.request, force=True)
            self.request.accepted_renderer, self.request.accepted_media_type = negotiated
            response = self.finalize_response(self.request, self.handle_exception(error), *args, **kwargs)
            rendered: HttpResponseBase = vary_by_token(response).render()
            return rendered
        self._allow(request)
        return None

    @sensitive_variables()
    def allows_in_memory(self, request: HttpRequest, *args: Any, **kwargs: Any) -> bool:
        """Return whether the request is allowed, as far as that can be decided without a query or a request.

        An allowed request gets the same attributes as from :meth:`refusal`. If this returns false, the request may
        still be allowed: call :meth:`refusal` in a thread.
        """
        if not all(map(reads_only_the_token, self.permission_classes)):
            return False
        self._begin(request, *args, **kwargs)
        authenticator = next(iter(self.request.authenticators or ()), None)
        if not isinstance(authenticator, AccessTokenAuthentication):
            return False  # A test has forced the authentication.
        try:
            token = authenticator.token_in(request)
            if token is None:
                return False
            claims = verify_token_in_memory(token, authenticator._audiences, authenticator._revocation)
            principal: Any = principal_in_memory(claims)
            self.request.user, self.request.auth = principal, AccessToken(claims)
            self.check_permissions(self.request)
        except Exception:  # noqa: BLE001 - refusal() raises it again or answers it
            return False
        self._allow(request)
        return True

    def _begin(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs
        self.request = self.initialize_request(request, *args, **kwargs)
        self.headers = self.default_response_headers

    def _allow(self, request: HttpRequest) -> None:
        user = request.user

        async def auser() -> Any:
            return user

        request.access_token = self.request.auth  # type: ignore[attr-defined]
        request.auser = auser  # Django's own would read the session.

    @property
    def allowed_methods(self) -> list[str]:
        """The methods in ``Allow``: those that ``required_scopes`` names."""
        scopes = self.required_scopes
        return list(scopes) if isinstance(scopes, Mapping) else []

    @property
    def default_response_headers(self) -> dict[str, str]:
        """The ``Allow`` header, if ``required_scopes`` names methods; otherwise only the view knows its methods."""
        return {"Allow": ", ".join(self.allowed_methods)} if self.allowed_methods else {}


def vary_by_token(response: Any) -> Any:
    """Mark a response as varying by token, and return it. Caches such as Django's must not serve it to others."""
    patch_vary_headers(response, ("Authorization",))
    return response
