"""The lookup of clients in DOT's validator."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final

from django.db import Error as AnyDatabaseError
from django.db import router, transaction
from oauth2_provider.models import get_application_model
from oauthlib.oauth2 import FatalClientError, InvalidClientIdError

from django_at_jwt.authorization_server.client_metadata import is_document_address, is_withdrawn
from django_at_jwt.authorization_server.clients import stored_client
from django_at_jwt.authorization_server.endpoint_urls import ENDPOINTS_WITHOUT_USER, is_endpoint
from django_at_jwt.core.quotation import quote, single_line

if TYPE_CHECKING:
    from oauthlib.common import Request

WITHOUT_FETCH: Final = "at_jwt.without_fetch"
"""The key of ``request.META``, which no client can set, of a request that must not fetch a metadata document."""

logger: Final = logging.getLogger("django_at_jwt")


class TooManyDocuments(FatalClientError):
    """A user had too many metadata documents fetched. It is for the user's browser, since the client is unknown.

    Attributes:
        retry_after: the seconds to wait.
    """

    error = "temporarily_unavailable"
    description = "You have used too many new applications. Try again later."
    status_code = 429

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after


def unknown_client() -> FatalClientError:
    """Return the error for the user's browser about a client that does not exist."""
    return InvalidClientIdError()


class ClientLookupMixin:
    """Refuses client ids that differ in case, and clients whose metadata document is withdrawn or not available."""

    def validate_client_id(self, client_id: str, request: Request, *args: Any, **kwargs: Any) -> bool:
        """Return whether a client exists and may start authorizations: ``False`` if its metadata is withdrawn."""
        known = super().validate_client_id(client_id, request, *args, **kwargs)  # type: ignore[misc]
        return known and not is_withdrawn(request.client)

    def _load_application(self, client_id: str, request: Request) -> Any:
        """Return the client, or ``None`` if it is unknown or its document cannot be looked up."""
        client = self._find_application(client_id, request)
        if client is None or client.client_id == client_id:
            return client
        # Some databases ignore case, accents and trailing spaces.
        request.client = None
        return None

    def _find_application(self, client_id: str, request: Request) -> Any:
        """Return what the database takes for the client, or ``None``.

        Documents are fetched at the authorization endpoint only, which asks the user to log in first. At the others,
        anyone could make this site fetch URLs and store clients. There, an unknown client stays unknown, and an expired
        copy of a document is used.

        DOT records failed fetches in Django's cache, and does not catch the errors of a cache that is down. If two
        requests store a new client at once, DOT catches the second one's database error, after which a transaction
        cannot be used.
        """
        if not is_document_address(client_id):
            if not isinstance(request.client, get_application_model()):
                request.client = stored_client(client_id)
            if request.client is None:
                return None
            return super()._load_application(client_id, request)  # type: ignore[misc]
        if WITHOUT_FETCH in request.headers or is_endpoint(request.uri or "", *ENDPOINTS_WITHOUT_USER):
            client = stored_client(client_id)
            if client is None or not client.is_usable(request):
                return None
            # DOT takes it as it is.
            request.client = client
        database = router.db_for_write(get_application_model())
        is_in_transaction = transaction.get_connection(database).in_atomic_block
        try:
            with transaction.atomic(using=database) if is_in_transaction else nullcontext():
                return super()._load_application(client_id, request)  # type: ignore[misc]
        except AnyDatabaseError:
            raise
        except Exception as error:  # noqa: BLE001 - the cache's backend or the fetcher may raise any
            logger.error(  # noqa: TRY400 - no traceback is needed
                "Client %s is refused: its metadata document cannot be looked up, for instance because the default "
                "cache is down: %s",
                quote(client_id),
                single_line(error),
            )
            return None
