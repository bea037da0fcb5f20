"""What a site does behind a WebSocket or a GraphQL resolver: it verifies a token without a request's address."""

from django.conf import settings
from django.http import JsonResponse
from django.urls import path
from oauth2_provider.settings import oauth2_settings
from oauthlib.common import Request

from django_at_jwt.validators import OAuth2Validator

from .urls import urlpatterns as of_the_site


class ReportsValidator(OAuth2Validator):
    audience = settings.REPORTS


def _uri(request):
    # A client's parameters get there, and nothing else of the address.
    query = request.META["QUERY_STRING"]
    return f"?{query}" if query else ""


def _answer(valid, request):
    if not valid:
        return JsonResponse(getattr(request, "oauth2_error", None) or {}, status=401)
    return JsonResponse({"user": str(request.user), "scopes": request.scopes})


def by_validator(request, *, validator=OAuth2Validator, uri=None):
    token = request.headers["Authorization"].removeprefix("Bearer ")
    asked = Request(_uri(request) if uri is None else uri)
    return _answer(validator().validate_bearer_token(token, ["read"], asked), asked)


def by_server(request, *, validator=OAuth2Validator):
    server = oauth2_settings.OAUTH2_SERVER_CLASS(validator(), **oauth2_settings.server_kwargs)
    headers = {"Authorization": request.headers["Authorization"]}
    return _answer(*server.verify_request(_uri(request), headers=headers, scopes=["read"]))


def by_instance(request):
    validator = OAuth2Validator()
    validator.audience = settings.REPORTS
    return by_validator(request, validator=lambda: validator)


urlpatterns = [
    *of_the_site,
    path("validator/", by_validator),
    path("validator/path/", by_validator, {"uri": "/ws/chat/"}),
    path("validator/socket/", by_validator, {"uri": "wss://reports.example.com/chat/"}),
    path("server/", by_server),
    path("reports/validator/", by_validator, {"validator": ReportsValidator}),
    path("reports/server/", by_server, {"validator": ReportsValidator}),
    path("reports/socket/", by_validator, {"validator": ReportsValidator, "uri": "wss://ws.example.com/chat/"}),
    path("reports/instance/", by_instance),
]
