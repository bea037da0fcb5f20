"""The revocations of a remote issuer that workers share: its document, and when it last confirmed it."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django_at_jwt.core.errors import UnacceptableDocument
from django_at_jwt.core.metadata import read_document
from django_at_jwt.core.remote_issuer import MAX_CLOCK_SKEW, entity_tag
from django_at_jwt.core.revocation_document import MOST_BYTES

if TYPE_CHECKING:
    from .shared_cache import SharedCache

# The document may be long, so its confirmation is a separate entry.
_DOCUMENT: Final = "revocations-document"
_CONFIRMATION: Final = "revocations-confirmation"
_FORM: Final = 1
_MAX_LENGTH: Final = MOST_BYTES + 16 * 1024


class Confirmation(NamedTuple):
    """When the issuer last confirmed the document with this digest, in seconds since the epoch."""

    digest: object
    confirmed_at: float


class SharedRevocations:
    """The document of one issuer in the shared cache.

    Args:
        seconds: how long the entries are kept.
    """

    def __init__(self, cache: SharedCache, issuer: str, *, seconds: float) -> None:
        self._cache, self._issuer, self._seconds = cache, issuer, seconds

    def write(self, text: str, etag: str | None, confirmed_at: float) -> None:
        """Store a document for the other workers."""
        self._write(_DOCUMENT, etag=etag, document=text)
        self.confirm(digest_of(text), confirmed_at)

    def confirm(self, digest: str, confirmed_at: float) -> None:
        """Store that the issuer has confirmed a document."""
        self._write(_CONFIRMATION, digest=digest, confirmed_at=confirmed_at)

    def confirmation(self) -> Confirmation | None:
        """Return the last confirmation that any worker stored.

        Raises:
            UnacceptableDocument: the entry must not be used.
        """
        entry = self._read(_CONFIRMATION)
        if entry is None:
            return None
        confirmed_at, now = entry.get("confirmed_at"), time.time()
        if type(confirmed_at) is not float or not 0 <= confirmed_at <= now + MAX_CLOCK_SKEW:
            raise UnacceptableDocument("the time of the confirmation is missing or in the future")
        return Confirmation(entry.get("digest"), min(confirmed_at, now))

    def document(self, digest: object) -> tuple[str, str | None] | None:
        """Return the unverified document with this digest and its entity tag, or ``None`` if it is not there.

        Raises:
            UnacceptableDocument: the entry must not be used.
        """
        entry = self._read(_DOCUMENT)
        text = None if entry is None else entry.get("document")
        if entry is None or not isinstance(text, str) or digest_of(text) != digest:
            return None
        etag = entry.get("etag")
        return text, entity_tag(etag) if isinstance(etag, str) else None

    def _write(self, name: str, **members: Any) -> None:
        entry = {"form": _FORM, "issuer": self._issuer, **members}
        self._cache.write_text(name, json.dumps(entry), seconds=self._seconds)

    def _read(self, name: str) -> dict[str, Any] | None:
        text = self._cache.read_text(name, max_length=_MAX_LENGTH)
        if text is None:
            return None
        entry = read_document(text.encode(errors="replace"))
        if entry.get("form") != _FORM or entry.get("issuer") != self._issuer:
            raise UnacceptableDocument("the entry has another format or another issuer")
        return entry


def digest_of(text: str) -> str:
    """Return the digest by which a confirmation names a document."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
