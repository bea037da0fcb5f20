"""The toolkit's endpoints where they need a hand."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import timedelta
from functools import wraps
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import oauth2_provider
from django import forms
from django.db import router
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import select_template
from django.utils import timezone
from oauth2_provider import views as toolkit_views
from oauth2_provider.forms import AllowForm
from oauth2_provider.models import get_access_token_model, get_application_model, get_grant_model
from oauth2_provider.scopes import get_scopes_backend
from oauth2_provider.settings import oauth2_settings
from oauth2_provider.signals import app_authorized

from django_at_jwt.core.audience import Audience, AudienceRequest
from django_at_jwt.core.errors import InvalidScope, IssuanceError
from django_at_jwt.models import Authorization

from .authentication import authentication_of
from .consent import Consent
from .resource_servers import registry
from .toolkit import AUTHENTICATION, DEVICE_CODE_GRANT, resolve

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import QueryDict


class _OwnCoreMixin:
    """Keeps what the toolkit caches on a view's class from being taken over from the class that it inherits from."""

    @classmethod
    def get_oauthlib_core(cls: Any) -> Any:
        """Give this very class's oauthlib core; the toolkit would find its parent's, with the parent's validator."""
        if "_oauthlib_core" not in vars(cls):
            cls._oauthlib_core = cls.get_oauthlib_backend_class()(cls.get_server())
        return super().get_oauthlib_core()  # type: ignore[misc]


class ConsentForm(AllowForm):
    """The toolkit's form; a request may ask for no scope at all, or for none that means anything to the API."""

    scope = forms.CharField(required=False, widget=forms.HiddenInput())


class AuthorizationView(_OwnCoreMixin, toolkit_views.AuthorizationView):
    """The toolkit's authorization endpoint; consent is to one API, and says what the client may do there."""

    form_class = ConsentForm

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer an authorization request (RFC 6749 §4.1.1).

        What the audience is resolved to is what the consent page is about, and what its form sends back.
        ``approval_prompt=auto`` asks for no consent page where the user has agreed before. The toolkit compares scopes
        alone; here the resources must have been agreed to as well.
        """
        audience = self._audience(request)
        if audience is not None:
            query = request.GET.copy()
            query.setlist("resource", audience.identifiers)
            prompt = query.get("approval_prompt", oauth2_settings.REQUEST_APPROVAL_PROMPT)
            if prompt == "auto" and not _has_agreed(request, audience):
                query["approval_prompt"] = "force"
            request.GET = query  # type: ignore[assignment]
        response: HttpResponse = super().get(request, *args, **kwargs)
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Give the template the ``consent``, and in ``scopes_descriptions`` what each scope does at that API."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        audience = self._audience(self.request)
        if audience is not None and "error" not in context:
            context["consent"] = consent = Consent.to(audience)
            context["scopes_descriptions"] = list(consent.texts)
        return context

    def get_template_names(self) -> list[str]:
        """Take the site's own template if it has one, else this app's."""
        return [own_or_ours("oauth2_provider/authorize.html", "django_at_jwt/authorize.html")]

    def create_authorization_response(self, request: HttpRequest, scopes: str, credentials: Any, allow: bool) -> Any:  # noqa: FBT001 - the toolkit's own signature
        """Hand on how the user had logged in."""
        credentials[AUTHENTICATION] = authentication_of(request)
        return super().create_authorization_response(request, scopes, credentials, allow)

    def _audience(self, request: HttpRequest) -> Audience | None:
        """The audience of the request, or ``None`` where the toolkit is about to refuse it."""
        asked = request.GET.get("scope", "").split()
        try:
            return resolve(
                AudienceRequest(
                    client_id=request.GET.get("client_id", ""),
                    resources=_values(request.GET, "resource"),
                    scopes=asked or oauth2_settings._DEFAULT_SCOPES,
                    asked_scopes=asked,
                )
            )
        except IssuanceError:
            return None


def _has_agreed(request: HttpRequest, audience: Audience) -> bool:
    living = get_access_token_model().objects.filter(
        user=request.user, application__client_id=request.GET.get("client_id", ""), expires__gt=timezone.now()
    )
    wanted = set(audience.identifiers)
    # A token from before this app was installed names no resource; what nobody asks for is what the default gets.
    default = [registry.current().default]
    return any(wanted <= set(token.resource or default) and token.allow_scopes(audience.scopes) for token in living)


def own_or_ours(toolkit_name: str, our_name: str) -> str:
    """Give the name of a template: the toolkit's if the site has one of its own under it, else ours."""
    found = select_template([toolkit_name]).template.origin.name
    return our_name if found.startswith(_TOOLKIT_FOLDER) else toolkit_name


_TOOLKIT_FOLDER = str(Path(oauth2_provider.__file__).parent)


class TokenView(_OwnCoreMixin, toolkit_views.TokenView):
    """The toolkit's token endpoint, where what a client does wrong or two clients do at once is never a crash."""

    def authorization_flow_token_response(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer with a token; it is read back from the database only if somebody listens for it."""
        if app_authorized.has_listeners(type(self)):
            whole: HttpResponse = super().authorization_flow_token_response(request, *args, **kwargs)
            return whole
        _, headers, body, status = self.create_token_response(request)
        return HttpResponse(content=body, status=status, headers=headers)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer a token request (RFC 6749 §3.2)."""
        if request.POST.get("grant_type") == DEVICE_CODE_GRANT and not request.POST.get("device_code"):
            return _error("invalid_request", "The device_code parameter is missing.", HTTPStatus.BAD_REQUEST)
        try:
            response: HttpResponse = super().post(request, *args, **kwargs)
        except (get_access_token_model().DoesNotExist, get_grant_model().DoesNotExist):
            # Another request has used the same code or refresh token up while this one was under way.
            return _error("invalid_grant", "The grant was used by another request.", HTTPStatus.BAD_REQUEST)
        return response


class DeviceAuthorizationView(_OwnCoreMixin, toolkit_views.DeviceAuthorizationView):
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
            ).save(using=router.db_for_write(Authorization))
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
            resources=_values(request.POST, "resource"),
            scopes=asked or backend.get_default_scopes(application=application, request=request),
            asked_scopes=asked,
        )
    )


class DeviceConfirmView(toolkit_views.DeviceConfirmView):
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
                    scopes=(device.scope or "").split(),
                )
            )
        except IssuanceError:
            # The API was disabled in the meantime; the device will be told when it asks for its token.
            return context
        context["consent"] = consent = Consent.to(audience)
        context["scopes_descriptions"] = list(consent.texts)
        return context

    def get_template_names(self) -> list[str]:
        """Take the site's own template if it has one, else this app's."""
        return [own_or_ours("oauth2_provider/device/accept_deny.html", "django_at_jwt/accept_deny.html")]

    def form_valid(self, form: Any) -> HttpResponse:
        """Keep how the user who approves had logged in, before the device can get its token."""
        event = authentication_of(self.request)
        if event is not None:
            Authorization.objects.remember_login(self.get_object().device_code, event.to_session())
        response: HttpResponse = super().form_valid(form)
        return response


class UserInfoView(_OwnCoreMixin, toolkit_views.UserInfoView):
    """The toolkit's userinfo endpoint; a token in the address would stand in every log on the way (RFC 6750 §2.3)."""

    def _create_userinfo_response(self, request: HttpRequest) -> HttpResponse:
        if "access_token" in request.GET:
            return _error("invalid_request", "Send the access token in a header.", HTTPStatus.BAD_REQUEST)
        response: HttpResponse = super()._create_userinfo_response(request)
        return response


def refusing_nul(view: Callable[..., Any]) -> Callable[..., Any]:
    """Answer a request that has a NUL character in a parameter with 400: PostgreSQL takes no text with one."""

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        # Other kinds of body are left unread for the view, which may want them whole.
        is_form = request.content_type == "application/x-www-form-urlencoded"
        queries = (request.GET, request.POST) if is_form else (request.GET,)
        sent = (value for query in queries for _, values in query.lists() for value in values)
        if any("\x00" in value for value in sent) or "\x00" in _basic_credentials(request):
            return _error("invalid_request", "A parameter holds a NUL character.", HTTPStatus.BAD_REQUEST)
        return view(request, *args, **kwargs)

    return wrapper


def _basic_credentials(request: HttpRequest) -> str:
    scheme, _, credentials = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return unquote_plus(b64decode(credentials).decode("latin-1"))
    except ValueError:
        return ""


def _values(query: QueryDict, name: str) -> list[object]:
    return [value for value in query.getlist(name) if value]


def _error(code: str, description: str, status: int) -> JsonResponse:
    response = JsonResponse({"error": code, "error_description": description}, status=status)
    response["Cache-Control"] = "no-store"
    return response
