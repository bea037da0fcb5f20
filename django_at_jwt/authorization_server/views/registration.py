"""Dynamic client registration (RFC 7591, RFC 7592), with strict validation of the client's document."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.http import HttpResponse, JsonResponse
from oauth2_provider import views as toolkit_views
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.authorization_server.endpoint_urls import endpoint_path
from django_at_jwt.authorization_server.oauthlib_bridge import allows_front_channel_tokens
from django_at_jwt.authorization_server.redirect_uris import has_user_information
from django_at_jwt.conf import local_issuer
from django_at_jwt.core.errors import RejectionReason, TokenRejected
from django_at_jwt.core.jose.jws import decode_object
from django_at_jwt.core.metadata import with_path

from .base import refusal
from .endpoint import EndpointMixin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest


class RegistrationView(EndpointMixin, toolkit_views.DynamicClientRegistrationView):
    """DOT's client registration endpoint; rejects documents that DOT cannot parse or store."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Register a client (RFC 7591 §3.1)."""
        return _refused(request.body) or _completed(super().post(request, *args, **kwargs))


class RegistrationManagementView(EndpointMixin, toolkit_views.DynamicClientRegistrationManagementView):
    """DOT's client configuration endpoint; rejects documents that DOT cannot parse or store."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Return the registration of a client (RFC 7592 §2.1)."""
        return _completed(super().get(request, *args, **kwargs))

    def put(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Replace the registration of a client (RFC 7592 §2.2)."""
        return _refused(request.body) or _completed(super().put(request, *args, **kwargs))


def _refused(body: bytes) -> HttpResponse | None:
    """Return an error response to a document that would crash DOT's view, else ``None``."""
    try:
        document = decode_object(body, RejectionReason.BAD_CLAIMS)
    except TokenRejected:
        document = None
    # PostgreSQL cannot store NUL characters; in JSON, this is their only notation.
    if document is None or b"\\u0000" in body:
        text = "The body must be a JSON object in UTF-8 without duplicate members or NUL characters."
        return refusal("invalid_client_metadata", text, HTTPStatus.BAD_REQUEST)
    if not isinstance(document.get("client_name", ""), str):
        return refusal("invalid_client_metadata", "client_name must be a string.", HTTPStatus.BAD_REQUEST)
    problem = _problem_with_grants(document)
    if problem is not None:
        return refusal("invalid_client_metadata", problem, HTTPStatus.BAD_REQUEST)
    uris = document.get("redirect_uris")
    if isinstance(uris, list) and not all(_is_parseable(uri) for uri in uris if isinstance(uri, str)):
        text = "Each of redirect_uris must be a URI without white space, with a valid port if any."
        return refusal("invalid_redirect_uri", text, HTTPStatus.BAD_REQUEST)
    if isinstance(uris, list) and any(has_user_information(uri) for uri in uris if isinstance(uri, str)):
        text = "None of redirect_uris may have a user name or password before its host."
        return refusal("invalid_redirect_uri", text, HTTPStatus.BAD_REQUEST)
    return None


def _problem_with_grants(document: Mapping[str, Any]) -> str | None:
    """Return a sentence if a client asks for a grant that it could not use, else ``None``; DOT reports the rest."""
    grants = document.get("grant_types")
    if not isinstance(grants, list):
        return None
    if document.get("token_endpoint_auth_method") == "none" and "client_credentials" in grants:
        return "A client without a secret cannot use client_credentials."
    if "implicit" in grants and not allows_front_channel_tokens():
        return "The implicit grant is disabled."
    if "password" in grants and oauth2_settings.COMPLIANT_BCP_RFC9700_PASSWORD_GRANT:
        return "The password grant is disabled."
    return None


def _is_parseable(uri: str) -> bool:
    """Return whether DOT can store a URI in its space-separated list, and parse it again."""
    try:
        _ = urlsplit(uri).port
    except ValueError:
        return False
    return uri.split() == [uri]


def _completed(response: HttpResponse) -> HttpResponse:
    """Return the client information response with the members that DOT omits (RFC 7591 §3.2.1).

    ``client_secret_expires_at`` is 0: never. ``registration_client_uri`` is derived from the issuer, not from the
    request's ``Host``.
    """
    if response.status_code not in {HTTPStatus.OK, HTTPStatus.CREATED}:
        return response
    document = json.loads(response.content)
    if document["token_endpoint_auth_method"] != "none":  # noqa: S105 - the name of a method
        document["client_secret_expires_at"] = 0
    path = endpoint_path("dcr-register-management", client_id=document["client_id"])
    if local_issuer() and path is not None:
        document["registration_client_uri"] = with_path(local_issuer(), path)
    # The response has the client's secret (RFC 7591 §3.2.1).
    return JsonResponse(document, status=response.status_code, headers={"Cache-Control": "no-store"})
