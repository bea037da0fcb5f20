"""The introspection endpoint (RFC 7662, RFC 9701)."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables
from oauth2_provider import views as toolkit_views

from django_at_jwt.authorization_server.introspection import introspect
from django_at_jwt.authorization_server.keys.local import local_keys
from django_at_jwt.authorization_server.oauthlib_bridge.client_authentication import authenticated_client
from django_at_jwt.authorization_server.oauthlib_bridge.refusals import reporting_refusals
from django_at_jwt.conf import app_settings, local_issuer
from django_at_jwt.core.bearer import INSUFFICIENT_SCOPE, INVALID_TOKEN, Challenge
from django_at_jwt.core.introspection import SIGNED_MEDIA_TYPE, signed_response

from .endpoint import EndpointMixin, OwnCoreMixin
from .error_handling import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import QueryDict

_JSON: Final = "application/json"


@method_decorator([csrf_exempt, login_not_required], name="dispatch")
class IntrospectTokenView(EndpointMixin, OwnCoreMixin, toolkit_views.IntrospectTokenView):
    """The introspection endpoint, for confidential clients and for bearer tokens with the scope ``introspection``.

    Attributes:
        caller: the ``client_id`` of the client that asks: the authenticated one, or that of the bearer token; empty if
            the bearer token's client was deleted.
    """

    caller = ""

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., Any]:
        """Return the view; no response of it may be stored."""
        return cache_control(no_store=True)(super().as_view(**initkwargs))

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        """Allow GET if the settings do."""
        super().setup(request, *args, **kwargs)
        reading = ["get", "head"] if app_settings().introspection_by_get else []
        self.http_method_names = [*reading, "post", "options"]

    @reporting_refusals("introspection")
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Answer the request, after authentication; other methods are refused before it."""
        if str(request.method).lower() not in self.http_method_names:
            return self.http_method_not_allowed(request)
        return super().dispatch(request, *args, **kwargs)

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return a 405 response with the allowed methods."""
        response = refusal("invalid_request", "Send the token by POST.", HTTPStatus.METHOD_NOT_ALLOWED)
        response["Allow"] = ", ".join(name.upper() for name in self.http_method_names)
        return response

    def authenticate_client(self, request: HttpRequest) -> bool:
        """Return whether the request has the credentials of a confidential client."""
        if _has_bearer(request):
            return False
        client = authenticated_client(self.get_oauthlib_core(), request)
        self.caller = "" if client is None else client.client_id
        return client is not None

    def verify_request(self, request: HttpRequest) -> tuple[bool, Any]:
        """Return whether the request has a valid bearer token in its header, and DOT's request."""
        if not _has_bearer(request):
            return False, None
        valid, verified = super().verify_request(request)
        client = getattr(verified, "client", None)
        self.caller = "" if client is None else client.client_id
        return valid, verified

    def unauthenticated_response(self, request: HttpRequest, oauthlib_request: Any = None) -> HttpResponse:
        """Return a 401 response, or 403 if the bearer token lacks the scope."""
        if not _has_bearer(request):
            text = "Authenticate as a confidential client."
            response = refusal("invalid_client", text, HTTPStatus.UNAUTHORIZED)
            response["WWW-Authenticate"] = 'Basic realm="introspection"'
            return response
        lacks_scope = (getattr(oauthlib_request, "oauth2_error", None) or {}).get("error") == INSUFFICIENT_SCOPE
        code = INSUFFICIENT_SCOPE if lacks_scope else INVALID_TOKEN
        text = "The access token lacks the scope." if lacks_scope else "The access token is invalid."
        response = refusal(code, text, HTTPStatus.FORBIDDEN if lacks_scope else HTTPStatus.UNAUTHORIZED)
        scopes = self.required_scopes if lacks_scope else ()
        response["WWW-Authenticate"] = str(Challenge(error=code, description=text, scopes=scopes))
        return response

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer for the token in the query, where logs may show it."""
        return self._answer(request, request.GET)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer for the token in the form."""
        return self._answer(request, request.POST)

    @sensitive_variables()
    def _answer(self, request: HttpRequest, parameters: QueryDict) -> HttpResponse:
        tokens = parameters.getlist("token")
        if len(tokens) != 1 or not tokens[0]:
            return refusal("invalid_request", "Send exactly one token parameter.", HTTPStatus.BAD_REQUEST)
        answer = introspect(tokens[0], caller=self.caller)
        if request.get_preferred_type([_JSON, SIGNED_MEDIA_TYPE]) != SIGNED_MEDIA_TYPE:
            return JsonResponse(answer)
        signed = signed_response(
            answer,
            issuer=local_issuer(),
            caller=self.caller,
            issued_at=int(time.time()),
            key=local_keys().current().signing_key(),
        )
        return HttpResponse(signed, content_type=SIGNED_MEDIA_TYPE)


def _has_bearer(request: HttpRequest) -> bool:
    return request.headers.get("Authorization", "").partition(" ")[0].lower() == "bearer"
