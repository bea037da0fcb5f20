"""Subject identifiers, public and pairwise: OpenID Connect Core sections 2 and 8.1, RFC 9068 section 6."""

from __future__ import annotations

import base64
import hashlib
import hmac
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from .addresses import is_loopback_host

if TYPE_CHECKING:
    from collections.abc import Iterable

# DOT's names. The other grants send nothing to a redirect URI, so a client of theirs may register any.
_GRANTS_WITH_REDIRECTS: Final = frozenset({"authorization-code", "implicit", "openid-hybrid"})
# OpenID Connect Core section 2.
_MAX_LENGTH: Final = 255


def is_subject(text: str) -> bool:
    """Return whether a text can be a ``sub``: printable, with 1 to 255 characters."""
    return 0 < len(text) <= _MAX_LENGTH and text.isprintable()


class AmbiguousSector(ValueError):
    """A client's redirect URIs have several hosts, so its sector is ambiguous."""


def sector_of(redirect_uris: Iterable[str], *, client_id: str, grant: str) -> str:
    """Return the sector of a client: the host of its redirect URIs, or the client itself without one.

    Loopback hosts and private-use schemes do not count as hosts (RFC 8252 section 7): several apps may share them.

    Args:
        grant: the client's grant type, as DOT names it.

    Raises:
        AmbiguousSector: the hosts differ (OpenID Connect Core section 8.1 requires a sector identifier then), or only
            some of the redirect URIs have a host: a client that receives codes elsewhere could add a redirect URI on
            any host.
    """
    used = list(redirect_uris) if grant in _GRANTS_WITH_REDIRECTS else []
    sectors = {_host(uri) for uri in used}
    if len(sectors) > 1 or any(_has_ambiguous_host(uri) for uri in used):
        raise AmbiguousSector(f"the redirect URIs of client {client_id} do not have one host in common")
    # Host names contain no space, so no redirect URI can claim another client's sector.
    return (sectors.pop() if sectors else None) or f"client {client_id}"


def displayed_host(redirect_uri: str) -> str | None:
    """Return the host of a redirect URI as people should read it, with the port if it has one.

    A URI that RFC 3986 and browsers read differently is returned whole. Not checked: that it is ASCII, as oauthlib
    requires of redirect URIs.

    Returns:
        ``None`` for an app on the user's own device.
    """
    if is_on_own_device(redirect_uri):
        return None
    if _has_ambiguous_host(redirect_uri):
        return redirect_uri
    return urlsplit(redirect_uri).netloc.lower()


def _has_ambiguous_host(redirect_uri: str) -> bool:
    # In "https://b.example\@a.example/" RFC 3986 takes the second host, browsers the first.
    return "\\" in redirect_uri or "@" in urlsplit(redirect_uri).netloc


def is_on_own_device(redirect_uri: str) -> bool:
    """Return whether a redirect URI is for an app on the user's own device (RFC 8252 sections 7.1 and 7.3).

    It has a loopback host or a private-use scheme, and another app on the device can receive what is sent to it.
    """
    return _host(redirect_uri) is None


def _host(redirect_uri: str) -> str | None:
    parts = urlsplit(redirect_uri)
    host = parts.hostname
    if parts.scheme not in {"https", "http"} or host is None or host.endswith(".localhost") or is_loopback_host(host):
        return None
    return host


def pairwise_subject(subject: str, *, sector: str, key: bytes) -> str:
    """Return the identifier of a user for one sector: 43 characters of base64url, stable while the key is.

    Args:
        subject: the user's identifier on this site.
        key: 32 bytes used for nothing else. With the key, identifiers of different sectors can be linked.
    """
    # The length prefix keeps different pairs with the same concatenation apart.
    message = f"{len(sector)} {sector} {subject}".encode()
    return base64.urlsafe_b64encode(hmac.digest(key, message, hashlib.sha256)).rstrip(b"=").decode()


class UserMode(StrEnum):
    """How the subjects of an issuer relate to the site's users.

    ``LOCAL``: existing users. ``CREATED``: existing users; missing ones are created. ``STATELESS``: not stored; the
    token holds all that is known of them.
    """

    LOCAL = "local"
    CREATED = "created"
    STATELESS = "stateless"


def subject_digest(issuer: str, subject: str) -> str:
    """Return 64 characters that identify a subject of an issuer.

    Unlike the subject, they compare exactly in every database (which may ignore case) and fit into an index.
    """
    # An issuer is a URL without NUL, so the first NUL ends it. JSON allows lone surrogates, UTF-8 does not.
    return hashlib.sha256(f"{issuer}\x00{subject}".encode("utf-8", "surrogatepass")).hexdigest()
