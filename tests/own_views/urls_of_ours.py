"""The same site with this app's classes, and the device flow, below a prefix and in another namespace."""

from django.urls import include, path, re_path

from django_at_jwt import oauth2_views, urls

from . import views

own = [
    re_path("^authorize$", views.Authorization.as_view(), name="sign-in"),
    path("token", views.Token.as_view()),
    path("me", views.UserInfo.as_view(), name="me"),
    path("revoke", oauth2_views.RevokeTokenView.as_view(), name="revoke"),
]
urlpatterns = [
    path("login/", include((own, "site"))),
    path("things/", include((urls.device_urlpatterns, "things"))),
    path("o/", include((urls.document_urlpatterns, "keys"))),
    path("", include("django_at_jwt.well_known_urls")),
]
