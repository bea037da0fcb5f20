"""A Django project without a database: an API of each kind, for clients with the scope ``api:read``."""

import graphene
import strawberry
from adrf.views import APIView as AsyncAPIView
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.routing import ProtocolTypeRouter
from django.core.asgi import get_asgi_application
from django.http import JsonResponse
from django.urls import include, path
from django.views import View
from graphene_django.views import GraphQLView
from ninja import NinjaAPI
from rest_framework.response import Response
from rest_framework.views import APIView
from strawberry.django.views import AsyncGraphQLView

from django_at_jwt.channels import AccessTokenMiddleware
from django_at_jwt.ninja import AccessTokenBearer, AsyncAccessTokenBearer, add_challenges
from django_at_jwt.rest_framework import AccessTokenAuthentication, HasScopes, HasToolScopes
from django_at_jwt.views import AccessTokenRequiredMixin, access_token_required

SCOPES = ["api:read"]


class RestFramework(APIView):
    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [HasScopes(*SCOPES)]

    def get(self, request):
        return Response({"client": request.auth.client_id})


class AsyncRestFramework(AsyncAPIView):
    authentication_classes = [AccessTokenAuthentication]
    permission_classes = [HasScopes(*SCOPES)]

    async def get(self, request):
        return Response({"client": request.auth.client_id})


@access_token_required(scopes=SCOPES)
def plain(request):
    return JsonResponse({"client": request.access_token.client_id})


@access_token_required(scopes=SCOPES)
async def plain_async(request):
    return JsonResponse({"client": request.access_token.client_id})


class Mixin(AccessTokenRequiredMixin, View):
    required_scopes = SCOPES

    def get(self, request):
        return JsonResponse({"client": request.access_token.client_id})


@access_token_required(scopes=SCOPES, revocation="offline")
def offline(request):
    return JsonResponse({"client": request.access_token.client_id})


@access_token_required(HasToolScopes({"client": SCOPES}), scopes=[])
def tools(request):
    return JsonResponse({"client": request.access_token.client_id})


ninja = NinjaAPI()
add_challenges(ninja)


@ninja.get("sync", auth=AccessTokenBearer(SCOPES))
def ninja_sync(request):
    return {"client": request.auth.client_id}


@ninja.get("async", auth=AsyncAccessTokenBearer(SCOPES))
async def ninja_async(request):
    return {"client": request.auth.client_id}


@strawberry.type
class StrawberryQuery:
    @strawberry.field
    async def client(self, info: strawberry.Info) -> str:
        return info.context.request.access_token.client_id


class GrapheneQuery(graphene.ObjectType):
    client = graphene.String()

    def resolve_client(self, info):
        return info.context.access_token.client_id


strawberry_view = AsyncGraphQLView.as_view(schema=strawberry.Schema(StrawberryQuery))
graphene_view = GraphQLView.as_view(schema=graphene.Schema(query=GrapheneQuery))
urlpatterns = [
    path("", include("django_at_jwt.resource_urls")),
    path("rest-framework", RestFramework.as_view()),
    path("adrf", AsyncRestFramework.as_view()),
    path("plain", plain),
    path("plain-async", plain_async),
    path("mixin", Mixin.as_view()),
    path("offline", offline),
    path("tools", tools),
    path("ninja/", ninja.urls),
    path("strawberry", access_token_required(scopes=SCOPES)(strawberry_view)),
    path("graphene", access_token_required(scopes=SCOPES)(graphene_view)),
]


class Socket(AsyncJsonWebsocketConsumer):
    async def connect(self):
        await self.accept()
        await self.send_json({"client": self.scope["access_token"].client_id})


APPLICATIONS = {
    "project": ProtocolTypeRouter(
        {"http": get_asgi_application(), "websocket": AccessTokenMiddleware(Socket.as_asgi(), SCOPES)}
    )
}
