"""The class for ``OAUTH2_PROVIDER["CIMD_METADATA_FETCHER"]``, to subclass."""

from .conf import require_installed

require_installed()

from django_at_jwt.authorization_server.client_metadata import ClientMetadataFetcher  # noqa: E402 - it imports the models
from django_at_jwt.outbound.http import FetchFailed  # noqa: E402

__all__ = ["ClientMetadataFetcher", "FetchFailed"]
