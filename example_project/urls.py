from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

from . import api, pages, reports

urlpatterns = [
    # Added for django-at-jwt. The first line replaces include("oauth2_provider.urls").
    path("o/", include("django_at_jwt.urls")),
    path("", include("django_at_jwt.well_known_urls")),
    path("", include("django_at_jwt.resource_urls")),
    # The two APIs.
    path("api/notes/", api.Notes.as_view(), name="notes"),
    path("reports/summary/", reports.Summary.as_view(), name="summary"),
    # HTML pages.
    path("", pages.Start.as_view(), name="start"),
    path("try/", pages.TryTheWebClient.as_view(), name="try"),
    path("callback/", pages.Callback.as_view(), name="callback"),
    path("login/", LoginView.as_view(template_name="example_project/login.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
]
