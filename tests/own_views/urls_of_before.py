"""A site with its own subclasses of the toolkit's views, at its own paths and without a namespace."""

from django.urls import include, path

from django_at_jwt import urls

from . import views

urlpatterns = [
    path("login/authorize", views.SiteAuthorization.as_view(), name="sign-in"),
    path("login/token", views.SiteToken.as_view()),
    path("login/me", views.SiteUserInfo.as_view()),
    path("o/", include((urls.document_urlpatterns, "keys"))),
    path("", include("django_at_jwt.well_known_urls")),
]
