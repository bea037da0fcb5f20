"""The site after this app was taken out: django-oauth-toolkit's own endpoints and views."""

from django.urls import include, path

from . import views

urlpatterns = [
    path("o/", include("oauth2_provider.urls")),
    path("toolkit-view/", views.ToolkitView.as_view()),
]
