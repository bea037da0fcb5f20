"""The documents at the root of the site, for ``path("", include("django_at_jwt.well_known_urls"))``."""

from .authorization_server.urls import well_known_patterns

app_name = "django_at_jwt"
urlpatterns = well_known_patterns
