"""The metadata documents of authorization servers (RFC 8414) and of protected resources (RFC 9728)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeGuard
from urllib.parse import urlsplit

from django_at_jwt.core.jose.jws import decode_object

from .addresses import is_loopback_host
from .errors import RejectionReason, TokenRejected, UnacceptableDocument
from .grant_types import AUTHORIZATION_CODE, DEVICE_CODE, IMPLICIT
from .quotation import quote
from .resource_servers import is_resource_identifier

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

PROTECTED_RESOURCE_PATH: Final = ".well-known/oauth-protected-resource"
REVOCATIONS_URI: Final = "at_jwt_revocations_uri"
"""The member with the URL of the document of revocations. Only this package defines it; it is not registered."""
# Members that a site may set for an API (RFC 9728 section 2).
RESOURCE_DESCRIPTION: Final = frozenset(
    {"scopes_supported", "resource_name", "resource_documentation", "resource_policy_uri", "resource_tos_uri"}
)
_INTROSPECTION_ALGORITHMS: Final = "introspection_signing_alg_values_supported"
_INTROSPECTION_METHODS: Final = "introspection_endpoint_auth_methods_supported"
# Endpoints, each with a member that is meaningless without it.
_CAPABILITIES: Final = {
    "authorization_endpoint": "code_challenge_methods_supported",
    "token_endpoint": "token_endpoint_auth_methods_supported",
    "introspection_endpoint": _INTROSPECTION_ALGORITHMS,
}
_ID_TOKEN_ALGORITHMS: Final = "id_token_signing_alg_values_supported"  # noqa: S105 - a member's name
_RESPONSE_TYPES: Final = "response_types_supported"
_GRANT_TYPES: Final = "grant_types_supported"
_DEVICE_ENDPOINT: Final = "device_authorization_endpoint"
# Grants that begin at another endpoint than the token endpoint.
_WITH_OTHER_ENDPOINT: Final = frozenset({AUTHORIZATION_CODE, IMPLICIT, DEVICE_CODE})


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """What a server supports and allows its clients to use.

    Attributes:
        response_types: the response types of the authorization endpoint, or ``None`` if unknown.
        grant_types: the grant types of the token endpoint, or ``None`` if unknown.
        hybrid: whether clients may use response types with ``code`` and a token (OpenID Connect Core section 3.3).
        hmac: whether clients may get ID tokens signed with their secret (``HS256``).
    """

    response_types: Collection[str] | None = None
    grant_types: Collection[str] | None = None
    hybrid: bool = True
    hmac: bool = True

    def restrict(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return a metadata document without what the server does not offer, and without contradictions.

        ``implicit`` and the response types of the implicit grant are included together or not at all. So are
        ``authorization_code`` and the response types with ``code``, and the device grant and its endpoint.
        """
        restricted = dict(document)
        types = [each for each in document.get(_RESPONSE_TYPES, ()) if self._answers(each)]
        if _GRANT_TYPES in document:
            begun = {_grant_of(each) for each in types}
            if document.get(_DEVICE_ENDPOINT) is not None:
                begun.add(DEVICE_CODE)
            grants = [
                each
                for each in document[_GRANT_TYPES]
                if (each in begun or each not in _WITH_OTHER_ENDPOINT) and self._exchanges(each)
            ]
            types = [each for each in types if _grant_of(each) in grants]
            restricted[_GRANT_TYPES] = grants
            if DEVICE_CODE not in grants:
                restricted.pop(_DEVICE_ENDPOINT, None)
        if _RESPONSE_TYPES in document:
            restricted[_RESPONSE_TYPES] = types
        if _ID_TOKEN_ALGORITHMS in document and not self.hmac:
            restricted[_ID_TOKEN_ALGORITHMS] = [each for each in document[_ID_TOKEN_ALGORITHMS] if each != "HS256"]
        return restricted

    def _exchanges(self, grant_type: str) -> bool:
        # The implicit grant does not use the token endpoint.
        return self.grant_types is None or grant_type == IMPLICIT or grant_type in self.grant_types

    def _answers(self, response_type: str) -> bool:
        values = frozenset(response_type.split())
        if "code" in values and len(values) > 1 and not self.hybrid:
            return False
        # The order of the values does not matter.
        return self.response_types is None or values in {frozenset(each.split()) for each in self.response_types}


def _grant_of(response_type: str) -> str:
    return AUTHORIZATION_CODE if "code" in response_type.split() else IMPLICIT


def authorization_server_metadata(
    oauth: Mapping[str, Any],
    openid: Mapping[str, Any] | None,
    *,
    issuer: str,
    jwks_uri: str | None,
    signing_algorithms: Sequence[str],
    introspection_algorithms: Sequence[str] = (),
    authentication_contexts: Sequence[str] = (),
    offer: Offer | None = None,
    revocations_uri: str | None = None,
) -> dict[str, Any]:
    """Return the document that is served both as RFC 8414 metadata and as OpenID Connect discovery.

    Args:
        oauth: the server's OAuth metadata.
        openid: its OpenID Connect metadata, or ``None`` if that is off.
        jwks_uri: the URL of the JWK set, or ``None`` if it is not published.
        signing_algorithms: the algorithms of access tokens.
        introspection_algorithms: the algorithms of signed introspection responses (RFC 9701 section 7).
        authentication_contexts: the known ``acr`` values of logins (RFC 9470 section 7).
        offer: restricts the document to what is offered; ``None`` for no restriction.
        revocations_uri: the URL of the document of revocations, or ``None`` if it is not published.

    Empty lists and members that are ``None`` are omitted (RFC 8414 section 2).
    """
    merged: dict[str, Any] = {**oauth, **(openid or {})} | {"issuer": issuer, "jwks_uri": jwks_uri}
    if offer is not None:
        merged = offer.restrict(merged)
    merged[REVOCATIONS_URI] = revocations_uri
    merged["acr_values_supported"] = list(authentication_contexts)
    merged[_INTROSPECTION_ALGORITHMS] = list(introspection_algorithms)
    if _INTROSPECTION_METHODS in merged:
        # Public clients may not introspect.
        merged[_INTROSPECTION_METHODS] = [each for each in merged[_INTROSPECTION_METHODS] if each != "none"]
    for member in ("scopes_supported", "claims_supported"):
        if member in merged:
            merged[member] = sorted(merged[member])
    if openid is not None:
        # Some resource servers read the permitted algorithms of access tokens from this member.
        declared = merged.get(_ID_TOKEN_ALGORITHMS, ())
        merged[_ID_TOKEN_ALGORITHMS] = list(dict.fromkeys((*declared, *signing_algorithms)))
    for endpoint, capability in _CAPABILITIES.items():
        if merged.get(endpoint) is None:
            merged.pop(capability, None)
    return {member: value for member, value in merged.items() if value not in ([], None)}


def protected_resource_metadata(
    resource: str, *, authorization_servers: Sequence[str], description: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the protected resource metadata of an API, which names its issuers (RFC 9728 section 2).

    Args:
        resource: the API's identifier, exactly as in ``aud``.
        authorization_servers: the issuers.
        description: members of :data:`RESOURCE_DESCRIPTION`.

    Tokens are accepted in the header only, and sender-constrained tokens are rejected, so the document declares no
    other methods. Empty lists are omitted (RFC 9728 section 3.2).
    """
    document = {
        **description,
        "resource": resource,
        "authorization_servers": list(authorization_servers),
        "bearer_methods_supported": ["header"],
    }
    return {member: value for member, value in document.items() if value not in ([], (), "", None)}


def with_path(url: str, path: str) -> str:
    """Return the URL with this path, the scheme, host and port of ``url``, and no query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{path}"


def place_of_metadata(resource: str) -> tuple[str, str]:
    """Return the path after :data:`PROTECTED_RESOURCE_PATH` and the query of an API's metadata URL.

    The well-known part is inserted between host and path; a path of only a slash is dropped (RFC 9728 section 3.1).
    """
    parts = urlsplit(resource)
    return ("" if parts.path == "/" else parts.path), parts.query


_RFC_8414: Final = "/.well-known/oauth-authorization-server"
_OPENID: Final = "/.well-known/openid-configuration"
_LONGEST_ADDRESS: Final = 2048


def is_http_url(text: object) -> TypeGuard[str]:
    """Return whether a text is an absolute http or https URL without user info and fragment."""
    return is_resource_identifier(text) and urlsplit(text).scheme in {"https", "http"}


def is_issuer(text: object) -> bool:
    """Return whether a text can be the local issuer's identifier (RFC 8414 section 2), with https or http."""
    return is_http_url(text) and "?" not in text and not text.endswith("/")


def is_fetchable(address: object, *, loopback_http: bool) -> TypeGuard[str]:
    """Return whether metadata or keys may be fetched from a URL: https or, if allowed, http on a loopback host.

    Args:
        address: an absolute URL; it may be untrusted.
        loopback_http: whether to allow plain http to this machine, as in development.

    Not checked: where the host name leads. https proves the origin of the response wherever that is.
    """
    if not is_resource_identifier(address) or len(address) > _LONGEST_ADDRESS or "\\" in address:
        return False
    parts = urlsplit(address)
    if parts.scheme == "http":
        return loopback_http and is_loopback_host(str(parts.hostname))
    return parts.scheme == "https"


def is_remote_issuer(issuer: object, *, loopback_http: bool) -> bool:
    """Return whether a text can be an issuer whose metadata is fetched (RFC 8414 section 2)."""
    return is_fetchable(issuer, loopback_http=loopback_http) and "?" not in issuer


def metadata_addresses(issuer: str) -> tuple[str, str]:
    """Return the two metadata URLs of an issuer: those of RFC 8414 section 3.1 and of OpenID Connect Discovery."""
    parts = urlsplit(issuer)
    path = parts.path.rstrip("/")
    root = f"{parts.scheme}://{parts.netloc}"
    return f"{root}{_RFC_8414}{path}", f"{root}{path}{_OPENID}"


def read_document(body: bytes) -> dict[str, Any]:
    """Parse the body of an issuer's response.

    Raises:
        UnacceptableDocument: not a JSON object in UTF-8 without duplicate members.
    """
    try:
        return decode_object(body, RejectionReason.BAD_CLAIMS)
    except TokenRejected as rejected:
        raise UnacceptableDocument(f"it is {rejected.detail}") from None


def address_in(member: str, metadata: Mapping[str, Any], *, issuer: str, loopback_http: bool) -> str:
    """Return the URL that a member of an issuer's metadata holds, such as ``jwks_uri``.

    Raises:
        UnacceptableDocument: the metadata describes another issuer (RFC 8414 section 3.3), or has no such URL that may
            be fetched (:func:`is_fetchable`).
    """
    if metadata.get("issuer") != issuer:
        raise UnacceptableDocument(f"its issuer is {quote(metadata.get('issuer'))}, not {quote(issuer)}")
    address = metadata.get(member)
    if not is_fetchable(address, loopback_http=loopback_http):
        raise UnacceptableDocument(f"its {member} must be an https URL (got {quote(address)})")
    return address
