"""The documents that MCP clients publish, instead of fetching them, for the example's server."""

from tests.client_documents import PUBLISHED, LibraryFetcher


class PublishedDocuments(LibraryFetcher):
    documents = {url: {"client_id": url, **document} for url, document in PUBLISHED.items()}
