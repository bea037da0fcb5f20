"""URLs of all variants: two token endpoints, and an API for each authentication class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.urls import include, path
from oauth2_provider.contrib.rest_framework import OAuth2Authentication
from oauth2_provider.views import TokenView
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.authentication import JWTAuthentication, JWTStatelessUserAuthentication
from rest_framework_simplejwt.views import TokenObtainPairView

from django_at_jwt.rest_framework import AccessTokenAuthentication

if TYPE_CHECKING:
    from rest_framework.authentication import BaseAuthentication
    from rest_framework.request import Request


class TrivialApi(APIView):
    """Answer whether the request is authenticated."""

    def get(self, request: Request) -> Response:
        """Answer."""
        return Response({"authenticated": request.user.is_authenticated})


class _SimplejwtTokens(TokenObtainPairView):
    """Calls the access token as the others do."""

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Answer a request with a user name and password."""
        response = super().post(request, *args, **kwargs)
        response.data["access_token"] = response.data["access"]
        return response


_APIS: dict[str, type[BaseAuthentication]] = {
    "toolkit": OAuth2Authentication,
    "at-jwt": AccessTokenAuthentication,
    "simplejwt": JWTStatelessUserAuthentication,
    "simplejwt-user": JWTAuthentication,
}
urlpatterns = [
    path("stock/token/", TokenView.as_view()),
    path("simplejwt/", _SimplejwtTokens.as_view()),
    path("o/", include("django_at_jwt.urls")),
    *(path(f"api/{name}/", TrivialApi.as_view(authentication_classes=[each])) for name, each in _APIS.items()),
]
