"""The example's settings, with the metadata documents that clients have published."""

from .quick_settings import *  # noqa: F403

OAUTH2_PROVIDER = {
    **OAUTH2_PROVIDER,  # noqa: F405
    "CIMD_METADATA_FETCHER": "tests.example.published_documents.PublishedDocuments",
}
