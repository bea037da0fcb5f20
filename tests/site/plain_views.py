"""One API several times: with Django REST framework, and without it as functions and as classes."""

from django.conf import settings
from django.http import JsonResponse
from django.urls import include, path
from django.views import View
from django.views.decorators.cache import cache_page
from rest_framework.permissions import IsAdminUser
from rest_framework.response import Response
from rest_framework.views import APIView

from django_at_jwt.rest_framework import AccessTokenAuthentication, HasRole, HasScopes, RequiresAuthentication
from django_at_jwt.views import AccessTokenRequiredMixin, access_token_required

from .urls import urlpatterns as without

SCOPES = {"GET": ["read"], "POST": ["read", "write"]}


def _whoami(request, user, token):
    same = request.user == user
    return {"user": str(user), "client": token.client_id, "same": same}


class Framework(APIView):
    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [HasScopes]
    required_scopes = SCOPES

    def get(self, request):
        return Response(_whoami(request, request.user, request.auth))

    post = get


@access_token_required(scopes=SCOPES)
def function(request):
    return JsonResponse(_whoami(request, request.user, request.access_token))


@access_token_required(scopes=SCOPES)
async def coroutine(request):
    return JsonResponse(_whoami(request, await request.auser(), request.access_token))


class Class(AccessTokenRequiredMixin, View):
    required_scopes = SCOPES

    def get(self, request):
        return JsonResponse(_whoami(request, request.user, request.access_token))

    post = get


class AsyncClass(AccessTokenRequiredMixin, View):
    required_scopes = SCOPES

    async def get(self, request):
        return JsonResponse(_whoami(request, await request.auser(), request.access_token))

    async def post(self, request):
        return await self.get(request)


class Unguarded(View):
    async def get(self, request):
        return JsonResponse(_whoami(request, await request.auser(), request.access_token))

    async def post(self, request):
        return await self.get(request)


def ok(request, **kwargs):
    return JsonResponse({"ok": True, **kwargs})


urlpatterns = [
    *without,
    path("", include("django_at_jwt.resource_urls")),
    path("framework/", Framework.as_view()),
    path("function/", function),
    path("coroutine/", coroutine),
    path("class/", Class.as_view()),
    path("async-class/", AsyncClass.as_view()),
    path("decorated-class/", access_token_required(scopes=SCOPES)(Unguarded.as_view())),
    path("reports-function/", access_token_required(scopes=[], audience=settings.REPORTS)(ok)),
    path("editors/<int:number>/", access_token_required(HasRole("editor") | IsAdminUser)(ok)),
    path("editors-who-write/", access_token_required(HasRole("editor"), scopes=["write"])(ok)),
    path("stepped-up/", access_token_required(RequiresAuthentication(max_age=60))(ok)),
    path("cached/", cache_page(60)(access_token_required(scopes=["read"])(function))),
]
