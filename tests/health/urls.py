from django.urls import include, path

from django_at_jwt.health_urls import HealthView
from tests.site.urls import urlpatterns as site_urlpatterns


class WithSecret(HealthView):
    def may_see_details(self, request):
        return request.headers.get("X-Monitor") == "a secret"


urlpatterns = [
    *site_urlpatterns,
    path("health/", include("django_at_jwt.health_urls")),
    path("health-by-header/", WithSecret.as_view()),
]
