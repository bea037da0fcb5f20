"""A userinfo endpoint of the site in place of this app's."""

from django.urls import include, path

from . import views

urlpatterns = [
    path("own/userinfo/", include(([path("", views.UserInfoApi.as_view(), name="user-info")], "oauth2_provider"))),
    path("o/", include("django_at_jwt.urls")),
]
