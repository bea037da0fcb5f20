from django.contrib import admin
from django.urls import include, path

from . import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("o/", include("django_at_jwt.urls")),
    path("", include("django_at_jwt.well_known_urls")),
    path("", include("django_at_jwt.metrics_urls")),
    path("whoami/", views.WhoAmI.as_view()),
    path("reports/", views.Reports.as_view()),
    path("needs-write/", views.NeedsWrite.as_view()),
    path("toolkit-needs-write/", views.ToolkitNeedsWrite.as_view()),
    path("authenticated-or-write/", views.AuthenticatedOrWrite.as_view()),
    path("alternatives/", views.Alternatives.as_view()),
    path("write-or-staff/", views.WriteOrStaff.as_view()),
    path("drafts/", views.Drafts.as_view()),
    path("toolkit-drf/", views.ToolkitAuthenticated.as_view()),
    path("toolkit-view/", views.ToolkitView.as_view()),
    path("toolkit-challenge/", views.ToolkitChallengeView.as_view()),
]
