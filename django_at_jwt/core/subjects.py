"""Pairwise subject identifiers: OpenID Connect Core §8.1, RFC 9068 §6."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable


class AmbiguousSector(ValueError):
    """A client's redirect URIs have several hosts, so they do not say which sector it belongs to."""


def sector_of(redirect_uris: Iterable[str], *, client_id: str) -> str:
    """Give the sector of a client: the host of its redirect URIs, or the client by itself where it has none.

    Raises:
        AmbiguousSector: the hosts differ (OpenID Connect Core §8.1 asks for a sector identifier then).
    """
    hosts = {host for uri in redirect_uris if (host := urlsplit(uri).hostname)}
    if len(hosts) > 1:
        raise AmbiguousSector(f"the redirect URIs of client {client_id} have {len(hosts)} hosts")
    # A space is in no host name, so that no client can be registered with the sector of another.
    return hosts.pop() if hosts else f"client {client_id}"


def pairwise_subject(subject: str, *, sector: str, key: bytes) -> str:
    """Give the identifier of a user for one sector: 43 characters of base64url, the same as long as the key is.

    Args:
        subject: the user's identifier on this site.
        key: 32 bytes that are used for nothing else. Whoever has it can link the sectors.
    """
    # The length keeps two pairs of texts apart that would read the same one after the other.
    message = f"{len(sector)} {sector} {subject}".encode()
    return base64.urlsafe_b64encode(hmac.digest(key, message, hashlib.sha256)).rstrip(b"=").decode()
