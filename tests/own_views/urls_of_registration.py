"""A site that has put registration where the toolkit does not find it."""

from django.urls import include, path

from django_at_jwt import urls

urlpatterns = [
    path("o/", include((urls.document_urlpatterns + urls.dcr_urlpatterns, "site"))),
    path("", include("django_at_jwt.well_known_urls")),
]
