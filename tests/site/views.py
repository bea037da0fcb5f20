"""The views of an existing site: some with this app's authentication class, some with django-oauth-toolkit's own."""

from django.conf import settings
from django.http import HttpResponse
from oauth2_provider.contrib.rest_framework import (
    IsAuthenticatedOrTokenHasScope,
    OAuth2Authentication,
    TokenHasScope,
    TokenMatchesOASRequirements,
)
from oauth2_provider.views import ProtectedResourceView
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import BasePermission, IsAdminUser, IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from django_at_jwt.authorization_server.toolkit import ProtectedResourceMetadataMixin
from django_at_jwt.rest_framework import AccessTokenAuthentication, HasScopes


class _Api(APIView):
    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [IsAuthenticated]

    def get(self, request):
        token = request.auth
        return Response(
            {
                "user": str(request.user),
                "scope": token.scope if token else None,
                "client_id": token.client_id if token else None,
            }
        )

    post = get


class WhoAmI(_Api):
    pass


class Reports(_Api):
    authentication_classes = [AccessTokenAuthentication.for_audience(settings.REPORTS)]


class NeedsWrite(_Api):
    permission_classes = [HasScopes]
    required_scopes = ["write"]


class ToolkitNeedsWrite(_Api):
    permission_classes = [TokenHasScope]
    required_scopes = ["write"]


class AuthenticatedOrWrite(_Api):
    authentication_classes = [AccessTokenAuthentication, SessionAuthentication]
    permission_classes = [IsAuthenticatedOrTokenHasScope]
    required_scopes = ["write"]


class Alternatives(_Api):
    permission_classes = [TokenMatchesOASRequirements]
    required_alternate_scopes = {"GET": [["admin"], ["read", "write"]]}


class WriteOrStaff(_Api):
    permission_classes = [TokenHasScope | IsAdminUser]
    required_scopes = ["write"]


class _NobodysObject(BasePermission):
    def has_object_permission(self, request, view, obj):
        return False


class Drafts(_Api):
    permission_classes = [IsAuthenticated, _NobodysObject]

    def get(self, request):
        assert not request.auth.allow_scopes(["drafts"])
        self.check_object_permissions(request, object())


class ToolkitAuthenticated(APIView):
    authentication_classes = [OAuth2Authentication]
    permission_classes = [TokenHasScope]
    required_scopes = ["read"]

    def get(self, request):
        return Response({"user": str(request.user)})


class ToolkitView(ProtectedResourceView):
    def get(self, request):
        return HttpResponse("ok")


class ToolkitChallengeView(ProtectedResourceMetadataMixin, ToolkitView):
    pass
