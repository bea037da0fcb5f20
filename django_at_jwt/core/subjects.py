"""What can be a ``sub``, and pairwise ones: OpenID Connect Core §2 and §8.1, RFC 9068 §6."""

from __future__ import annotations

import base64
import hashlib
import hmac
from enum import StrEnum
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

# As the toolkit names them. In the other grants nothing is sent to a redirect URI, so that it may be anybody's.
_GRANTS_WITH_REDIRECTS: Final = frozenset({"authorization-code", "implicit", "openid-hybrid"})


# OpenID Connect Core §2. Clients have columns of this length for it.
_LONGEST: Final = 255


def is_subject(text: str) -> bool:
    """Tell whether a text can be a ``sub``: printable, and as long as OpenID Connect lets it be."""
    return 0 < len(text) <= _LONGEST and text.isprintable()


class AmbiguousSector(ValueError):
    """A client's redirect URIs have several hosts, so they do not say which sector it belongs to."""


def sector_of(redirect_uris: Iterable[str], *, client_id: str, grant: str) -> str:
    """Give the sector of a client: the host of its redirect URIs, or the client by itself where it has none.

    An address of the user's own device is no host in this sense (RFC 8252 §7): each app may have the same.

    Args:
        grant: the client's, as the toolkit names it.

    Raises:
        AmbiguousSector: the hosts differ (OpenID Connect Core §8.1 asks for a sector identifier then), or only some of
            the redirect URIs have one. Whoever gets answers elsewhere could name any host beside it.
    """
    used = list(redirect_uris) if grant in _GRANTS_WITH_REDIRECTS else []
    sectors = {_host(uri) for uri in used}
    if len(sectors) > 1 or any(_reads_in_two_ways(uri) for uri in used):
        raise AmbiguousSector(f"the redirect URIs of client {client_id} do not have one host in common")
    # A space is in no host name, so that no client can be registered with the sector of another.
    return (sectors.pop() if sectors else None) or f"client {client_id}"


def _reads_in_two_ways(redirect_uri: str) -> bool:
    # In "https://b.example\@a.example/" the host is the second one by RFC 3986, and the first one to a browser.
    return "\\" in redirect_uri or "@" in urlsplit(redirect_uri).netloc


def is_on_own_device(redirect_uri: str) -> bool:
    """Return whether a redirect URI is for an app on the user's own device (RFC 8252 §7.1 and §7.3).

    It has a loopback host or a private-use scheme, and another app on the device can receive what is sent to it.
    """
    return _host(redirect_uri) is None


def _host(redirect_uri: str) -> str | None:
    parts = urlsplit(redirect_uri)
    host = parts.hostname
    if parts.scheme not in {"https", "http"} or host is None or host == "localhost" or host.endswith(".localhost"):
        return None
    try:
        return None if ip_address(host).is_loopback else host
    except ValueError:
        return host


def pairwise_subject(subject: str, *, sector: str, key: bytes) -> str:
    """Give the identifier of a user for one sector: 43 characters of base64url, the same as long as the key is.

    Args:
        subject: the user's identifier on this site.
        key: 32 bytes that are used for nothing else. Whoever has it can link the sectors.
    """
    # The length keeps two pairs of texts apart that would read the same one after the other.
    message = f"{len(sector)} {sector} {subject}".encode()
    return base64.urlsafe_b64encode(hmac.digest(key, message, hashlib.sha256)).rstrip(b"=").decode()


class UserMode(StrEnum):
    """What the subjects of an issuer are at this site.

    ``LOCAL``: users that the site has. ``CREATED``: the same, and a user is made where there is none yet.
    ``STATELESS``: nobody that the site keeps; all that is known of them is in the token.
    """

    LOCAL = "local"
    CREATED = "created"
    STATELESS = "stateless"


def subject_digest(issuer: str, subject: str) -> str:
    """Give 64 characters that stand for a subject of an issuer, and for no other.

    They can be compared where the subject itself cannot: a database may take "A" for "a", and has a longest key.
    """
    # An issuer is a URL and has no NUL in it, so the first one ends it. JSON can say lone surrogates, UTF-8 cannot.
    return hashlib.sha256(f"{issuer}\x00{subject}".encode("utf-8", "surrogatepass")).hexdigest()


def can_be_stored(subject: str) -> bool:
    """Tell whether a database can hold a subject: no NUL character and no lone surrogate is in it."""
    try:
        subject.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in subject
