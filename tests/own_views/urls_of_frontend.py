"""A site whose frontend draws the consent page."""

from django.urls import include, path

from django_at_jwt import urls as at_jwt

from .views import AuthorizationApi

endpoints = [
    path("authorize/", AuthorizationApi.as_view(), name="authorize"),
    *at_jwt.base_urlpatterns,
    *at_jwt.document_urlpatterns,
]
urlpatterns = [
    path("o/", include((endpoints, at_jwt.app_name))),
    path("", include("django_at_jwt.well_known_urls")),
]
