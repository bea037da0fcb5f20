"""The endpoints and the JWK set, but not the document of revocations."""

from django.urls import include, path

from django_at_jwt import urls

urlpatterns = [path("o/", include((urls.base_urlpatterns + urls.oidc_urlpatterns, urls.app_name)))]
