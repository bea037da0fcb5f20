"""Reject requests that oauthlib, DOT or the database cannot process."""

from __future__ import annotations

from base64 import b64decode
from contextlib import suppress
from functools import wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import QueryDict, RawPostDataException
from django.http.multipartparser import MultiPartParserError

from django_at_jwt.core.quotation import is_storable

from .error_handling import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

_FORMS: Final = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


def refusing_unreadable(view: Callable[..., Any]) -> Callable[..., Any]:
    """Answer 400 to a request with unreadable parameters or non-ASCII client credentials.

    Databases cannot store NUL characters or lone surrogates, which some character sets can encode. DOT raises an
    exception for base64 that is not ASCII.
    """

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        credentials = _basic_credentials(request)
        if not credentials.isascii():
            return refusal("invalid_request", "The Authorization header must be ASCII.", HTTPStatus.BAD_REQUEST)
        try:
            queries = [_form(request)]
            if request.META.get("QUERY_STRING"):
                queries.append(request.GET)
        except (BadRequest, LookupError, MultiPartParserError, SuspiciousOperation, UnicodeError):
            # Wrong character set, missing multipart boundary, or too many fields.
            return refusal("invalid_request", "The form cannot be read.", HTTPStatus.BAD_REQUEST)
        sent = (text for query in queries for name, values in query.lists() for text in (name, *values))
        if not is_storable("".join((*sent, _decoded(credentials)))):
            text = "A parameter contains a NUL character or a lone surrogate."
            return refusal("invalid_request", text, HTTPStatus.BAD_REQUEST)
        return view(request, *args, **kwargs)

    return wrapper


def _form(request: HttpRequest) -> QueryDict:
    if request.content_type not in _FORMS:
        return QueryDict()
    # Read the body first: then both request.body and request.POST remain usable. If a middleware has read a multipart
    # form, as Django's protection against CSRF does, only the form is left.
    with suppress(RawPostDataException):
        _ = request.body
    return request.POST


def _basic_credentials(request: HttpRequest) -> str:
    scheme, _, credentials = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return credentials if scheme.lower() == "basic" else ""


def _decoded(credentials: str) -> str:
    if not credentials:
        return ""
    try:
        return unquote_plus(b64decode(credentials).decode("latin-1"))
    except ValueError:
        return ""
