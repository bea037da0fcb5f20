"""A site that has left out the pages for applications and for authorized tokens."""

from django.urls import include, path

from django_at_jwt import urls

urlpatterns = [
    path("o/", include((urls.base_urlpatterns + urls.document_urlpatterns, urls.app_name))),
    path("", include("django_at_jwt.well_known_urls")),
]
