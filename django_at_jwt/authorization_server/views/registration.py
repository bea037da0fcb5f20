"""Dynamic client registration, where no document of a client's is a crash (RFC 7591, RFC 7592)."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.http import HttpResponse, JsonResponse
from oauth2_provider import views as toolkit_views

from django_at_jwt.authorization_server.endpoint_urls import endpoint_path
from django_at_jwt.conf import local_issuer
from django_at_jwt.core.errors import RejectionReason, TokenRejected
from django_at_jwt.core.jose.jws import decode_object
from django_at_jwt.core.metadata import with_path

from .base import refusal
from .endpoint import EndpointMixin

if TYPE_CHECKING:
    from django.http import HttpRequest


class RegistrationView(EndpointMixin, toolkit_views.DynamicClientRegistrationView):
    """The toolkit's endpoint where clients register, for documents that can be read and stored."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Register a client (RFC 7591 §3.1)."""
        return _refused(request.body) or _completed(super().post(request, *args, **kwargs))


class RegistrationManagementView(EndpointMixin, toolkit_views.DynamicClientRegistrationManagementView):
    """The toolkit's endpoint where clients change what they registered, for documents that can be read and stored."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Give what a client registered (RFC 7592 §2.1)."""
        return _completed(super().get(request, *args, **kwargs))

    def put(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Change what a client registered (RFC 7592 §2.2)."""
        return _refused(request.body) or _completed(super().put(request, *args, **kwargs))


def _refused(body: bytes) -> HttpResponse | None:
    """Give the answer to a document that the toolkit would stumble over, and ``None`` for any other."""
    try:
        document = decode_object(body, RejectionReason.BAD_CLAIMS)
    except TokenRejected:
        document = None
    # PostgreSQL takes no text with a NUL character, and JSON can write it in this way alone.
    if document is None or b"\\u0000" in body:
        text = "The body must be a JSON object in UTF-8 with each member once, and no NUL character."
        return refusal("invalid_client_metadata", text, HTTPStatus.BAD_REQUEST)
    if not isinstance(document.get("client_name", ""), str):
        return refusal("invalid_client_metadata", "client_name must be a string.", HTTPStatus.BAD_REQUEST)
    uris = document.get("redirect_uris")
    if isinstance(uris, list) and not all(_can_be_compared(uri) for uri in uris if isinstance(uri, str)):
        text = "Each of redirect_uris must be one URI without white space, and its port a number up to 65535."
        return refusal("invalid_redirect_uri", text, HTTPStatus.BAD_REQUEST)
    return None


def _can_be_compared(uri: str) -> bool:
    """Whether the toolkit can keep a URI, in a list that white space separates, and read it again."""
    try:
        _ = urlsplit(uri).port
    except ValueError:
        return False
    return uri.split() == [uri]


def _completed(response: HttpResponse) -> HttpResponse:
    """Return the client information response with what the toolkit leaves out (RFC 7591 §3.2.1).

    That is when the client's secret expires, which is never, and an address for the client that follows the issuer and
    not the request's ``Host``.
    """
    if response.status_code not in {HTTPStatus.OK, HTTPStatus.CREATED}:
        return response
    document = json.loads(response.content)
    if document["token_endpoint_auth_method"] != "none":  # noqa: S105 - the name of a method
        document["client_secret_expires_at"] = 0
    path = endpoint_path("dcr-register-management", client_id=document["client_id"])
    if local_issuer() and path is not None:
        document["registration_client_uri"] = with_path(local_issuer(), path)
    # It holds the client's secret (RFC 7591 §3.2.1).
    return JsonResponse(document, status=response.status_code, headers={"Cache-Control": "no-store"})
