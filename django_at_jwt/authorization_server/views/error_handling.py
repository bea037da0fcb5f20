"""Error responses of all endpoints: 503 during a database outage, and no secrets in error reports."""

from __future__ import annotations

from functools import lru_cache, wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode

from django.db import connections, router, transaction
from django.http import JsonResponse
from django.utils.encoding import escape_uri_path
from django.views.debug import SafeExceptionReporterFilter, get_exception_reporter_filter

from django_at_jwt.core.errors import NoSigningKey, RevocationUnavailable
from django_at_jwt.core.quotation import single_line
from django_at_jwt.events import EndpointUnavailable, emit
from django_at_jwt.inbound.outages import is_outage
from django_at_jwt.inbound.transactions import outside_transactions
from django_at_jwt.models import DenyListEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from django.http import HttpRequest

RETRY_AFTER: Final = 10
"""Seconds: the ``Retry-After`` of a 503 response."""

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
"""The parameters that error reports mask."""

_SUBSTITUTE: Final = SafeExceptionReporterFilter.cleansed_substitute
_GUARDED: Final = "_at_jwt_guarded"


def refusal(code: str, description: str, status: int) -> JsonResponse:
    """Return an error response as JSON (RFC 6749 section 5.2)."""
    response = JsonResponse({"error": code, "error_description": description}, status=status)
    response["Cache-Control"] = "no-store"
    return response


def guarded(view: Callable[..., Any]) -> Callable[..., Any]:
    """Answer 503 as JSON with ``Retry-After`` during a database outage, and keep secrets out of error reports.

    Other errors propagate. With ``ATOMIC_REQUESTS``, the transaction begins and ends in here, so that errors at its
    start or commit are answered too, after the rollback.
    """

    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if hasattr(request, _GUARDED):
            return view(request, *args, **kwargs)
        setattr(request, _GUARDED, True)
        # Django's hook for error reports. Everything else is left to the site's filter.
        kind: Any = type(get_exception_reporter_filter(request))
        request.exception_reporter_filter = _hiding_filter(kind)()
        try:
            response = _in_transactions(view)(request, *args, **kwargs)
        except Exception as error:
            if not (isinstance(error, NoSigningKey | RevocationUnavailable) or is_outage(error)):
                _mask_addresses(request)
                raise
            # Encoded: a path may contain line breaks, which would look like other records of the log.
            path = escape_uri_path(request.path)
            emit(EndpointUnavailable(method=str(request.method), path=path, detail=single_line(error)))
            text = "The authorization server cannot answer this request now. Try again later."
            response = refusal("temporarily_unavailable", text, HTTPStatus.SERVICE_UNAVAILABLE)
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            # Django logs it, which may mail a report.
            _mask_addresses(request)
        if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
            response.headers.setdefault("Retry-After", str(RETRY_AFTER))
        return response

    return outside_transactions(wrapper)


def _in_transactions(view: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the view as Django would: in a transaction for each database with ``ATOMIC_REQUESTS``.

    That of the deny list is the innermost, so that it is committed first: see ``one_transaction()``.
    """
    outside: Collection[str] = getattr(view, "_non_atomic_requests", ())
    denying = router.db_for_write(DenyListEntry)
    for alias in sorted(connections.settings, key=lambda alias: alias != denying):
        if connections.settings[alias]["ATOMIC_REQUESTS"] and alias not in outside:
            view = transaction.atomic(using=alias)(view)
    return view


def _mask_addresses(request: HttpRequest) -> None:
    # Django's report shows the query unfiltered, so mask it on the request itself. Servers and proxies repeat it, for
    # instance in RAW_URI, REQUEST_URI and X-Original-URI.
    request.META["QUERY_STRING"] = _masked_query(request.META.get("QUERY_STRING", ""))
    for name, value in request.META.items():
        if isinstance(value, str) and "?" in value:
            address, _, query = value.partition("?")
            request.META[name] = f"{address}?{_masked_query(query)}"
    request.GET = _masked(request.GET, _SUBSTITUTE)


def _masked_query(query: str) -> str:
    fields = dict(parse_qsl(query, keep_blank_values=True))
    return query if SECRET_PARAMETERS.isdisjoint(fields) else urlencode(_masked(fields, _SUBSTITUTE))


@lru_cache
def _hiding_filter(kind: type[SafeExceptionReporterFilter]) -> type[SafeExceptionReporterFilter]:
    # sensitive_variables() is not enough: in Python 3.11 a generator's frame has no caller, so Django does not find the
    # decorator from a frame in which a query set is evaluated. Django's authenticate() hides less than this.
    class HidingFilter(kind):  # type: ignore[misc, valid-type]
        """The site's filter, which also masks secret parameters and all local variables."""

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
