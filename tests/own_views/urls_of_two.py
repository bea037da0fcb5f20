"""A site with a stock subclass before all of this app's URLs, at another path."""

from django.urls import include, path

from . import views

urlpatterns = [
    path("login/authorize", views.SiteAuthorization.as_view(), name="sign-in"),
    path("login/token", views.Token.as_view()),
    path("o/", include("django_at_jwt.urls")),
    path("", include("django_at_jwt.well_known_urls")),
]
