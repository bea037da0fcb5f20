"""All URLs of django-oauth-toolkit and of this app, for ``path("o/", include("django_at_jwt.urls"))``.

The names stay django-oauth-toolkit's: ``reverse("oauth2_provider:token")`` works as before.

A site that wants some of them includes lists, under the toolkit's app name, so that its templates find them::

    path("o/", include((urls.base_urlpatterns + urls.document_urlpatterns, urls.app_name)))

``metadata_urlpatterns``, ``base_urlpatterns``, ``management_urlpatterns``, ``oidc_urlpatterns`` and ``dcr_urlpatterns``
have the names and the contents of the lists in ``oauth2_provider.urls``. Beside these there are:

- ``device_urlpatterns``: the device flow, which ``base_urlpatterns`` holds too.
- ``document_urlpatterns``: the JWK set and the issuer's metadata, which every issuer needs.
"""

from .conf import require_installed

require_installed()

from .authorization_server.urls import (  # noqa: E402 - it needs the tables of the app
    base_urlpatterns,
    dcr_urlpatterns,
    device_urlpatterns,
    document_urlpatterns,
    management_urlpatterns,
    metadata_urlpatterns,
    oidc_urlpatterns,
)

__all__ = [
    "app_name",
    "base_urlpatterns",
    "dcr_urlpatterns",
    "device_urlpatterns",
    "document_urlpatterns",
    "management_urlpatterns",
    "metadata_urlpatterns",
    "oidc_urlpatterns",
    "urlpatterns",
]

app_name = "oauth2_provider"
urlpatterns = metadata_urlpatterns + base_urlpatterns + management_urlpatterns + oidc_urlpatterns + dcr_urlpatterns
