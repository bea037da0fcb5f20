"""The signed document of revocations for APIs in other projects, from the deny list in memory."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django_at_jwt.authorization_server.keys.local import local_keys
from django_at_jwt.conf import app_settings, local_issuer, register_process_cache
from django_at_jwt.core.errors import RevocationUnavailable
from django_at_jwt.core.profile import encode_json
from django_at_jwt.core.revocation_document import MOST_BYTES, MOST_ENTRIES, RevocationDocument

from .deny_list import deny_list

if TYPE_CHECKING:
    from django_at_jwt.core.deny_list import DenyEntry
    from django_at_jwt.core.jose.keys import PrivateKey

    from .deny_list import Reading

logger = logging.getLogger("django_at_jwt")

# An unchanged document is signed again after this fraction of its lifetime.
_PART_OF_LIFETIME: Final = 0.2
_SECONDS_BETWEEN_WARNINGS: Final = 600.0


class Published(NamedTuple):
    """A signed document.

    Attributes:
        text: the compact JWS.
        etag: a weak entity tag, the same for equal claims signed by the same key.
        expires_at: its ``exp``.
    """

    text: str
    etag: str
    expires_at: int


class Publication:
    """The current document, signed once for all requests of this process.

    ``iat`` is when the entries were read, rounded down, so that all processes sign the same claims while nothing
    changes, and a client's conditional request is answered with 304 by each of them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Discard the document."""
        self._source: tuple[Any, ...] = ()
        self._published: Published | None = None
        self._warned_at = float("-inf")

    def current(self) -> Published:
        """Return the document, signing it again if the entries have changed or part of its lifetime has passed.

        Raises:
            RevocationUnavailable: the deny list cannot be read, and the last document would have expired.
            NoSigningKey: no key can sign it.
        """
        reading, key = deny_list.reading(), local_keys().current().signing_key()
        lifetime = max(1, int(max(app_settings().revocation_max_stale, app_settings().revocation_max_age)))
        interval = max(1, int(lifetime * _PART_OF_LIFETIME))
        issued_at = int(reading.read_at) // interval * interval
        if issued_at + lifetime <= time.time():
            raise RevocationUnavailable("the deny list was last read too long ago to be published")
        # Compare the list itself: its id() can be reused by another list.
        source = (reading.entries, reading.entries.changes, reading.version, issued_at, lifetime, key.kid)
        with self._lock:
            if self._published is None or source != self._source:
                self._published = self._sign(reading, issued_at, issued_at + lifetime, key)
                self._source = source
            return self._published

    def _sign(self, reading: Reading, issued_at: int, expires_at: int, key: PrivateKey) -> Published:
        kept = reading.entries.kept()
        live = None if kept is None else tuple(entry for entry in kept if entry.expires_at > issued_at)
        document = _document(reading, issued_at, expires_at, live)
        text = document.signed(key)
        if len(text) > MOST_BYTES:
            document = _document(reading, issued_at, expires_at, None)
            text = document.signed(key)
        if not document.complete:
            self._warn()
        digest = hashlib.sha256(encode_json(document.claims()) + key.kid.encode()).hexdigest()[:32]
        return Published(text, f'W/"{digest}"', expires_at)

    def _warn(self) -> None:
        now = time.monotonic()
        if now - self._warned_at >= _SECONDS_BETWEEN_WARNINGS:
            self._warned_at = now
            logger.warning(
                "The deny list is too long to be published: it has more than %d live entries, or takes more than %d "
                "bytes. APIs in other projects use their fallback",
                MOST_ENTRIES,
                MOST_BYTES,
            )


def _document(
    reading: Reading, issued_at: int, expires_at: int, entries: tuple[DenyEntry, ...] | None
) -> RevocationDocument:
    """Return the document. If ``entries`` is ``None``, its ``complete`` is ``false``."""
    return RevocationDocument(
        issuer=local_issuer(),
        issued_at=issued_at,
        expires_at=expires_at,
        version=reading.version,
        complete=entries is not None,
        entries=entries or (),
    )


publication: Final = Publication()
register_process_cache(publication.clear)
