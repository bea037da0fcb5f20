from django.urls import include, path

from .urls import urlpatterns as without

urlpatterns = [*without, path("", include("django_at_jwt.resource_urls"))]
