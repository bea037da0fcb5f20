"""Cross-origin requests from scripts in browsers (the CORS protocol of the Fetch standard)."""

from __future__ import annotations

from functools import wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django.http import HttpResponse
from django.utils.cache import patch_vary_headers

from django_at_jwt.conf import app_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from django.http import HttpRequest

_ALLOW_ORIGIN: Final = "Access-Control-Allow-Origin"
# Scripts see no other headers than the usual ones. The challenge, and when to try again.
_EXPOSED: Final = "WWW-Authenticate, Retry-After"
# MCP clients send the version of the protocol.
_REQUEST_HEADERS: Final = "Authorization, Content-Type, MCP-Protocol-Version"
_ANY_REQUEST_HEADERS: Final = f"*, {_REQUEST_HEADERS}"
# Browsers ask again after this many seconds; some of them do so earlier.
_MAX_AGE: Final = "3600"


class CrossOriginMixin:
    """Lets scripts of the origins in ``AT_JWT["CORS_ALLOWED_ORIGINS"]`` use an endpoint, without the user's cookies.

    Put it first: it also adds the headers to errors.
    """

    cors_methods: ClassVar[Collection[str]] = ("POST",)
    cors_request_headers: ClassVar[str] = _REQUEST_HEADERS

    @classmethod
    def cors_origins(cls) -> Collection[str]:
        """Return the allowed origins, or ``"*"``."""
        return app_settings().cors_allowed_origins

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., Any]:
        """Return the view, which also answers preflight requests."""
        return _cross_origin(super().as_view(**initkwargs), cls)  # type: ignore[misc]


class AnyOriginMixin(CrossOriginMixin):
    """Lets scripts of any origin read a public document, whatever the settings say."""

    cors_methods = ("GET", "HEAD")
    cors_request_headers = _ANY_REQUEST_HEADERS

    @classmethod
    def cors_origins(cls) -> Collection[str]:
        """Return ``"*"``."""
        return "*"


def _cross_origin(view: Callable[..., Any], endpoint: type[CrossOriginMixin]) -> Callable[..., Any]:
    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        origins = endpoint.cors_origins()
        if not origins:
            return view(request, *args, **kwargs)
        allowed = _allowed_origin(request, origins)
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response = _preflight(endpoint) if allowed else HttpResponse(status=HTTPStatus.NO_CONTENT)
        else:
            response = view(request, *args, **kwargs)
        # The token endpoint may have set it for an origin of the client itself.
        if allowed and _ALLOW_ORIGIN not in response:
            response[_ALLOW_ORIGIN] = allowed
        if _ALLOW_ORIGIN in response:
            response["Access-Control-Expose-Headers"] = _EXPOSED
        if origins != "*":
            patch_vary_headers(response, ["Origin"])
        return response

    return wrapper


def _allowed_origin(request: HttpRequest, origins: Collection[str]) -> str:
    """Return the origin that may read the response, ``*`` for any, or an empty string."""
    if origins == "*":
        # Also without an Origin header, since caches keep one response for all.
        return "*"
    origin = request.headers.get("Origin", "")
    return origin if origin in origins else ""


def _preflight(endpoint: type[CrossOriginMixin]) -> HttpResponse:
    return HttpResponse(
        status=HTTPStatus.NO_CONTENT,
        headers={
            "Access-Control-Allow-Methods": ", ".join(endpoint.cors_methods),
            "Access-Control-Allow-Headers": endpoint.cors_request_headers,
            "Access-Control-Max-Age": _MAX_AGE,
        },
    )
