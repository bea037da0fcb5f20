"""The authorization endpoint: RFC 6749 §3.1, with consent to an API by its name."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from django.contrib.auth.views import redirect_to_login
from django.shortcuts import resolve_url
from oauth2_provider import views as toolkit_views
from oauth2_provider.exceptions import OAuthToolkitError
from oauth2_provider.models import get_application_model
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.authorization_server.login.events import authentication_of, login_of
from django_at_jwt.authorization_server.login.prompts import forget_ask, login_ask, remember_ask
from django_at_jwt.authorization_server.oauthlib_bridge import AUTHENTICATION, redirectable, resolved_audience
from django_at_jwt.conf import app_settings
from django_at_jwt.core.authentication import LoginDemand, Verdict
from django_at_jwt.core.errors import IssuanceError, LoginRequired, UnmetAuthenticationRequirements
from django_at_jwt.core.subjects import is_on_own_device

from .base import OwnCoreMixin, refusal, template_name_or_default
from .consent import Consent, has_agreed
from .endpoint import ConsentPageMixin

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from django_at_jwt.core.audience import Audience


class AuthorizationView(ConsentPageMixin, OwnCoreMixin, toolkit_views.AuthorizationView):
    """The toolkit's authorization endpoint; consent is to one API, and says what the client may do there."""

    _audience: Audience | None = None

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer an authorization request (RFC 6749 §4.1.1).

        What the audience is resolved to is what the consent page is about, and what its form sends back.
        ``approval_prompt=auto`` asks for no consent page where the user has agreed before. The toolkit compares scopes
        alone; here the resources must have been agreed to as well, and another app must not be able to pass for the
        client (RFC 8252 §8.6).
        """
        ask, login = login_ask(request, request.GET), login_of(request)
        verdict = _demand(request).judge(authentication_of(request), login=login, ask=ask, now=time.time())
        if verdict is Verdict.LOG_IN:
            return self._ask_for_login(request)
        if ask is not None:
            forget_ask(request, ask)
        if verdict is Verdict.UNMET:
            return self._refuse_unmet()
        response: HttpResponse = super().get(request, *args, **kwargs)
        return response

    def validate_authorization_request(self, request: HttpRequest) -> tuple[Any, Any]:
        """Validate the request, and let the rest of it be about what the validator has resolved the audience to.

        The validator of a site may know other default scopes than the settings do.

        Raises:
            OAuthToolkitError: the request is none that can be agreed to.
        """
        scopes, credentials = super().validate_authorization_request(request)
        self._audience = audience = resolved_audience(credentials["request"])
        query = request.GET.copy()
        if audience is not None:
            query.setlist("resource", audience.identifiers)
        client_id = request.GET.get("client_id", "")
        if query.get("approval_prompt", oauth2_settings.REQUEST_APPROVAL_PROMPT) == "auto" and (
            (audience is not None and not has_agreed(request.user, client_id, audience))
            or _can_be_impersonated(credentials["request"].client, credentials["redirect_uri"])
        ):
            query["approval_prompt"] = "force"
        request.GET = query  # type: ignore[assignment]
        return scopes, credentials

    def _ask_for_login(self, request: HttpRequest) -> HttpResponse:
        if "none" in _prompts(request):
            return self._refuse_login(LoginRequired("The user has to log in."))
        remember_ask(request, request.GET, required=_demand(request).new_login)
        login_url = resolve_url(self.get_login_url())
        return redirect_to_login(_way_back(request, login_url), login_url, self.get_redirect_field_name())

    def handle_no_permission(self) -> HttpResponse:
        """Answer a request of a user who is not logged in."""
        prompts = _prompts(self.request)
        if "none" in prompts or (_demand(self.request) != LoginDemand() and "create" not in prompts):
            return self._ask_for_login(self.request)
        answer: HttpResponse = super().handle_no_permission()
        return answer

    def _refuse_unmet(self) -> HttpResponse:
        # This user cannot log in as strongly as the client asks (RFC 9470 §5).
        text = "The user's login is of none of the requested authentication contexts."
        return self._refuse_login(UnmetAuthenticationRequirements(text))

    def _refuse_login(self, error: IssuanceError) -> HttpResponse:
        """Tell the client what is wrong with the user's login, if the request is a good one."""
        answer: HttpResponse
        try:
            _, credentials = self.validate_authorization_request(self.request)
            state, redirect_uri = credentials.get("state"), credentials["redirect_uri"]
        except OAuthToolkitError as refused:
            if refused.oauthlib_error.error != "consent_required":
                answer = self.error_response(refused, application=None)
                return answer
            # With prompt=none oauthlib asks for a consent at the very end, and there is nobody yet to give it.
            state, redirect_uri = refused.oauthlib_error.state, refused.oauthlib_error.redirect_uri
        application = get_application_model().objects.get(client_id=self.request.GET["client_id"])
        told = OAuthToolkitError(error=redirectable(error, state=state), redirect_uri=redirect_uri)
        answer = self.error_response(told, application)
        return answer

    def redirect(self, redirect_to: str, application: Any) -> HttpResponse:
        """Send the user back to the client; the toolkit names the issuer where all went well alone (RFC 9207 §2)."""
        if oauth2_settings.COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS:
            issuer = oauth2_settings.oauth2_authorization_server_issuer(self.request)
            redirect_to = _with_issuer(redirect_to, issuer)
        answer: HttpResponse = super().redirect(redirect_to, application)
        return answer

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Give the template the ``consent``, and in ``scopes_descriptions`` what each scope does at that API."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        if self._audience is not None and "error" not in context:
            context["consent"] = consent = Consent.to(self._audience)
            context["scopes_descriptions"] = list(consent.texts)
        return context

    def get_template_names(self) -> list[str]:
        """Return the view's own template, or the site's in place of the toolkit's, or else this app's."""
        names: list[str] = super().get_template_names()
        of_toolkit = toolkit_views.AuthorizationView.template_name
        return (
            [template_name_or_default(of_toolkit, "django_at_jwt/authorize.html")] if names == [of_toolkit] else names
        )

    def get_form(self, form_class: Any = None) -> Any:
        """Return the form; a request may ask for no scope, or for scopes that mean nothing to the API."""
        form = super().get_form(form_class)
        form.fields["scope"].required = False
        return form

    def form_valid(self, form: Any) -> HttpResponse:
        """Take the answer to the consent page; not from a user who has yet to log in for this request."""
        ask = login_ask(self.request, self.request.POST)
        if ask is not None and ask.required and not ask.is_followed_by(login_of(self.request)):
            return self._ask_for_login(self.request)
        try:
            response: HttpResponse = super().form_valid(form)
        except get_application_model().DoesNotExist:
            # The client was deleted while the page was open, or the form was changed.
            return refusal("invalid_request", "Invalid client_id parameter value.", HTTPStatus.BAD_REQUEST)
        return response

    def form_invalid(self, form: Any) -> HttpResponse:
        """Show the page again, with what it asks for; only a form that was changed gets here."""
        return self.get(self.request)

    def create_authorization_response(self, request: HttpRequest, scopes: str, credentials: Any, allow: bool) -> Any:  # noqa: FBT001 - the toolkit's own signature
        """Hand on how the user had logged in."""
        credentials[AUTHENTICATION] = authentication_of(request)
        return super().create_authorization_response(request, scopes, credentials, allow)


def _prompts(request: HttpRequest) -> list[str]:
    return request.GET.get("prompt", "").split()


def _with_issuer(address: str, issuer: str) -> str:
    parts = urlsplit(address)
    if ("iss", issuer) in [*parse_qsl(parts.query), *parse_qsl(parts.fragment)]:
        return address
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "iss"]
    return parts._replace(query=urlencode([*query, ("iss", issuer)])).geturl()


def _demand(request: HttpRequest) -> LoginDemand:
    settings = app_settings()
    # Where the site gives no acr to any login, acr_values is but a wish (OpenID Connect Core §3.1.2.1).
    has_contexts = settings.authentication_contexts is not None or settings.authentication_event is not None
    acr_values = request.GET.get("acr_values", "") if has_contexts else ""
    asked = {name: request.GET.get(name, "") for name in ("prompt", "max_age")}
    return LoginDemand.of(**asked, acr_values=acr_values)


def _way_back(request: HttpRequest, login_url: str) -> str:
    """Return the address to come back to after the login, without ``prompt=login``, which the session remembers."""
    path = request.get_full_path()
    if "login" in _prompts(request):
        query = request.GET.copy()
        query["prompt"] = " ".join(value for value in _prompts(request) if value != "login")
        if not query["prompt"]:
            del query["prompt"]
        path = f"{path.partition('?')[0]}?{query.urlencode()}"
    here = request.build_absolute_uri("/")
    is_elsewhere = urlsplit(urljoin(here, login_url))[:2] != urlsplit(here)[:2]
    return request.build_absolute_uri(path) if is_elsewhere else path


def _can_be_impersonated(client: Any, redirect_uri: str) -> bool:
    """Return whether another app on the user's device can pass for a client: neither a secret nor a host tells it."""
    return client.client_type == client.CLIENT_PUBLIC and is_on_own_device(redirect_uri)
