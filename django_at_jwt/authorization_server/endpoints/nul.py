"""No database takes a NUL character in a text, so no endpoint does."""

from __future__ import annotations

from base64 import b64decode
from functools import wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from .answers import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest


def refusing_nul(view: Callable[..., Any]) -> Callable[..., Any]:
    """Answer a request that has a NUL character in a parameter with 400: PostgreSQL takes no text with one."""

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        # Other kinds of body are left unread for the view, which may want them whole.
        is_form = request.content_type == "application/x-www-form-urlencoded"
        queries = (request.GET, request.POST) if is_form else (request.GET,)
        sent = (value for query in queries for _, values in query.lists() for value in values)
        if any("\x00" in value for value in sent) or "\x00" in _basic_credentials(request):
            return refusal("invalid_request", "A parameter holds a NUL character.", HTTPStatus.BAD_REQUEST)
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
