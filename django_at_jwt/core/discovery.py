"""What a resource server believes of an issuer's metadata: RFC 8414 §3, OpenID Connect Discovery §4."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from .errors import RejectionReason, TokenRejected, UnacceptableDocument
from .jws import decode_object
from .quotation import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

_RFC_8414: Final = "/.well-known/oauth-authorization-server"
_OPENID: Final = "/.well-known/openid-configuration"
_LONGEST_ADDRESS: Final = 2048


def is_fetchable(address: object, *, loopback_http: bool) -> bool:
    """Tell whether an address may be asked for metadata or keys: https, or, where allowed, http on a loopback.

    Args:
        address: an absolute URL, perhaps written by somebody else.
        loopback_http: whether plain http to this very machine will do, as while a site is developed.

    It does *not* look a name up: https proves whose the answer is, wherever the name leads.
    """
    if not isinstance(address, str) or not address.isascii() or not 0 < len(address) <= _LONGEST_ADDRESS:
        return False
    if not address.isprintable() or {" ", "#", "\\"} & {*address}:
        return False
    try:
        parts = urlsplit(address)
        well_formed = bool(parts.hostname) and parts.username is None and parts.port != 0
    except ValueError:
        return False
    if not well_formed:
        return False
    return parts.scheme == "https" or (loopback_http and parts.scheme == "http" and _is_loopback(str(parts.hostname)))


def is_remote_issuer(issuer: object, *, loopback_http: bool) -> bool:
    """Tell whether a text can identify an issuer whose metadata is fetched (RFC 8414 §2)."""
    return isinstance(issuer, str) and "?" not in issuer and is_fetchable(issuer, loopback_http=loopback_http)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def metadata_addresses(issuer: str) -> tuple[str, str]:
    """Give where an issuer's metadata is: inserted before its path (RFC 8414 §3.1), else appended (OpenID Connect)."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    root = f"{parts.scheme}://{parts.netloc}"
    return f"{root}{_RFC_8414}{path}", f"{root}{path}{_OPENID}"


def read_document(body: bytes) -> dict[str, Any]:
    """Read what an issuer answered.

    Raises:
        UnacceptableDocument: it is no JSON object in UTF-8 with each member once.
    """
    try:
        return decode_object(body, RejectionReason.BAD_CLAIMS)
    except TokenRejected as rejected:
        raise UnacceptableDocument(f"it is {rejected.detail}") from None


def jwks_uri_in(metadata: Mapping[str, Any], *, issuer: str, loopback_http: bool) -> str:
    """Give where the issuer's keys are, if the metadata is this issuer's.

    Raises:
        UnacceptableDocument: it describes another issuer (RFC 8414 §3.3), or has no ``jwks_uri`` that may be fetched.
    """
    if metadata.get("issuer") != issuer:
        raise UnacceptableDocument(f"its issuer is {shown(metadata.get('issuer'))}, not {shown(issuer)}")
    jwks_uri = metadata.get("jwks_uri")
    if not isinstance(jwks_uri, str) or not is_fetchable(jwks_uri, loopback_http=loopback_http):
        raise UnacceptableDocument(f"its jwks_uri is {shown(jwks_uri)}, which is no https URL")
    return jwks_uri
