"""Pushed authorization requests (RFC 9126), which django-oauth-toolkit supports after version 3.4."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.http import QueryDict

from django_at_jwt.authorization_server import toolkit
from django_at_jwt.authorization_server.oauthlib_bridge.refusals import reporting_refusals
from django_at_jwt.models.primary import primary_rows

from .endpoint import EndpointMixin, OwnCoreMixin
from .error_handling import refusal

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest


class PushedAuthorizationRequestView(EndpointMixin, OwnCoreMixin, toolkit.PushedAuthorizationRequestView):
    """DOT's endpoint for pushed authorization requests.

    The validator checks the resources, so an unknown one is refused here. With DOT 3.4, which has no such endpoint, the
    view answers 405.
    """

    @reporting_refusals("pushed_request")
    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Store an authorization request (RFC 9126 section 2); refuse parameters in the query, which is logged."""
        if request.GET:
            return refusal("invalid_request", "Send all parameters in the form.", HTTPStatus.BAD_REQUEST)
        return super().post(request, *args, **kwargs)


def pushed_parameters(request: HttpRequest) -> QueryDict | None:
    """Return the parameters that a client has pushed for this authorization request, without deleting them.

    DOT replaces the parameters of the request by these, and deletes them, when it validates the request. A user who has
    to log in first comes back with the same ``request_uri``.

    Returns:
        ``None`` if the request has no ``request_uri``, or one that is unknown, expired or another client's.
    """
    if "request_uri" not in request.GET or toolkit.get_par_request_model is None:
        return None
    row = _rows(request).first()
    # Some databases compare without regard to case.
    if row is None or row.client_id != request.GET.get("client_id") or row.is_expired():
        return None
    return QueryDict(urlencode(row.parameters, doseq=True), mutable=True)


def use_up(request: HttpRequest) -> None:
    """Delete the pushed request that an authorization request refers to; each is used once (RFC 9126 section 7.3)."""
    _rows(request).delete()


def _rows(request: HttpRequest) -> QuerySet[Any]:
    return primary_rows(toolkit.get_par_request_model()).filter(request_uri=request.GET.get("request_uri", ""))
