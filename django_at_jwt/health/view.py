"""The view that a load balancer asks whether this process can serve requests."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_not_required
from django.db import Error as AnyDatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.generic import View

from django_at_jwt.core.health import HealthStatus
from django_at_jwt.inbound.transactions import outside_transactions

from .report import health_report

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpResponseBase


@method_decorator([login_not_required, require_safe, never_cache], name="dispatch")
class HealthView(View):
    """Answer 200 if this process can issue and accept tokens, and 503 if not.

    The body is ``{"status": "ok"}`` or ``{"status": "unavailable"}``. Those who may see details get the whole report of
    ``signing_key_status --json`` for this process, which also has warnings. It contains no secret.

    A request without a session usually makes no query.
    """

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        """Return the view. It never runs in a transaction of the request, which a failed read would break."""
        return outside_transactions(super().as_view(**initkwargs))

    def may_see_details(self, request: HttpRequest) -> bool:
        """Return whether the request gets the whole report: by default, if the user may view signing keys."""
        user = getattr(request, "user", None)
        try:
            return user is not None and user.has_perm("django_at_jwt.view_signingkey")
        except AnyDatabaseError:
            # The session cannot be read. The status is still of use.
            return False

    def get(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponse:
        """Answer with the status."""
        health = health_report()
        fails = health.status in {HealthStatus.CRITICAL, HealthStatus.UNKNOWN}
        body = health.as_json() if self.may_see_details(request) else {"status": "unavailable" if fails else "ok"}
        return JsonResponse(body, status=HTTPStatus.SERVICE_UNAVAILABLE if fails else HTTPStatus.OK)
