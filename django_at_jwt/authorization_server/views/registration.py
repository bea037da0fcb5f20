"""Dynamic client registration and management (RFC 7591, RFC 7592)."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig, ValidationError
from django.db import router, transaction
from django.http import HttpResponse, JsonResponse, RawPostDataException
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import View
from oauth2_provider import views as toolkit_views
from oauth2_provider.generators import generate_client_secret
from oauth2_provider.models import get_access_token_model, get_application_model, set_token_value
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.authorization_server.endpoint_urls import endpoint_path
from django_at_jwt.authorization_server.oauthlib_bridge.client_policy import allows_front_channel_tokens
from django_at_jwt.authorization_server.redirect_uris import problem_with_registered_uri
from django_at_jwt.authorization_server.registration import (
    anyone_may_register,
    may_register,
    registration_is_enabled,
)
from django_at_jwt.authorization_server.resource_servers import scopes_of_registered_clients
from django_at_jwt.conf import app_settings, local_issuer
from django_at_jwt.core import client_metadata as metadata
from django_at_jwt.core.bearer import INVALID_TOKEN, Challenge
from django_at_jwt.core.client_metadata import ClientMetadata, RegistrationOffer, UnacceptableClient
from django_at_jwt.core.errors import RejectionReason, TokenRejected
from django_at_jwt.core.grant_types import AUTHORIZATION_CODE, CLIENT_CREDENTIALS, DEVICE_CODE, IMPLICIT, PASSWORD
from django_at_jwt.core.jose.jws import decode_object
from django_at_jwt.core.metadata import with_path
from django_at_jwt.inbound.cors import CrossOriginMixin
from django_at_jwt.models.change_times import change_times
from django_at_jwt.models.primary import primary_rows

from .endpoint import EndpointMixin
from .error_handling import refusal
from .rate_limits import count_attempt, network_of
from .token import TokenView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest

MOST_BYTES: Final = 65536
"""The longest document that is read."""

# DOT's names of grant types that are not those of the standards.
_TOOLKIT_GRANTS: Final = {
    AUTHORIZATION_CODE: "authorization-code",
    CLIENT_CREDENTIALS: "client-credentials",
}
_STANDARD_GRANTS: Final = {own: standard for standard, own in _TOOLKIT_GRANTS.items()}
# What a request changes.
_REGISTERED_FIELDS: Final = ("name", "redirect_uris", "authorization_grant_type", "client_type")
_NEVER: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


class _RegistrationMixin(CrossOriginMixin, EndpointMixin, View):
    """Answers 404 if registration is off, by this app's setting or else by DOT's."""

    @method_decorator([csrf_exempt, login_not_required])
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Answer the request, unless registration is off."""
        if app_settings().client_registration is None:
            return super().dispatch(request, *args, **kwargs)
        if not registration_is_enabled():
            return JsonResponse({"error": "not_found"}, status=HTTPStatus.NOT_FOUND)
        # DOT's method would read DOT's setting.
        return View.dispatch(self, request, *args, **kwargs)


class RegistrationView(_RegistrationMixin, toolkit_views.DynamicClientRegistrationView):
    """The client registration endpoint, which registers what the client may have of what it asks for.

    In place of DOT's view, which answers 400 to anything that it does not offer.
    """

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Register a client (RFC 7591 section 3.1)."""
        refused = _refused_sender(request)
        if refused is not None:
            return refused
        try:
            registered = _narrowed(request)
            parent = super().post
            # The next class may be a site's own view.
            if parent.__func__ is not toolkit_views.DynamicClientRegistrationView.post:
                return parent(request, *args, **kwargs)
            model = get_application_model()
            # Where anyone may register, the cookie is not protected against requests of other sites.
            user = request.user if request.user.is_authenticated and not anyone_may_register() else None
            client = model(user=user, registration_source=model.RegistrationSource.DCR)
            # Hashed when it is saved.
            secret = client.client_secret
            _set(client, registered)
        except UnacceptableClient as error:
            return refusal(error.code, error.description, HTTPStatus.BAD_REQUEST)
        with transaction.atomic(using=router.db_for_write(model)):
            client.save()
            token = _new_registration_token(client)
        members = _members(client, registered) | {"client_id_issued_at": int(client.created.timestamp())}
        if registered.auth_method != metadata.WITHOUT_SECRET:
            members["client_secret"] = secret
        return _information(request, client, members, token=token, status=HTTPStatus.CREATED)


class RegistrationManagementView(_RegistrationMixin, toolkit_views.DynamicClientRegistrationManagementView):
    """The client configuration endpoint; a change is narrowed as a registration is."""

    cors_methods = ("GET", "PUT", "DELETE")

    def get(self, request: HttpRequest, client_id: str, *_args: Any, **_kwargs: Any) -> HttpResponse:
        """Return the registration of a client (RFC 7592 section 2.1)."""
        sender = self._authenticate_registration_request(request, client_id)
        if isinstance(sender, HttpResponse):
            return sender
        client = sender.application
        return _information(request, client, _members(client), token=sender.presented_token)

    def put(self, request: HttpRequest, client_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Replace a client's registration (RFC 7592 section 2.2), with a secret if it needs one for the first time."""
        sender = self._authenticate_registration_request(request, client_id)
        if isinstance(sender, HttpResponse):
            return sender
        client, token, secret = sender.application, sender.presented_token, None
        changed = [*_REGISTERED_FIELDS, *change_times(type(client))]
        try:
            registered = _narrowed(request, client_id=client_id)
            parent = super().put
            if parent.__func__ is not toolkit_views.DynamicClientRegistrationManagementView.put:
                return parent(request, client_id, *args, **kwargs)
            if registered.auth_method != metadata.WITHOUT_SECRET and client.client_type == client.CLIENT_PUBLIC:
                secret = client.client_secret = generate_client_secret()
                changed.append("client_secret")
            _set(client, registered)
        except UnacceptableClient as error:
            return refusal(error.code, error.description, HTTPStatus.BAD_REQUEST)
        rows = primary_rows(type(client)).filter(pk=client.pk)
        with transaction.atomic(using=rows.db):
            if not rows.select_for_update():
                # Saving it would insert it again.
                return _unauthorized(INVALID_TOKEN, "The client was deleted.", Challenge(error=INVALID_TOKEN))
            # An administrator may have changed other fields meanwhile.
            client.save(update_fields=changed)
            if oauth2_settings.DCR_ROTATE_REGISTRATION_TOKEN_ON_UPDATE:
                token = _new_registration_token(client)
                sender.registration_token.delete()
        members = _members(client, registered)
        if secret is not None:
            members["client_secret"] = secret
        return _information(request, client, members, token=token)


def _unauthorized(code: str, description: str, challenge: Challenge) -> HttpResponse:
    refused = refusal(code, description, HTTPStatus.UNAUTHORIZED)
    refused["WWW-Authenticate"] = str(challenge)
    return refused


def _refused_sender(request: HttpRequest) -> HttpResponse | None:
    """Return an error response if the sender may not register a client, or too often, else ``None``."""
    if not may_register(request):
        return _unauthorized("access_denied", "Authentication required to register a client", Challenge())
    settings = app_settings()
    limit = settings.client_registration_rate
    # DOT's own permission classes may limit the rate otherwise.
    if limit is None or settings.client_registration is None:
        return None
    most, seconds = limit
    counted = count_attempt("register", network_of(request), seconds)
    if counted.number <= most:
        return None
    text = "Too many clients were registered from this address. Try again later."
    refused = refusal("temporarily_unavailable", text, HTTPStatus.TOO_MANY_REQUESTS)
    refused["Retry-After"] = str(counted.retry_after)
    return refused


def _narrowed(request: HttpRequest, *, client_id: str | None = None) -> ClientMetadata:
    """Return what is registered for the document of a request.

    Args:
        client_id: of the registered client; if the document names another, it is refused (RFC 7592 section 2.2).

    Raises:
        UnacceptableClient: the document cannot be read, or nothing is left of it.
    """
    document = _document(request)
    if client_id is not None and document.get("client_id", client_id) != client_id:
        raise UnacceptableClient("invalid_client_metadata", "client_id is not that of this client.")
    offer = RegistrationOffer(
        grant_types=_offered_grant_types(),
        scopes=scopes_of_registered_clients() if isinstance(document.get("scope"), str) else (),
        problem_with_uri=problem_with_registered_uri,
    )
    return metadata.read_registration_request(document, offer)


def _document(request: HttpRequest) -> Mapping[str, Any]:
    try:
        body = request.body
    except RequestDataTooBig:
        body = None
    except RawPostDataException:
        # A middleware has read a form.
        body = b""
    # A site may allow gigantic bodies. They are not parsed.
    if body is None or len(body) > MOST_BYTES:
        raise UnacceptableClient("invalid_client_metadata", f"The body must have at most {MOST_BYTES} bytes.")
    with suppress(TokenRejected):
        # PostgreSQL cannot store NUL characters; in JSON, this is their only notation.
        if b"\\u0000" not in body:
            return decode_object(body, RejectionReason.BAD_CLAIMS)
    text = "The body must be a JSON object in UTF-8 without duplicate members or NUL characters."
    raise UnacceptableClient("invalid_client_metadata", text)


def _offered_grant_types() -> frozenset[str]:
    """Return the grant types that the server offers to a client that registers itself."""
    server = TokenView.get_oauthlib_core().server
    # oauthlib's servers for one grant have only one of these.
    offered = set(getattr(server, "grant_types", ()))
    response_types = set(getattr(server, "response_types", ()))
    if "code" not in response_types:
        offered.discard(AUTHORIZATION_CODE)
    if "token" in response_types and allows_front_channel_tokens():
        offered.add(IMPLICIT)
    if oauth2_settings.COMPLIANT_BCP_RFC9700_PASSWORD_GRANT:
        offered.discard(PASSWORD)
    if endpoint_path("device-authorization") is None:
        offered.discard(DEVICE_CODE)
    if anyone_may_register():
        # Neither a user nor an administrator would stand behind a token of the client itself, and such a client must
        # not ask for passwords.
        offered -= {CLIENT_CREDENTIALS, PASSWORD}
    return frozenset(offered)


def _set(client: Any, registered: ClientMetadata) -> None:
    """Set the fields of a client.

    Raises:
        UnacceptableClient: the site's model does not take it.
    """
    client.name = registered.client_name
    client.redirect_uris = " ".join(registered.redirect_uris)
    client.authorization_grant_type = _TOOLKIT_GRANTS.get(registered.grant_type, registered.grant_type)
    is_public = registered.auth_method == metadata.WITHOUT_SECRET
    client.client_type = client.CLIENT_PUBLIC if is_public else client.CLIENT_CONFIDENTIAL
    try:
        client.full_clean()
    except ValidationError as error:
        # Only the messages: the representation of the error contains more.
        raise UnacceptableClient("invalid_client_metadata", " ".join(error.messages)) from None


def _members(client: Any, registered: ClientMetadata | None = None) -> dict[str, Any]:
    """Return the members that describe a client (RFC 7591 section 3.2.1).

    Args:
        registered: what was just registered. DOT stores neither the scopes nor how the client sends its secret.
    """
    grant = _STANDARD_GRANTS.get(client.authorization_grant_type, client.authorization_grant_type)
    is_public = client.client_type == client.CLIENT_PUBLIC
    members: dict[str, Any] = {
        "redirect_uris": client.redirect_uris.split(),
        "grant_types": metadata.grant_types_of(grant, _offered_grant_types()),
        "response_types": metadata.response_types_of(grant),
        "token_endpoint_auth_method": metadata.WITHOUT_SECRET if is_public else metadata.SECRET_IN_HEADER,
    }
    if client.name:
        members["client_name"] = client.name
    if registered is not None:
        members["token_endpoint_auth_method"] = registered.auth_method
        if registered.scopes is not None:
            members["scope"] = " ".join(registered.scopes)
    return members


def _information(
    request: HttpRequest, client: Any, members: Mapping[str, Any], *, token: str, status: int = HTTPStatus.OK
) -> HttpResponse:
    """Return the client information response. Secrets do not expire.

    ``registration_client_uri`` is derived from the issuer, not from the request's ``Host``.
    """
    document = {"client_id": client.client_id, **members}
    if members["token_endpoint_auth_method"] != metadata.WITHOUT_SECRET:
        document["client_secret_expires_at"] = 0
    path = endpoint_path("dcr-register-management", client_id=client.client_id)
    if path is not None:
        issuer = local_issuer()
        address = with_path(issuer, path) if issuer else request.build_absolute_uri(path)
        document |= {"registration_access_token": token, "registration_client_uri": address}
    # The response has the client's secret (RFC 7591 section 3.2.1).
    return JsonResponse(document, status=status, headers={"Cache-Control": "no-store"})


def _new_registration_token(client: Any) -> str:
    """Store and return a token for the client configuration endpoint (RFC 7592 section 3)."""
    seconds = oauth2_settings.DCR_REGISTRATION_TOKEN_EXPIRE_SECONDS
    token: str = generate_client_secret()
    row = get_access_token_model()(
        application=client,
        user=client.user,
        expires=_NEVER if seconds is None else timezone.now() + timedelta(seconds=seconds),
        scope=oauth2_settings.DCR_REGISTRATION_SCOPE,
    )
    # Hashed, if the site stores tokens so.
    set_token_value(row, token)
    row.save()
    return token
