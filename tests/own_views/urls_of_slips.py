"""A name that says nothing, a function and a class without DOT's view as base, and views that earlier ones shadow."""

from django.urls import include, path

from . import views

urlpatterns = [
    path("named/", views.NamedLikeOurs.as_view()),
    path("o/authorize/", views.authorization_function),
    path("o/introspect/", views.function_that_answers),
    path("o/token/", include(([path("", views.token_function, name="token")], "oauth2_provider"))),
    path("api/token/", include(([path("", views.TokenApi.as_view(), name="token")], "oauth2_provider"))),
    path("o/", include("django_at_jwt.urls")),
    path("o/token/", views.SiteToken.as_view()),
    path("", include("django_at_jwt.well_known_urls")),
]
