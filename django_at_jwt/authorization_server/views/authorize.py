"""The authorization endpoint (RFC 6749 section 3.1), with a consent page that names the API."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.shortcuts import resolve_url
from django.utils.decorators import method_decorator
from oauth2_provider import views as toolkit_views
from oauth2_provider.models import get_application_model
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.authorization_server.client_metadata import must_be_fetched
from django_at_jwt.authorization_server.login.events import authentication_of, login_of
from django_at_jwt.authorization_server.login.prompts import forget_ask, login_ask, remember_ask
from django_at_jwt.authorization_server.oauthlib_bridge.audience import resolved_audience
from django_at_jwt.authorization_server.oauthlib_bridge.client_lookup import (
    WITHOUT_FETCH,
    TooManyDocuments,
    unknown_client,
)
from django_at_jwt.authorization_server.oauthlib_bridge.generator import redirectable
from django_at_jwt.authorization_server.oauthlib_bridge.request import AUTHENTICATION
from django_at_jwt.authorization_server.toolkit import FatalClientError, OAuthToolkitError
from django_at_jwt.conf import app_settings
from django_at_jwt.core.errors import IssuanceError, LoginRequired, UnmetAuthenticationRequirements
from django_at_jwt.core.login import LoginDemand, Verdict
from django_at_jwt.core.quotation import quote

from .consent import Consent, has_agreed, is_asked_each_time
from .endpoint import ConsentPageMixin, OwnCoreMixin
from .pushed_request import pushed_parameters, use_up
from .rate_limits import count_attempt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest, HttpResponse, QueryDict

    from django_at_jwt.core.audience import Audience


logger = logging.getLogger("django_at_jwt")

# Client metadata documents that are fetched for one user in an hour.
_MOST_DOCUMENTS: Final = 20
_HOUR: Final = 3600

# Fields of DOT's consent form that become attributes of oauthlib's request, and those that do only if they are set.
_ALWAYS_SENT: Final = ("client_id", "redirect_uri", "response_type", "state")
_SENT_IF_SET: Final = ("claims", "code_challenge", "code_challenge_method", "nonce")


class AuthorizationView(ConsentPageMixin, OwnCoreMixin, toolkit_views.AuthorizationView):
    """DOT's authorization endpoint, with consent to named APIs and what the client may do there."""

    _audience: Audience | None = None
    # The scopes and credentials of a request that needs no consent page.
    _agreed: tuple[Any, dict[str, Any]] | None = None
    # The parameters that the client has pushed for this request (RFC 9126), or None.
    _pushed: QueryDict | None = None

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        """Read pushed parameters, if the request refers to some."""
        super().setup(request, *args, **kwargs)
        self._pushed = None if request.method == "POST" else pushed_parameters(request)

    @method_decorator(login_not_required)
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer the request, with an error page if the client was deleted meanwhile or the user changed the form."""
        try:
            return super().dispatch(request, *args, **kwargs)
        except get_application_model().DoesNotExist:
            return self.error_response(FatalClientError(error=unknown_client()), application=None)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer an authorization request (RFC 6749 section 4.1.1).

        The consent page shows the resolved audience, and its form sends it back. With ``approval_prompt=auto``, the
        page is skipped if the user has consented before. DOT compares scopes only; here the resources must match too,
        and other apps must not be able to impersonate the client (RFC 8252 section 8.6). If the client is identified by
        a metadata document, the response must go to the host of the document.
        """
        parameters = self._parameters(request)
        ask, login = login_ask(request, parameters), login_of(request)
        if self._pushed is not None and ask is not None and ask.is_followed_by(login):
            # Pushed parameters still have prompt=login after the login; _return_address() drops it from others.
            self._pushed = parameters = _without_login_prompt(parameters)
        verdict = _demand(parameters).judge(authentication_of(request), login=login, ask=ask, now=time.time())
        if verdict is Verdict.LOG_IN:
            return self._ask_for_login(request)
        if ask is not None:
            forget_ask(request, ask)
        if verdict is Verdict.UNMET:
            # The user cannot log in as strongly as the client requests (RFC 9470 section 5).
            text = "The user's login does not meet any of the requested authentication contexts."
            return self._refuse_login(UnmetAuthenticationRequirements(text))
        return super().get(request, *args, **kwargs)

    def validate_authorization_request(self, request: HttpRequest) -> tuple[Any, Any]:
        """Validate the request, and replace its resources by the audience that the validator has resolved.

        The audience is not resolved again here: a site's validator may have other default scopes than the settings.

        Raises:
            OAuthToolkitError: the request is invalid.
        """
        if self._pushed is not None:
            # DOT's view has replaced the parameters by the pushed ones; only the prompt may differ.
            request.GET = self._pushed  # type: ignore[assignment]
            request.META["QUERY_STRING"] = self._pushed.urlencode()
        _limit_documents(request)
        scopes, credentials = super().validate_authorization_request(request)
        self._audience = audience = resolved_audience(credentials["request"])
        query = request.GET.copy()
        if audience is not None:
            query.setlist("resource", audience.identifiers)
        client = credentials["request"].client
        if query.get("approval_prompt", oauth2_settings.REQUEST_APPROVAL_PROMPT) == "auto":
            if is_asked_each_time(client, credentials["redirect_uri"]) or (
                audience is not None and not has_agreed(request.user, client, audience)
            ):
                query["approval_prompt"] = "force"
            elif audience is not None:
                self._agreed = scopes, credentials
        request.GET = query  # type: ignore[assignment]
        return scopes, credentials

    def _parameters(self, request: HttpRequest) -> QueryDict:
        """Return the parameters of the authorization request: the pushed ones, else those of the query."""
        return request.GET if self._pushed is None else self._pushed

    def _ask_for_login(self, request: HttpRequest) -> HttpResponse:
        parameters = self._parameters(request)
        if "none" in _prompts(parameters):
            return self._refuse_login(LoginRequired("The user must log in."))
        remember_ask(request, parameters, required=_demand(parameters).new_login)
        login_url = resolve_url(self.get_login_url())
        return redirect_to_login(_return_address(request, login_url), login_url, self.get_redirect_field_name())

    def handle_no_permission(self) -> HttpResponse:
        """Answer a request of a user who is not logged in."""
        parameters = self._parameters(self.request)
        prompts = _prompts(parameters)
        if "none" in prompts or (_demand(parameters) != LoginDemand() and "create" not in prompts):
            return self._ask_for_login(self.request)
        return super().handle_no_permission()

    def _refuse_login(self, error: IssuanceError) -> HttpResponse:
        """Redirect to the client with an error about the user's login, if the request is valid."""
        if self._pushed is not None:
            use_up(self.request)
        try:
            _, credentials = self.validate_authorization_request(self.request)
            state, redirect_uri = credentials.get("state"), credentials["redirect_uri"]
        except OAuthToolkitError as refused:
            if refused.oauthlib_error.error != "consent_required":
                return self.error_response(refused, application=None)
            # With prompt=none, oauthlib checks consent last, so the request is valid otherwise.
            state, redirect_uri = refused.oauthlib_error.state, refused.oauthlib_error.redirect_uri
        application = get_application_model().objects.get(client_id=self.request.GET["client_id"])
        told = OAuthToolkitError(error=redirectable(error, state=state), redirect_uri=redirect_uri)
        return self.error_response(told, application)

    def error_response(self, error: OAuthToolkitError, application: Any, **kwargs: Any) -> HttpResponse:
        """Show the error, or redirect to the client with it, with ``Retry-After`` if the user may try again."""
        answer: HttpResponse = super().error_response(error, application, **kwargs)
        if isinstance(error.oauthlib_error, TooManyDocuments):
            answer["Retry-After"] = str(error.oauthlib_error.retry_after)
        return answer

    def redirect(self, redirect_to: str, application: Any) -> HttpResponse:
        """Redirect to the client, with ``iss`` also in error responses, where DOT omits it (RFC 9207 section 2)."""
        if oauth2_settings.COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS:
            issuer = oauth2_settings.oauth2_authorization_server_issuer(self.request)
            redirect_to = _with_issuer(redirect_to, issuer)
        return super().redirect(redirect_to, application)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add ``consent`` to the context, and to ``scopes_descriptions`` what each scope means to the API."""
        context: dict[str, Any] = super().get_context_data(**kwargs)
        if self._audience is not None and "error" not in context:
            redirect_uri = context.get("redirect_uri") or ""
            consent = Consent.to(self._audience, client=context.get("application"), redirect_uri=redirect_uri)
            context["consent"] = consent
            context["scopes_descriptions"] = list(consent.texts)
        return context

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        """Show the page, or answer without it if the user has agreed before.

        DOT skips the page only if there is an unexpired access token; an authorization can be live without one.
        """
        agreed, self._agreed = self._agreed, None
        if agreed is None or "error" in context:
            return super().render_to_response(context, **kwargs)
        scopes, credentials = agreed
        return self._answer(" ".join(scopes), credentials, context["application"], allow=True)

    def get_form(self, form_class: Any = None) -> Any:
        """Return the form, with ``scope`` optional: a request may have no scopes, or none that the API knows."""
        form = super().get_form(form_class)
        form.fields["scope"].required = False
        return form

    def form_valid(self, form: Any) -> HttpResponse:
        """Process the consent form, unless the user must log in again for this request first."""
        ask = login_ask(self.request, self.request.POST)
        if ask is not None and ask.required and not ask.is_followed_by(login_of(self.request)):
            return self._ask_for_login(self.request)
        parent = super().form_valid
        # The next class may be a site's own view.
        is_dot = parent.__func__ is toolkit_views.AuthorizationView.form_valid
        return self._answer_form(form.cleaned_data) if is_dot else parent(form)

    def _answer_form(self, sent: Mapping[str, Any]) -> HttpResponse:
        """Answer the consent form as DOT does, but read the client once; the validator checks the resources."""
        client: Any = get_application_model()._default_manager.get(client_id=sent["client_id"])
        credentials = {name: sent.get(name) for name in _ALWAYS_SENT} | {"client": client}
        credentials |= {name: sent[name] for name in _SENT_IF_SET if sent.get(name)}
        if sent.get("resource"):
            credentials["resource"] = sent["resource"].split()
        return self._answer(sent["scope"], credentials, client, allow=sent["allow"])

    def _answer(self, scopes: str, credentials: Any, client: Any, *, allow: bool) -> HttpResponse:
        try:
            address, *_ = self.create_authorization_response(self.request, scopes, credentials, allow=allow)
        except OAuthToolkitError as error:
            return self.error_response(error, client)
        return self.redirect(address, client)

    def form_invalid(self, form: Any) -> HttpResponse:
        """Show the page again; only a form that the user changed is invalid."""
        return self.get(self.request)

    def create_authorization_response(self, request: HttpRequest, scopes: str, credentials: Any, allow: bool) -> Any:  # noqa: FBT001 - DOT's signature
        """Create the response, with how the user logged in, for the client that was validated before."""
        credentials[AUTHENTICATION] = authentication_of(request)
        if "request" in credentials:
            credentials["client"] = credentials["request"].client
        return super().create_authorization_response(request, scopes, credentials, allow)


def _limit_documents(request: HttpRequest) -> None:
    """Fetch no client's metadata document without a user who is logged in, or too often for one user.

    With ``prompt=none`` and ``prompt=create``, a request is validated before the user is logged in. If there is a copy,
    it has the redirect URI for the error (RFC 6749 section 4.1.2.1), although it has expired.

    Raises:
        FatalClientError: the user has had too many fetched.
    """
    client_id = request.GET.get("client_id")
    if not must_be_fetched(client_id):
        return
    if not request.user.is_authenticated:
        request.META[WITHOUT_FETCH] = True
        return
    counted = count_attempt("client_metadata", f"user {request.user.pk}", _HOUR)
    if counted.number > _MOST_DOCUMENTS:
        logger.warning(
            "Client %s is refused: its metadata document is not fetched, because user %s has had %d fetched in an hour",
            quote(client_id),
            request.user.pk,
            _MOST_DOCUMENTS,
        )
        raise FatalClientError(error=TooManyDocuments(counted.retry_after))


def _prompts(parameters: QueryDict) -> list[str]:
    return parameters.get("prompt", "").split()


def _without_login_prompt(parameters: QueryDict) -> QueryDict:
    remaining = parameters.copy()
    remaining["prompt"] = " ".join(value for value in _prompts(parameters) if value != "login")
    if not remaining["prompt"]:
        del remaining["prompt"]
    return remaining


def _with_issuer(address: str, issuer: str) -> str:
    parts = urlsplit(address)
    if ("iss", issuer) in [*parse_qsl(parts.query), *parse_qsl(parts.fragment)]:
        return address
    query = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name != "iss"]
    return parts._replace(query=urlencode([*query, ("iss", issuer)])).geturl()


def _demand(parameters: QueryDict) -> LoginDemand:
    settings = app_settings()
    # If the site assigns no acr, acr_values is a voluntary request (OpenID Connect Core section 3.1.2.1).
    has_contexts = settings.authentication_contexts is not None or settings.authentication_event is not None
    acr_values = parameters.get("acr_values", "") if has_contexts else ""
    asked = {name: parameters.get(name, "") for name in ("prompt", "max_age")}
    return LoginDemand.of(**asked, acr_values=acr_values)


def _return_address(request: HttpRequest, login_url: str) -> str:
    """Return the address to return to after the login, without ``prompt=login``, which the session stores."""
    path = request.get_full_path()
    if "login" in _prompts(request.GET):
        path = f"{path.partition('?')[0]}?{_without_login_prompt(request.GET).urlencode()}"
    here = request.build_absolute_uri("/")
    is_elsewhere = urlsplit(urljoin(here, login_url))[:2] != urlsplit(here)[:2]
    return request.build_absolute_uri(path) if is_elsewhere else path
