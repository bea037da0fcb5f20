"""The token, revocation and userinfo endpoints."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from oauth2_provider import views as toolkit_views
from oauth2_provider.models import get_access_token_model, get_device_grant_model, get_grant_model

from django_at_jwt.authorization_server.oauthlib_bridge.bearer import issued_row
from django_at_jwt.authorization_server.oauthlib_bridge.device_grant import token_server_kwargs
from django_at_jwt.authorization_server.oauthlib_bridge.refusals import reporting_refusals
from django_at_jwt.authorization_server.toolkit import app_authorized
from django_at_jwt.core.bearer import INSUFFICIENT_SCOPE, INVALID_REQUEST, Challenge, MalformedCredentials, bearer_token
from django_at_jwt.core.grant_types import DEVICE_CODE
from django_at_jwt.inbound.cors import CrossOriginMixin

from .endpoint import EndpointMixin, OwnCoreMixin
from .error_handling import refusal


class TokenView(CrossOriginMixin, EndpointMixin, OwnCoreMixin, toolkit_views.TokenView):
    """DOT's token endpoint; invalid or concurrent requests get an OAuth error instead of 500."""

    def authorization_flow_token_response(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer with a token; read its row only for receivers of DOT's ``app_authorized`` signal.

        For a token without a row, they get an unsaved one.
        """
        parent = super().authorization_flow_token_response
        # The next class may be a site's own view.
        if parent.__func__ is not toolkit_views.TokenView.authorization_flow_token_response:
            return parent(request, *args, **kwargs)
        _, headers, body, status = self.create_token_response(request)
        if status == HTTPStatus.OK and app_authorized.has_listeners(type(self)):
            app_authorized.send(sender=self, request=request, token=issued_row(json.loads(body)["access_token"]))
        return HttpResponse(content=body, status=status, headers=headers)

    @classmethod
    def get_server(cls) -> Any:
        """Return oauthlib's server, whose steps do not reveal whether a device code exists."""
        return cls.get_server_class()(cls.get_validator_class()(), **token_server_kwargs())

    def device_flow_token_response(
        self, request: HttpRequest, device_code: str, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Answer the poll of a device, after the client is authenticated; DOT reveals the state of a code to anyone."""
        parent = super().device_flow_token_response
        # The next class may be a site's own view.
        if parent.__func__ is not toolkit_views.TokenView.device_flow_token_response:
            return parent(request, device_code, *args, **kwargs)
        _, headers, body, status = self.create_token_response(request)
        return HttpResponse(content=body, status=status, headers=headers)

    @reporting_refusals("token")
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer a token request (RFC 6749 section 3.2)."""
        if request.POST.get("grant_type") == DEVICE_CODE and not request.POST.get("device_code"):
            return refusal("invalid_request", "The device_code parameter is missing.", HTTPStatus.BAD_REQUEST)
        try:
            response: HttpResponse = super().post(request, *args, **kwargs)
        except (
            get_access_token_model().DoesNotExist,
            get_grant_model().DoesNotExist,
            get_device_grant_model().DoesNotExist,
        ):
            # A concurrent request has used the same code or refresh token, or a site's own step read a device grant.
            return refusal("invalid_grant", "The grant was used by another request.", HTTPStatus.BAD_REQUEST)
        # oauthlib's early errors have no content type, and DOT drops the headers of errors of the device flow.
        response["Content-Type"] = "application/json"
        response["Cache-Control"] = "no-store"
        return response


class RevokeTokenView(CrossOriginMixin, EndpointMixin, OwnCoreMixin, toolkit_views.RevokeTokenView):
    """DOT's revocation endpoint (RFC 7009)."""

    @reporting_refusals("revocation")
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Answer a revocation request."""
        return super().post(request, *args, **kwargs)


class UserInfoView(CrossOriginMixin, EndpointMixin, OwnCoreMixin, toolkit_views.UserInfoView):
    """DOT's userinfo endpoint; rejects tokens in the query, which appear in logs (RFC 6750 section 2.3)."""

    cors_methods = ("GET", "POST")

    def _create_userinfo_response(self, request: HttpRequest) -> HttpResponse:
        try:
            in_header = bearer_token(request.META.get("HTTP_AUTHORIZATION", "")) is not None
        except MalformedCredentials as error:
            return _invalid_request(str(error))
        in_form = "access_token" in request.POST
        if "access_token" in request.GET:
            return _invalid_request("Send the access token in a header.")
        if in_header and in_form:
            return _invalid_request("The access token was sent in more than one way.")
        response: HttpResponse = super()._create_userinfo_response(request)
        if response.status_code != HTTPStatus.OK:
            # oauthlib's errors have no content type, so Django would send HTML.
            response["Content-Type"] = "application/json"
        if response.status_code == HTTPStatus.FORBIDDEN:
            response["WWW-Authenticate"] = str(Challenge(error=INSUFFICIENT_SCOPE, scopes=["openid"]))
        elif response.status_code == HTTPStatus.UNAUTHORIZED and not (in_header or in_form):
            # Without credentials, no error code (RFC 6750 section 3.1).
            response.content = b"{}"
            response["WWW-Authenticate"] = str(Challenge())
        return response


def _invalid_request(description: str) -> HttpResponse:
    response = refusal(INVALID_REQUEST, description, HTTPStatus.BAD_REQUEST)
    response["WWW-Authenticate"] = str(Challenge(error=INVALID_REQUEST, description=description))
    return response
