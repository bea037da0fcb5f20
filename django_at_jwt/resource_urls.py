"""The documents of this project's APIs, at the root of the site: ``path("", include("django_at_jwt.resource_urls"))``.

A project that only accepts tokens includes these too. They need neither django-oauth-toolkit nor a table.
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
