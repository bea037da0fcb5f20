"""The metadata at the root of the site, for ``path("", include("django_at_jwt.well_known_urls"))``."""

from .conf import require_installed

require_installed()

from django_at_jwt.authorization_server.urls import well_known_patterns  # noqa: E402 - it imports the models

app_name = "django_at_jwt"
urlpatterns = well_known_patterns
