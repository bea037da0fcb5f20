"""All URLs of django-oauth-toolkit and of this app, for ``path("o/", include("django_at_jwt.urls"))``.

The URL names are django-oauth-toolkit's: ``reverse("oauth2_provider:token")`` works unchanged.

To include only some URLs, include lists under django-oauth-toolkit's app name, which its templates use::

    path("o/", include((urls.base_urlpatterns + urls.document_urlpatterns, urls.app_name)))

``metadata_urlpatterns``, ``base_urlpatterns``, ``management_urlpatterns``, ``oidc_urlpatterns`` and ``dcr_urlpatterns``
have the names and contents of the lists in ``oauth2_provider.urls``. In addition there are:

- ``device_urlpatterns``: the device flow, also part of ``base_urlpatterns``.
- ``document_urlpatterns``: the JWK set and the issuer's metadata, which every issuer needs, and the document of
  revocations, which answers 404 unless ``AT_JWT["PUBLISH_REVOCATIONS"]`` is on.
"""

from .conf import require_installed

require_installed()

from .authorization_server.urls import (  # noqa: E402 - it imports the models
    base_urlpatterns,
    dcr_urlpatterns,
    device_urlpatterns,
    document_urlpatterns,
    management_urlpatterns,
    metadata_urlpatterns,
    oidc_urlpatterns,
    revocation_document_urlpatterns,
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
urlpatterns = (
    metadata_urlpatterns
    + base_urlpatterns
    + management_urlpatterns
    + oidc_urlpatterns
    + dcr_urlpatterns
    + revocation_document_urlpatterns
)
