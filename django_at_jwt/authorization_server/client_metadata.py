"""Client ID metadata documents: the fetcher for DOT's ``CIMD_METADATA_FETCHER``."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from oauth2_provider.models import get_application_model
from oauth2_provider.settings import oauth2_settings

from django_at_jwt.conf import app_settings
from django_at_jwt.core.addresses import is_loopback_host, is_public_address
from django_at_jwt.core.client_metadata import (
    RegistrationOffer,
    UnacceptableClient,
    problem_with_client_id,
    read_metadata_document,
)
from django_at_jwt.core.grant_types import AUTHORIZATION_CODE, REFRESH_TOKEN
from django_at_jwt.core.quotation import quote
from django_at_jwt.core.redirect_uris import is_remote_http
from django_at_jwt.core.remote_issuer import CacheBounds
from django_at_jwt.outbound.http import MAX_BYTES, FetchFailed, fetch

from .clients import stored_client
from .redirect_uris import problem_with_registered_uri
from .registration import has_metadata_document
from .toolkit import CIMDError

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger("django_at_jwt")

# The grants of public clients that have a redirect URI; DOT stores one grant for a client, and refreshes belong to it.
_GRANT_TYPES: Final = (AUTHORIZATION_CODE, REFRESH_TOKEN)


class ClientMetadataFetcher:
    """Fetches client ID metadata documents, and limits what they ask for to what public clients may have here.

    DOT alone refuses a document with any grant besides ``authorization_code`` and ``refresh_token``, or with any
    redirect URI that it does not allow. Here the client gets what is left. A document without ``client_name`` is
    refused, and so is one whose client must authenticate.

    It connects to public addresses only (RFC 6890), follows no redirect, uses no proxy, and stops after
    ``CIMD_FETCH_TIMEOUT_SECONDS`` and ``CIMD_MAX_DOCUMENT_SIZE``. To fetch in another way, for instance through a
    proxy, override :meth:`retrieve`.
    """

    def fetch(self, client_id: str) -> tuple[dict[str, Any], int]:
        """Return the client's metadata for DOT, and the seconds for which to use it.

        Raises:
            CIMDError: the document cannot be fetched or used. The reason is logged.
        """
        try:
            return self._fetched(client_id)
        except (FetchFailed, UnacceptableClient) as error:
            logger.warning("Client %s is refused: %s", quote(client_id), error)
            raise CIMDError(str(error)) from None

    def retrieve(self, client_id: str) -> tuple[Mapping[str, Any], float]:
        """Return a document and the seconds for which to use it: ``max-age``, within DOT's bounds.

        Args:
            client_id: the URL of the document, whose syntax was checked.

        Raises:
            FetchFailed: it cannot be fetched, or leads to an address that is not public.
        """
        answer = fetch(
            client_id,
            etag=None,
            loopback_http=False,
            deadline=time.monotonic() + oauth2_settings.CIMD_FETCH_TIMEOUT_SECONDS,
            max_bytes=min(oauth2_settings.CIMD_MAX_DOCUMENT_SIZE, MAX_BYTES),
            allows=_may_connect,
        )
        least, most = oauth2_settings.CIMD_METADATA_MIN_AGE_SECONDS, oauth2_settings.CIMD_METADATA_MAX_AGE_SECONDS
        bounds = CacheBounds(min=least, max=most, default=most)
        return answer.document or {}, bounds.lifetime(answer.cache_control, answer.age)

    def _fetched(self, client_id: str) -> tuple[dict[str, Any], int]:
        longest = get_application_model()._meta.get_field("client_id").max_length or 0
        if problem := problem_with_client_id(client_id, max_length=longest):
            raise UnacceptableClient("invalid_client_metadata", f"its client id {problem}")
        document, seconds = self.retrieve(client_id)
        offer = RegistrationOffer(
            grant_types=[each for each in _GRANT_TYPES if each in oauth2_settings.OAUTH2_GRANT_TYPES_SUPPORTED],
            problem_with_uri=problem_with_registered_uri,
        )
        metadata = read_metadata_document(document, offer, client_id=client_id)
        if metadata.dropped:
            dropped = "; ".join(metadata.dropped)
            logger.info("Client %s: parts of its metadata document are ignored: %s", quote(client_id), dropped)
        return {
            "client_id": client_id,
            "client_name": metadata.client_name,
            "redirect_uris": list(metadata.redirect_uris),
            "grant_types": list(metadata.grant_types),
            "token_endpoint_auth_method": metadata.auth_method,
        }, int(seconds)


def _may_connect(address: str) -> bool:
    return is_public_address(address) or (app_settings().loopback_client_metadata and is_loopback_host(address))


def is_document_address(client_id: str | None) -> bool:
    """Return whether DOT takes a client id for the URL of a metadata document. A request may have no client id."""
    return client_id is not None and client_id[:8].lower() == "https://"


def must_be_fetched(client_id: str | None) -> bool:
    """Return whether the next authorization request of a client fetches its metadata document.

    It does without a copy, or with an expired one. Not checked: whether it may be fetched now, or a recent attempt has
    failed.
    """
    if not oauth2_settings.CIMD_ENABLED or not is_document_address(client_id):
        return False
    client = stored_client(str(client_id))
    if client is None:
        return True
    expires_at = client.cimd_expires_at if has_metadata_document(client) else None
    return expires_at is not None and bool(expires_at < timezone.now())


def uses_client_metadata() -> bool:
    """Return whether this issuer accepts clients by their metadata documents, with this app's fetcher."""
    fetcher = oauth2_settings.CIMD_METADATA_FETCHER
    return (
        bool(oauth2_settings.CIMD_ENABLED) and isinstance(fetcher, type) and issubclass(fetcher, ClientMetadataFetcher)
    )


def is_withdrawn(client: Any) -> bool:
    """Return whether a client's metadata document could not be read for long, so that its copy is too old to use.

    DOT keeps the copy of a document that it cannot fetch again. That helps while the client's server is down, but the
    client may have withdrawn the document. The limit is ``CIMD_METADATA_MAX_AGE_SECONDS`` after the copy has expired.
    """
    if not oauth2_settings.CIMD_ENABLED or not has_metadata_document(client) or client.cimd_expires_at is None:
        return False
    return bool(
        timezone.now() - client.cimd_expires_at > timedelta(seconds=oauth2_settings.CIMD_METADATA_MAX_AGE_SECONDS)
    )


def refuse_remote_http(redirect_uris: str) -> None:
    """Validate the redirect URIs of a client, if this issuer accepts clients by their metadata documents.

    Such an issuer must allow the scheme ``http``, for loopback redirect URIs.

    Raises:
        ValidationError: one with the scheme ``http`` has another host (RFC 9700 section 2.6).
    """
    if uses_client_metadata() and any(is_remote_http(uri) for uri in redirect_uris.split()):
        raise ValidationError(
            _('The host of an "http" redirect URI must be 127.0.0.1, [::1] or localhost. Use "https".'),
            code="remote_http",
        )
