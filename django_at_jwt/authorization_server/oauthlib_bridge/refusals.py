"""Report each refused request for a token, and each client that is not authenticated, once."""

from __future__ import annotations

import json
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.core.grant_types import (
    AUTHORIZATION_CODE,
    CLIENT_CREDENTIALS,
    DEVICE_CODE,
    PASSWORD,
    REFRESH_TOKEN,
)
from django_at_jwt.events import AccessTokenRefused, emit

from .request import DIRECT, IS_DIRECT, is_authorization_request, stored, token_grant

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse
    from django.views.generic import View
    from oauthlib.common import Request

_INVALID_CLIENT: Final = "invalid_client"
_TOKEN: Final = "token"  # noqa: S105 - the name of an endpoint
_GRANTS: Final = frozenset({AUTHORIZATION_CODE, CLIENT_CREDENTIALS, DEVICE_CODE, PASSWORD, REFRESH_TOKEN})

# While the user has not decided yet, a device polls (RFC 8628 section 3.5).
_NOT_DECIDED: Final = frozenset({"authorization_pending", "slow_down"})


@dataclass(slots=True)
class _Request:
    client_id: str | None = None
    # Why the client was not authenticated, for the log, or empty.
    failure: str = ""
    is_reported: bool = False


# oauthlib makes its own request, and returns only the response that the client gets.
_current: Final[ContextVar[_Request | None]] = ContextVar("django_at_jwt_token_request", default=None)


def reporting_refusals(endpoint: str) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """Decorate a method of a view that answers requests, to report error responses that were not reported yet.

    Args:
        endpoint: the endpoint. Except for ``token``, only failures to authenticate the client are reported.
    """

    def decorate(answer: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(answer)
        def wrapper(view: View, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            current = _Request()
            token = _current.set(current)
            try:
                response = answer(view, request, *args, **kwargs)
            finally:
                _current.reset(token)
            if response.status_code >= HTTPStatus.BAD_REQUEST and not current.is_reported:
                _report_response(response, request, current, endpoint)
            return response

        return wrapper

    return decorate


def _report_response(response: HttpResponse, request: HttpRequest, current: _Request, endpoint: str) -> None:
    error, description = _error_in(response)
    if error == _INVALID_CLIENT or (endpoint == _TOKEN and error not in _NOT_DECIDED):
        emit(
            AccessTokenRefused(
                endpoint=endpoint,
                grant=_known(request.POST.get("grant_type")) if endpoint == _TOKEN else None,
                client_id=current.client_id,
                error=error,
                reason=current.failure if error == _INVALID_CLIENT and current.failure else description,
            )
        )


def note_client(request: Request, *, is_authenticated: bool) -> None:
    """Remember the client of the current request, or that no stored client is named, unless a secret was compared."""
    current = _current.get()
    if current is None:
        return
    if is_authenticated:
        current.client_id, current.failure = request.client.client_id, ""
    else:
        current.failure = current.failure or "unknown client"


def note_failed_secret(client: Any, reason: str) -> None:
    """Remember why the secret of the current request is not that of a stored client."""
    current = _current.get()
    if current is not None and client is not None:
        current.client_id, current.failure = client.client_id, reason


def report_refusal(error: str, reason: str, request: Request) -> None:
    """Report that a request for a token is refused.

    Args:
        error: the error code for the client.
        reason: the reason for the log, which may differ from what the client is told.
    """
    current, client = _current.get(), stored(request, "client")
    is_direct = stored(request, IS_DIRECT) is True
    if current is not None and not is_direct:
        current.is_reported = True
    endpoint = "authorization" if is_authorization_request(request) else _TOKEN
    emit(
        AccessTokenRefused(
            endpoint=DIRECT if is_direct else endpoint,
            grant=DIRECT if is_direct else _known(token_grant(request)),
            client_id=None if client is None else client.client_id,
            error=error,
            reason=reason,
        )
    )


def _known(grant: str | None) -> str | None:
    return grant if not grant or grant in _GRANTS else "other"


def _error_in(response: HttpResponse) -> tuple[str, str]:
    """Return the error code and the description of a response, which a site's own view may have made."""
    try:
        document = json.loads(response.content)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return f"status {response.status_code}", "the response is not an OAuth error"
    return str(document.get("error")), str(document.get("error_description") or "no description")
