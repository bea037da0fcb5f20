"""Dynamic client registration, where no document of a client's is a crash (RFC 7591, RFC 7592)."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from oauth2_provider import views as toolkit_views

from django_at_jwt.core.errors import RejectionReason, TokenRejected
from django_at_jwt.core.jws import decode_object

from .answers import refusal

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


class RegistrationView(toolkit_views.DynamicClientRegistrationView):
    """The toolkit's endpoint where clients register, for documents that can be read and stored."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Register a client (RFC 7591 §3.1)."""
        if not _is_acceptable(request.body):
            return _refusal()
        response: HttpResponse = super().post(request, *args, **kwargs)
        return response


class RegistrationManagementView(toolkit_views.DynamicClientRegistrationManagementView):
    """The toolkit's endpoint where clients change what they registered, for documents that can be read and stored."""

    def put(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Change what a client registered (RFC 7592 §2.2)."""
        if not _is_acceptable(request.body):
            return _refusal()
        response: HttpResponse = super().put(request, *args, **kwargs)
        return response


def _is_acceptable(body: bytes) -> bool:
    try:
        decode_object(body, RejectionReason.BAD_CLAIMS)
    except TokenRejected:
        return False
    # PostgreSQL takes no text with a NUL character, and JSON can write it in this way alone.
    return b"\\u0000" not in body


def _refusal() -> HttpResponse:
    text = "The body must be a JSON object in UTF-8 with each member once, and no NUL character."
    return refusal("invalid_client_metadata", text, HTTPStatus.BAD_REQUEST)
