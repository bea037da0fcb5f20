"""Protected resource metadata of this project's APIs (RFC 9728).

Include it at the root of the site: ``path("", include("django_at_jwt.resource_urls"))``. It needs neither
django-oauth-toolkit nor tables, so a project that only accepts tokens can include it, too.
"""

from django.urls import re_path

from django_at_jwt.core.metadata import PROTECTED_RESOURCE_PATH
from django_at_jwt.resource_server.protected_resources import URL_NAMESPACE
from django_at_jwt.resource_server.views import ProtectedResourceMetadataView

app_name = URL_NAMESPACE
urlpatterns = [
    re_path(
        rf"^{PROTECTED_RESOURCE_PATH.replace('.', '[.]')}(?P<resource_path>/.*|)$",
        ProtectedResourceMetadataView.as_view(),
        name="protected-resource",
    ),
]
