"""The endpoints and pages of the device flow (RFC 8628)."""

from __future__ import annotations

import json
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.db import router, transaction
from django.http import Http404
from django.urls import NoReverseMatch
from django.utils import timezone
from oauth2_provider import views as toolkit_views
from oauth2_provider.models import get_application_model, get_device_grant_model

from django_at_jwt.authorization_server.endpoint_urls import endpoint_path
from django_at_jwt.authorization_server.login.events import authentication_of
from django_at_jwt.authorization_server.oauthlib_bridge.device_grant import (
    begin_polling,
    pending_audience,
    requested_audience,
)
from django_at_jwt.authorization_server.oauthlib_bridge.refusals import reporting_refusals
from django_at_jwt.conf import local_issuer
from django_at_jwt.core.errors import IssuanceError
from django_at_jwt.core.metadata import with_path
from django_at_jwt.models import Authorization

from .consent import Consent
from .endpoint import ConsentPageMixin, EndpointMixin, OwnCoreMixin
from .user_codes import RefusedUserCodeForm, UserCodeForm, begin_user_code_attempt

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


class DeviceAuthorizationView(EndpointMixin, OwnCoreMixin, toolkit_views.DeviceAuthorizationView):
    """DOT's device authorization endpoint; stores the requested scopes and resources with the device code."""

    @reporting_refusals("device_authorization")
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer a device authorization request (RFC 8628 section 3.1)."""
        response: HttpResponse = super().post(request, *args, **kwargs)
        if response.status_code == HTTPStatus.OK:
            answer = json.loads(response.content)
            begin_polling(answer["device_code"], answer["interval"])
            Authorization.for_device(
                answer["device_code"],
                client=self._client,
                scopes=self._audience.scopes,
                resources=self._audience.identifiers,
                expires_at=timezone.now() + timedelta(seconds=answer["expires_in"]),
            ).save()
        # The codes are credentials (RFC 8628 section 3.2).
        response["Cache-Control"] = "no-store"
        return response

    def create_device_authorization_response(self, request: HttpRequest) -> Any:
        """Return oauthlib's response, if the client may have the requested scopes and resources.

        oauthlib 3 does not check the scopes; oauthlib 4 adds ``scope`` to the response, which DOT cannot process.
        """
        headers, body, status = super().create_device_authorization_response(request)
        if status != HTTPStatus.OK:
            return headers, body, status
        try:
            self._client, self._audience = requested_audience(request)
        except IssuanceError as error:
            told = {"error": error.code, "error_description": error.description}
            return {"Cache-Control": "no-store"}, json.dumps(told), error.status
        except get_application_model().DoesNotExist:
            # It was deleted after oauthlib had read it.
            told = {"error": "invalid_client", "error_description": "The client does not exist."}
            return {"Cache-Control": "no-store"}, json.dumps(told), HTTPStatus.UNAUTHORIZED
        body.pop("scope", None)
        if not body["verification_uri"] and (page := _user_code_page(request)):
            body["verification_uri"] = page
            body.setdefault("verification_uri_complete", f"{page}?{urlencode({'user_code': body['user_code']})}")
        return headers, body, status


def _user_code_page(request: HttpRequest) -> str | None:
    """Return the issuer's address of the page for user codes, for a site without ``OAUTH_DEVICE_VERIFICATION_URI``."""
    path = endpoint_path("device")
    return None if path is None else with_path(local_issuer() or request.build_absolute_uri(), path)


class DeviceUserCodeView(ConsentPageMixin, toolkit_views.DeviceUserCodeView):
    """DOT's page where a user enters a device's code, with a limit for wrong ones (RFC 8628 sections 3.3 and 5.1)."""

    form_class = UserCodeForm

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Check the code, unless too many were wrong before."""
        self._attempt = begin_user_code_attempt(request)
        if not self._attempt.is_allowed:
            refused: HttpResponse = self.form_invalid(RefusedUserCodeForm(request.POST))
            refused.status_code = HTTPStatus.TOO_MANY_REQUESTS
            refused["Retry-After"] = str(self._attempt.retry_after)
            return refused
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        """Show the page to confirm the device; a right code counts as no attempt."""
        self._attempt.succeed()
        return super().form_valid(form)

    def get_success_url(self) -> str:
        """Return the address of the page where the user confirms the device."""
        device = self.device_grant
        try:
            return super().get_success_url()
        except NoReverseMatch:
            # DOT reverses names in its own namespace only.
            return _mounted("device-confirm", client_id=device.client_id, user_code=device.user_code)


class DeviceConfirmView(ConsentPageMixin, toolkit_views.DeviceConfirmView):
    """DOT's page where a user approves a device, with the names of the APIs (RFC 8628 section 3.3)."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add ``consent`` to the context, and to ``scopes_descriptions`` what each scope means to the API."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        try:
            audience = pending_audience(self.get_object())
        except IssuanceError:
            # The API was disabled in the meantime; the device's token request will be rejected.
            return context
        context["consent"] = consent = Consent.to(audience)
        context["scopes_descriptions"] = list(consent.texts)
        return context

    def get_success_url(self) -> str:
        """Return the address of the page with the result."""
        try:
            return super().get_success_url()
        except NoReverseMatch:
            return _mounted("device-grant-status", **self.kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        """Process the user's decision, and store how they logged in before the device can get its token.

        Raises:
            Http404: another request has answered in the meantime, or another user has entered the code.
        """
        device, event = self.get_object(), authentication_of(self.request)
        grants = get_device_grant_model().objects
        with transaction.atomic(using=router.db_for_write(grants.model)):
            # Changes nothing, but locks the row until the end of the transaction.
            pending = grants.filter(pk=device.pk, status=device.AUTHORIZATION_PENDING, user=self.request.user)
            if not pending.update(status=device.AUTHORIZATION_PENDING):
                raise Http404
            Authorization.objects.approve_device(
                device.device_code,
                user=self.request.user,
                authentication=None if event is None else event.to_session(),
            )
            return super().form_valid(form)


def _mounted(name: str, **parameters: str) -> str:
    path = endpoint_path(name, **parameters)
    if path is None:
        raise NoReverseMatch(f"The URLconf has no view for the endpoint {name}; include device_urlpatterns.")
    return path
