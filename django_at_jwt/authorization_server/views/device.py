"""The device flow: what was asked for, and who approved it, are kept with the device code (RFC 8628)."""

from __future__ import annotations

import json
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django.db import router, transaction
from django.http import Http404
from django.urls import NoReverseMatch
from django.utils import timezone
from oauth2_provider import views as toolkit_views
from oauth2_provider.models import get_application_model, get_device_grant_model
from oauth2_provider.scopes import get_scopes_backend

from django_at_jwt.authorization_server.endpoint_urls import endpoint_path
from django_at_jwt.authorization_server.login.events import authentication_of
from django_at_jwt.authorization_server.oauthlib_bridge import resolve
from django_at_jwt.core.audience import Audience, AudienceRequest
from django_at_jwt.core.errors import InvalidScope, IssuanceError
from django_at_jwt.models import Authorization

from .base import OwnCoreMixin, template_name_or_default, values_of
from .consent import Consent
from .endpoint import ConsentPageMixin, EndpointMixin

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


class DeviceAuthorizationView(EndpointMixin, OwnCoreMixin, toolkit_views.DeviceAuthorizationView):
    """The toolkit's device authorization endpoint; what was asked for is kept with the device code."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer a device authorization request (RFC 8628 §3.1)."""
        response: HttpResponse = super().post(request, *args, **kwargs)
        if response.status_code == HTTPStatus.OK:
            answer = json.loads(response.content)
            Authorization.for_code(
                answer["device_code"],
                scopes=self._audience.scopes,
                resources=self._audience.identifiers,
                expires_at=timezone.now() + timedelta(seconds=answer["expires_in"]),
            ).save()
        return response

    def create_device_authorization_response(self, request: HttpRequest) -> Any:
        """Give oauthlib's answer, if the client may have what it asks for.

        oauthlib 3 does not look at the scopes, and oauthlib 4 adds one to the answer that the toolkit stumbles over.
        """
        headers, body, status = super().create_device_authorization_response(request)
        if status != HTTPStatus.OK:
            return headers, body, status
        try:
            self._audience = _device_audience(request)
        except IssuanceError as error:
            told = {"error": error.code, "error_description": error.description}
            return {"Cache-Control": "no-store"}, json.dumps(told), error.status
        body.pop("scope", None)
        return headers, body, status


def _device_audience(request: HttpRequest) -> Audience:
    client_id = request.POST.get("client_id", "")
    application = get_application_model().objects.get(client_id=client_id)
    backend = get_scopes_backend()
    asked = request.POST.get("scope", "").split()
    if not set(asked) <= set(backend.get_available_scopes(application=application, request=request)):
        raise InvalidScope("A requested scope is unknown or not for this client.")
    return resolve(
        AudienceRequest(
            client_id=client_id,
            # The token endpoint takes no parameters from the query; one that was overlooked here would mislead.
            resources=[*values_of(request.POST, "resource"), *values_of(request.GET, "resource")],
            scopes=asked or backend.get_default_scopes(application=application, request=request),
            asked_scopes=asked,
        )
    )


class DeviceUserCodeView(ConsentPageMixin, toolkit_views.DeviceUserCodeView):
    """The toolkit's page where a user enters a device's code (RFC 8628 §3.3)."""

    def get_success_url(self) -> str:
        """Return where the user confirms the device."""
        device = self.device_grant
        try:
            address: str = super().get_success_url()
        except NoReverseMatch:
            # The toolkit looks in its own namespace alone.
            address = _mounted("device-confirm", client_id=device.client_id, user_code=device.user_code)
        return address


class DeviceConfirmView(ConsentPageMixin, toolkit_views.DeviceConfirmView):
    """The toolkit's page where a user approves a device; it says which API that is about (RFC 8628 §3.3)."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Give the template the ``consent``, and in ``scopes_descriptions`` what each scope does at that API."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        device = self.get_object()
        authorization = Authorization.objects.of_code(device.device_code)
        try:
            audience = resolve(
                AudienceRequest(
                    client_id=device.client_id,
                    resources=authorization.resources if authorization is not None else (),
                    scopes=str((device.scope if authorization is None else authorization.scopes) or "").split(),
                )
            )
        except IssuanceError:
            # The API was disabled in the meantime; the device will be told when it asks for its token.
            return context
        context["consent"] = consent = Consent.to(audience)
        context["scopes_descriptions"] = list(consent.texts)
        return context

    def get_template_names(self) -> list[str]:
        """Return the view's own template, or the site's in place of the toolkit's, or else this app's."""
        names: list[str] = super().get_template_names()
        of_toolkit = toolkit_views.DeviceConfirmView.template_name
        return (
            [template_name_or_default(of_toolkit, "django_at_jwt/accept_deny.html")] if names == [of_toolkit] else names
        )

    def get_success_url(self) -> str:
        """Return where the user sees what became of the device."""
        try:
            address: str = super().get_success_url()
        except NoReverseMatch:
            address = _mounted("device-grant-status", **self.kwargs)
        return address

    def form_valid(self, form: Any) -> HttpResponse:
        """Take the user's answer, and keep how they had logged in before the device can get its token.

        Raises:
            Http404: while they answered, another request has, or another user has entered the code.
        """
        device, event = self.get_object(), authentication_of(self.request)
        grants = get_device_grant_model().objects
        with transaction.atomic(using=router.db_for_write(grants.model)):
            # Nothing is changed yet, but from here to the end of the transaction nobody else can change it.
            still_mine = grants.filter(pk=device.pk, status=device.AUTHORIZATION_PENDING, user=self.request.user)
            if not still_mine.update(status=device.AUTHORIZATION_PENDING):
                raise Http404
            if event is not None:
                Authorization.objects.remember_login(device.device_code, event.to_session())
            response: HttpResponse = super().form_valid(form)
        return response


def _mounted(name: str, **parameters: str) -> str:
    path = endpoint_path(name, **parameters)
    if path is None:
        raise NoReverseMatch(f"No view of the URLconf serves the endpoint {name}. Mount device_urlpatterns.")
    return path
