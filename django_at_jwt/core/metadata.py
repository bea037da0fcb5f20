"""The metadata documents of authorization servers (RFC 8414) and of protected resources (RFC 9728)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from django_at_jwt.core.jose.jws import decode_object

from .errors import RejectionReason, TokenRejected, UnacceptableDocument
from .quotation import quote

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

PROTECTED_RESOURCE_PATH: Final = ".well-known/oauth-protected-resource"
# What a site may say of an API in its own words (RFC 9728 §2).
RESOURCE_DESCRIPTION: Final = frozenset(
    {"scopes_supported", "resource_name", "resource_documentation", "resource_policy_uri", "resource_tos_uri"}
)
# What describes an endpoint, and means nothing without it.
_CAPABILITIES: Final = {
    "authorization_endpoint": "code_challenge_methods_supported",
    "token_endpoint": "token_endpoint_auth_methods_supported",
}
_ID_TOKEN_ALGORITHMS: Final = "id_token_signing_alg_values_supported"  # noqa: S105 - a member's name
_RESPONSE_TYPES: Final = "response_types_supported"
_GRANT_TYPES: Final = "grant_types_supported"
_WITH_RESPONSE_TYPE: Final = frozenset({"authorization_code", "implicit"})
_DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """What a server can do, and what its clients may use of that.

    Attributes:
        response_types: those that the authorization endpoint answers, or ``None`` if that is not known.
        grant_types: those that the token endpoint answers, or ``None`` if that is not known.
        hybrid: whether a client may use response types with ``code`` and a token (OpenID Connect Core §3.3).
        hmac: whether a client may get ID tokens that are signed with its secret (``HS256``).
    """

    response_types: Collection[str] | None = None
    grant_types: Collection[str] | None = None
    hybrid: bool = True
    hmac: bool = True

    def restrict(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return a metadata document without what the server does not offer, or its own members contradict.

        ``implicit`` and the response types of the implicit grant are announced together or not at all, and so are
        ``authorization_code`` and the response types with ``code``, the device grant and its endpoint.
        """
        restricted = dict(document)
        types = [each for each in document.get(_RESPONSE_TYPES, ()) if self._answers(each)]
        if _GRANT_TYPES in document:
            answered = {_grant_of(each) for each in types}
            grants = [
                each
                for each in document[_GRANT_TYPES]
                if (each in answered or each not in _WITH_RESPONSE_TYPE) and self._exchanges(each)
            ]
            types = [each for each in types if _grant_of(each) in grants]
            restricted[_GRANT_TYPES] = grants
            if _DEVICE_CODE not in grants:
                restricted.pop("device_authorization_endpoint", None)
        if _RESPONSE_TYPES in document:
            restricted[_RESPONSE_TYPES] = types
        if _ID_TOKEN_ALGORITHMS in document and not self.hmac:
            restricted[_ID_TOKEN_ALGORITHMS] = [each for each in document[_ID_TOKEN_ALGORITHMS] if each != "HS256"]
        return restricted

    def _exchanges(self, grant_type: str) -> bool:
        # The token endpoint has no part in the implicit grant.
        return self.grant_types is None or grant_type == "implicit" or grant_type in self.grant_types

    def _answers(self, response_type: str) -> bool:
        values = frozenset(response_type.split())
        if "code" in values and len(values) > 1 and not self.hybrid:
            return False
        # The values may come in any order.
        return self.response_types is None or values in {frozenset(each.split()) for each in self.response_types}


def _grant_of(response_type: str) -> str:
    return "authorization_code" if "code" in response_type.split() else "implicit"


def authorization_server_metadata(
    oauth: Mapping[str, Any],
    openid: Mapping[str, Any] | None,
    *,
    issuer: str,
    jwks_uri: str | None,
    signing_algorithms: Sequence[str],
    authentication_contexts: Sequence[str] = (),
    offer: Offer | None = None,
) -> dict[str, Any]:
    """Make the one document that is served as RFC 8414 metadata and as OpenID Connect discovery, so that both agree.

    Args:
        oauth: what the server says of OAuth.
        openid: what it says of OpenID Connect, or ``None`` where that is off.
        jwks_uri: where the keys are, or ``None`` if they are not published.
        signing_algorithms: those of the access tokens.
        authentication_contexts: the ``acr`` values that a login may be of, as far as they are known (RFC 9470 §7).
        offer: to leave out what is not offered; ``None`` takes what the server says.

    Empty lists and endpoints that are ``None`` are left out (RFC 8414 §2).
    """
    merged: dict[str, Any] = {**oauth, **(openid or {})} | {"issuer": issuer, "jwks_uri": jwks_uri}
    if offer is not None:
        merged = offer.restrict(merged)
    merged["acr_values_supported"] = list(authentication_contexts)
    for member in ("scopes_supported", "claims_supported"):
        if member in merged:
            merged[member] = sorted(merged[member])
    if openid is not None:
        # Some resource servers take the algorithms that they permit in access tokens from this member.
        told = merged.get(_ID_TOKEN_ALGORITHMS, ())
        merged[_ID_TOKEN_ALGORITHMS] = list(dict.fromkeys((*told, *signing_algorithms)))
    for endpoint, capability in _CAPABILITIES.items():
        if merged.get(endpoint) is None:
            merged.pop(capability, None)
    return {member: value for member, value in merged.items() if value not in ([], None)}


def protected_resource_metadata(
    resource: str, *, authorization_servers: Sequence[str], description: Mapping[str, Any]
) -> dict[str, Any]:
    """Make the document from which a client learns who issues tokens for an API (RFC 9728 §2).

    Args:
        resource: the API's identifier, letter by letter what ``aud`` holds.
        authorization_servers: the issuers.
        description: members of :data:`RESOURCE_DESCRIPTION`.

    A token is taken from the header only, and one that is bound to a sender is refused, so nothing else is promised.
    Empty lists are left out (RFC 9728 §3.2).
    """
    document = {
        **description,
        "resource": resource,
        "authorization_servers": list(authorization_servers),
        "bearer_methods_supported": ["header"],
    }
    return {member: value for member, value in document.items() if value not in ([], (), "", None)}


def with_path(url: str, path: str) -> str:
    """Give the address on the same scheme, host and port as ``url`` that has this path, and no query of its own."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{path}"


def place_of_metadata(resource: str) -> tuple[str, str]:
    """Give the path after :data:`PROTECTED_RESOURCE_PATH` and the query at which an API's document is (RFC 9728 §3.1).

    The well-known part stands between the host and the path, and a path that is only a slash is none.
    """
    parts = urlsplit(resource)
    return ("" if parts.path == "/" else parts.path), parts.query


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
        raise UnacceptableDocument(f"its issuer is {quote(metadata.get('issuer'))}, not {quote(issuer)}")
    jwks_uri = metadata.get("jwks_uri")
    if not isinstance(jwks_uri, str) or not is_fetchable(jwks_uri, loopback_http=loopback_http):
        raise UnacceptableDocument(f"its jwks_uri is {quote(jwks_uri)}, which is no https URL")
    return jwks_uri
