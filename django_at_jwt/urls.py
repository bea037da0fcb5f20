"""All URLs of django-oauth-toolkit and of this app, for ``path("o/", include("django_at_jwt.urls"))``.

The names stay django-oauth-toolkit's: ``reverse("oauth2_provider:token")`` works as before.
"""

from .conf import require_installed

require_installed()

from .authorization_server.urls import toolkit_patterns  # noqa: E402 - it needs the tables of the app

app_name = "oauth2_provider"
urlpatterns = toolkit_patterns
