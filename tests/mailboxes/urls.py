from django.http import JsonResponse
from django.urls import path

from django_at_jwt.views import access_token_required
from tests.site.urls import urlpatterns as of_the_site


@access_token_required(scopes=["read"])
def plain(request):
    return JsonResponse({"user": str(request.user)})


urlpatterns = [*of_the_site, path("plain/", plain)]
