"""What holds for every endpoint: 503 while the database cannot be used, and no secret in an error report."""

from __future__ import annotations

import logging
from functools import lru_cache, wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from django.db import connections, transaction
from django.views.debug import SafeExceptionReporterFilter, get_exception_reporter_filter

from django_at_jwt.core.errors import KeysUnavailable
from django_at_jwt.core.quotation import single_line

from .base import refusal
from .outages import is_outage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from django.http import HttpRequest, HttpResponse

logger = logging.getLogger("django_at_jwt")

RETRY_AFTER: Final = 10
"""Seconds after which a client that was answered with 503 is told to try again."""

SECRET_PARAMETERS: Final = frozenset(
    {
        "access_token",
        "actor_token",
        "assertion",
        "client_assertion",
        "client_secret",
        "code",
        "code_verifier",
        "device_code",
        "id_token_hint",
        "password",
        "refresh_token",
        "subject_token",
        "token",
        "user_code",
    }
)
"""The parameters that no error report shows."""


def guarded(view: Callable[..., Any]) -> Callable[..., Any]:
    """Answer 503 as JSON with ``Retry-After`` while the database cannot be used, and keep secrets out of error reports.

    Any other error stays what it is. Where the site sets ``ATOMIC_REQUESTS``, the transaction begins and ends in here,
    so that an error in beginning or committing it is answered too, and all is rolled back before the answer.
    """

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if hasattr(request, _GUARDED):
            return view(request, *args, **kwargs)
        setattr(request, _GUARDED, True)
        _hide_secrets(request)
        try:
            response = _in_transactions(view)(request, *args, **kwargs)
        except Exception as error:
            if not (isinstance(error, KeysUnavailable) or is_outage(error)):
                _mask_query(request)
                raise
            logger.error("%s %s was answered with 503: %s", request.method, request.path, single_line(error))  # noqa: TRY400 - the text says all
            response = _unavailable()
        if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            response.headers.setdefault("Retry-After", str(RETRY_AFTER))
        return response

    wrapper._non_atomic_requests = set(connections)  # type: ignore[attr-defined]
    return wrapper


def _unavailable() -> HttpResponse:
    return refusal(
        "temporarily_unavailable",
        "The authorization server cannot answer this request now. Try again later.",
        HTTPStatus.SERVICE_UNAVAILABLE,
    )


_GUARDED: Final = "_at_jwt_guarded"


def _in_transactions(view: Callable[..., Any]) -> Callable[..., Any]:
    """Return the view as Django would call it: in a transaction for each database with ``ATOMIC_REQUESTS``."""
    outside: Collection[str] = getattr(view, "_non_atomic_requests", ())
    for alias, database in connections.settings.items():
        if database["ATOMIC_REQUESTS"] and alias not in outside:
            view = transaction.atomic(using=alias)(view)
    return view


def _hide_secrets(request: HttpRequest) -> None:
    # Django's own switch for error reports. The site's filter stays in charge of all else.
    kind: Any = type(get_exception_reporter_filter(request))
    request.exception_reporter_filter = _hiding_filter(kind)()


def _mask_query(request: HttpRequest) -> None:
    # No filter is asked about the address, so that the report gets another one.
    if SECRET_PARAMETERS.isdisjoint(request.GET):
        return
    request.GET = _masked(request.GET, SafeExceptionReporterFilter.cleansed_substitute)
    request.META["QUERY_STRING"] = request.GET.urlencode()


@lru_cache
def _hiding_filter(kind: type[SafeExceptionReporterFilter]) -> type[SafeExceptionReporterFilter]:
    # sensitive_variables() would not do: Python 3.11 forgets who called a generator, so that Django does not find the
    # decorator from a frame that a query set was evaluated in, and Django's authenticate() has a narrower one.
    class HidingFilter(kind):  # type: ignore[misc, valid-type]
        """The site's filter, which shows neither a secret parameter nor a local variable."""

        def get_post_parameters(self, request: HttpRequest | None) -> Any:
            parameters = super().get_post_parameters(request)
            return _masked(parameters, self.cleansed_substitute) if self.is_active(request) else parameters

        def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: Any) -> Any:
            variables = super().get_traceback_frame_variables(request, tb_frame)
            if not self.is_active(request):
                return variables
            return [(name, self.cleansed_substitute) for name, _ in variables]

    return HidingFilter


def _masked(parameters: Any, substitute: str) -> Any:
    secret = SECRET_PARAMETERS.intersection(parameters)
    if not secret:
        return parameters
    shown = parameters.copy()
    for name in secret:
        shown[name] = substitute
    return shown
