"""The documents that clients and resource servers read, and the toolkit's endpoints where they need a hand."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import timedelta
from functools import lru_cache, wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus, urlsplit

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.utils.decorators import method_decorator
from django.views.decorators.http import conditional_page, require_safe
from django.views.generic import View
from oauth2_provider import views as toolkit_views
from oauth2_provider.models import get_access_token_model, get_grant_model
from oauth2_provider.settings import oauth2_settings
from oauth2_provider.utils import jwk_from_pem

from django_at_jwt.conf import app_settings, local_issuer
from django_at_jwt.core.errors import IssuanceError, KeysUnavailable, UnacceptableKey
from django_at_jwt.core.keys import VerificationKey
from django_at_jwt.core.metadata import authorization_server_metadata
from django_at_jwt.models import DeviceResources

from .keystore import key_store
from .toolkit import DEVICE_CODE_GRANT, resolve_requested

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from django.http import QueryDict


@method_decorator([login_not_required, require_safe, conditional_page], name="dispatch")
class PublicDocumentView(View):
    """A JSON document for everybody: readable from any origin, cacheable, and 304 where it has not changed."""

    def document(self, request: HttpRequest) -> dict[str, Any]:
        """Give the document's content."""
        raise NotImplementedError

    def get(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponse:
        """Answer with the document, or with 503 where the keys cannot be read."""
        try:
            response = JsonResponse(self.document(request))
        except KeysUnavailable:
            return _error("temporarily_unavailable", "The keys cannot be read.", HTTPStatus.SERVICE_UNAVAILABLE)
        response["Access-Control-Allow-Origin"] = "*"
        fresh, stale = self.cache_seconds()
        patch_cache_control(response, public=True, max_age=fresh, stale_while_revalidate=stale, stale_if_error=stale)
        return response

    def cache_seconds(self) -> tuple[int, int]:
        """Give for how long a copy may be used unasked, and for how much longer while a new one cannot be had."""
        seconds = int(app_settings().jwk_set_max_age.total_seconds())
        return seconds, seconds


class JwkSetView(PublicDocumentView):
    """The JWK set: the signing keys that are announced, signing or retained, then the toolkit's keys for ID tokens."""

    def document(self, request: HttpRequest) -> dict[str, Any]:
        """Give the JWK set (RFC 7517 §5)."""
        keys = key_store.current().jwk_set()["keys"]
        # A key that was imported from the toolkit's setting may have been revoked here since.
        known = {key["kid"] for key in keys} | key_store.revoked_kids()
        return {"keys": keys + [key for key in _id_token_keys() if key["kid"] not in known]}

    def cache_seconds(self) -> tuple[int, int]:
        """Give the seconds for the key set: they shrink towards a transition, and together fit in the propagation time.

        What a process may lag behind and what clocks may differ by come off the propagation time first.
        """
        settings = app_settings()
        fresh = key_store.jwk_set_max_age()
        room = settings.propagation_time.total_seconds() - settings.key_ring_max_age - settings.leeway
        return fresh, max(0, int(min(fresh, room - fresh)))


def _id_token_keys() -> Iterator[dict[str, str]]:
    if not oauth2_settings.OIDC_RSA_PRIVATE_KEY:
        return
    for pem in (oauth2_settings.OIDC_RSA_PRIVATE_KEY, *oauth2_settings.OIDC_RSA_PRIVATE_KEYS_INACTIVE):
        yield dict(_published(pem))


@lru_cache(maxsize=16)
def _published(pem: str) -> Mapping[str, str]:
    members = jwk_from_pem(pem).export_public(as_dict=True)
    try:
        return VerificationKey.from_jwk(members, algorithm="RS256").public_jwk
    except UnacceptableKey:
        # A weak key of the site's stays published as the toolkit publishes it: ID tokens depend on it.
        weak: dict[str, str] = members | {"alg": "RS256", "use": "sig"}
        return weak


class MetadataView(PublicDocumentView):
    """RFC 8414 metadata, at both well-known places: after the issuer, and between the issuer's host and path."""

    def document(self, request: HttpRequest) -> dict[str, Any]:
        """Give the metadata document.

        Raises:
            Http404: the address was made for another issuer than this one.
        """
        self._refuse_other_issuers()
        oauth = _toolkit_document(toolkit_views.OAuthServerMetadataView, request)
        issuer = local_issuer() or oauth["issuer"]
        # RFC 8628 §4; the toolkit has the endpoint and does not say so.
        oauth["device_authorization_endpoint"] = _under_host_of(issuer, reverse("oauth2_provider:device-authorization"))
        openid = None
        if oauth2_settings.OIDC_ENABLED:
            openid = _toolkit_document(toolkit_views.ConnectDiscoveryInfoView, request)
        return authorization_server_metadata(
            oauth,
            openid,
            issuer=issuer,
            jwks_uri=_under_host_of(issuer, reverse("oauth2_provider:jwks-info")),
            signing_algorithms=app_settings().signing_algorithms,
        )

    def _refuse_other_issuers(self) -> None:
        inserted = self.kwargs.get("issuer_path")
        if inserted is not None and inserted.strip("/") != urlsplit(local_issuer()).path.strip("/"):
            raise Http404("This server is another issuer.")


class DiscoveryView(MetadataView):
    """OpenID Connect discovery, where the site has switched OpenID Connect on: the same document."""

    def document(self, request: HttpRequest) -> dict[str, Any]:
        """Give the discovery document.

        Raises:
            Http404: OpenID Connect is off, or the address was made for another issuer.
        """
        if not oauth2_settings.OIDC_ENABLED:
            raise Http404("OpenID Connect is not switched on.")
        return super().document(request)


def _toolkit_document(view: Any, request: HttpRequest) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(view.as_view()(request).content)
    return document


def _under_host_of(issuer: str, path: str) -> str:
    parts = urlsplit(issuer)
    return f"{parts.scheme}://{parts.netloc}{path}"


class _OwnCoreMixin:
    """Keeps what the toolkit caches on a view's class from being taken over from the class that it inherits from."""

    @classmethod
    def get_oauthlib_core(cls: Any) -> Any:
        """Give this very class's oauthlib core; the toolkit would find its parent's, with the parent's validator."""
        if "_oauthlib_core" not in vars(cls):
            cls._oauthlib_core = cls.get_oauthlib_backend_class()(cls.get_server())
        return super().get_oauthlib_core()  # type: ignore[misc]


class AuthorizationView(_OwnCoreMixin, toolkit_views.AuthorizationView):
    """The toolkit's authorization endpoint; consent to one API is no consent to another."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer an authorization request (RFC 6749 §4.1.1).

        ``approval_prompt=auto`` asks for no consent page where the user has agreed before. The toolkit compares scopes
        alone; here the resources must have been agreed to as well.
        """
        prompt = request.GET.get("approval_prompt", oauth2_settings.REQUEST_APPROVAL_PROMPT)
        if prompt == "auto" and not self._has_agreed(request):
            query = request.GET.copy()
            query["approval_prompt"] = "force"
            request.GET = query  # type: ignore[assignment]
        response: HttpResponse = super().get(request, *args, **kwargs)
        return response

    def _has_agreed(self, request: HttpRequest) -> bool:
        try:
            resources = set(resolve_requested(_values(request.GET, "resource")))
        except IssuanceError:
            return False
        scopes = request.GET.get("scope", "").split() or oauth2_settings._DEFAULT_SCOPES
        default = app_settings().default_resource
        living = get_access_token_model().objects.filter(
            user=request.user, application__client_id=request.GET.get("client_id", ""), expires__gt=timezone.now()
        )
        return any(resources <= set(token.resource or [default]) and token.allow_scopes(scopes) for token in living)


class TokenView(_OwnCoreMixin, toolkit_views.TokenView):
    """The toolkit's token endpoint, where what a client does wrong or two clients do at once is never a crash."""

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
    """The toolkit's device authorization endpoint; the resources asked for are kept with the device code."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Answer a device authorization request (RFC 8628 §3.1)."""
        requested = _values(request.POST, "resource")
        try:
            resources = resolve_requested(requested)
        except IssuanceError as error:
            return _error(error.code, error.description, error.status)
        response: HttpResponse = super().post(request, *args, **kwargs)
        if requested and response.status_code == HTTPStatus.OK:
            answer = json.loads(response.content)
            expires_at = timezone.now() + timedelta(seconds=answer["expires_in"])
            DeviceResources.objects.keep(answer["device_code"], resources, expires_at=expires_at)
        return response

    def create_device_authorization_response(self, request: HttpRequest) -> Any:
        """Give oauthlib's answer, without the scope that oauthlib 4 adds and the toolkit stumbles over."""
        headers, body, status = super().create_device_authorization_response(request)
        if isinstance(body, dict):
            body.pop("scope", None)
        return headers, body, status


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
