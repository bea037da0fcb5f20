"""A django-ninja API, with synchronous and asynchronous operations."""

from django.urls import path
from ninja import NinjaAPI
from ninja.errors import AuthenticationError
from ninja.security import APIKeyHeader

from django_at_jwt.ninja import AccessTokenBearer, AsyncAccessTokenBearer, add_challenges
from django_at_jwt.rest_framework import IsMachine, RequiresAuthentication
from tests.site.plain_views import urlpatterns

SCOPES = {"GET": ["read"], "POST": ["read", "write"]}

api = NinjaAPI()
add_challenges(api)


class Key(APIKeyHeader):
    param_name = "X-Key"

    def authenticate(self, request, key):
        return key == "a key"


def whoami(request):
    same = request.auth.client_id == request.access_token.client_id
    return {"user": str(request.user), "client": request.auth.client_id, "same": same}


@api.api_operation(["GET", "POST"], "/sync", auth=AccessTokenBearer(SCOPES))
def sync_operation(request):
    return whoami(request)


@api.api_operation(["GET", "POST"], "/async", auth=AsyncAccessTokenBearer(SCOPES))
async def async_operation(request):
    return whoami(request)


@api.get("/machine", auth=AccessTokenBearer(["read"], permission=IsMachine))
def machine(request):
    return whoami(request)


@api.get("/either", auth=[AccessTokenBearer(["read"]), Key()])
def either(request):
    if "refuse" in request.GET:
        raise AuthenticationError(message="Not like this")
    return {"key": request.auth is True}


STRONG = IsMachine | RequiresAuthentication(acr_values=["urn:example:mfa"], max_age=300)


@api.get("/strong", auth=AccessTokenBearer(["read"], permission=STRONG))
def strong(request):
    return whoami(request)


@api.get("/recent", auth=AsyncAccessTokenBearer(["read"], permission=RequiresAuthentication(max_age=60)))
async def recent(request):
    return whoami(request)


urlpatterns = [path("ninja/", api.urls), *urlpatterns]
