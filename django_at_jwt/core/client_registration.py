"""The metadata of clients that register themselves, narrowed to what a server offers them (RFC 7591)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from .subjects import is_on_own_device

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

AUTHORIZATION_CODE: Final = "authorization_code"
CLIENT_CREDENTIALS: Final = "client_credentials"
DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
IMPLICIT: Final = "implicit"
PASSWORD: Final = "password"  # noqa: S105 - the name of a grant
REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105 - the name of a grant

WITHOUT_SECRET: Final = "none"  # noqa: S105 - the name of a method
SECRET_IN_HEADER: Final = "client_secret_basic"  # noqa: S105 - the name of a method
_METHODS: Final = (WITHOUT_SECRET, SECRET_IN_HEADER, "client_secret_post")

# A client gets the first of these that it requests and may have.
_PREFERENCE: Final = (AUTHORIZATION_CODE, DEVICE_CODE, CLIENT_CREDENTIALS, IMPLICIT, PASSWORD)
_WITH_REDIRECT: Final = (AUTHORIZATION_CODE, IMPLICIT)
_REFRESHABLE: Final = (AUTHORIZATION_CODE, DEVICE_CODE, PASSWORD)
_RESPONSE_TYPES: Final = {AUTHORIZATION_CODE: ("code",), IMPLICIT: ("token",)}

LONGEST_NAME: Final = 255
MOST_REDIRECT_URIS: Final = 50
LONGEST_REDIRECT_URI: Final = 2000


class UnacceptableClient(Exception):
    """Client metadata that leaves nothing to register (RFC 7591 §3.2.2).

    Attributes:
        code: the error code.
        description: one sentence for the client's developer. It does not repeat redirect URIs or names.
    """

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code, self.description = code, description


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistrationOffer:
    """What a server offers to clients that register themselves.

    Attributes:
        grant_types: the grant types, as in ``grant_types`` (RFC 7591 §2).
        scopes: the scopes.
        allows_redirect_uri: whether the site allows a redirect URI, for instance by its scheme.
    """

    grant_types: Collection[str]
    scopes: Collection[str]
    allows_redirect_uri: Callable[[str], bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredMetadata:
    """What is registered for a client.

    Attributes:
        grant_type: the only grant type, apart from ``refresh_token``.
        grant_types: that one, and ``refresh_token`` if its tokens can be refreshed.
        redirect_uris: the allowed redirect URIs, in the order of the request.
        auth_method: how the client authenticates at the token endpoint.
        client_name: printable, at most :data:`LONGEST_NAME` characters; may be empty.
        scopes: the requested scopes that the client may have; ``None`` if it requested none by name.
    """

    grant_type: str
    grant_types: tuple[str, ...]
    redirect_uris: tuple[str, ...]
    auth_method: str
    client_name: str
    scopes: tuple[str, ...] | None

    @property
    def response_types(self) -> tuple[str, ...]:
        """The response types of the grant type."""
        return response_types_of(self.grant_type)


def response_types_of(grant_type: str) -> tuple[str, ...]:
    """Return the response types that a client with this grant type can request."""
    return _RESPONSE_TYPES.get(grant_type, ())


def grant_types_of(grant_type: str, offered: Collection[str]) -> tuple[str, ...]:
    """Return a grant type and, if its tokens can be refreshed and the server offers that, ``refresh_token``."""
    refreshes = grant_type in _REFRESHABLE and REFRESH_TOKEN in offered
    return (grant_type, REFRESH_TOKEN) if refreshes else (grant_type,)


def narrow_client_metadata(document: Mapping[str, Any], offer: RegistrationOffer) -> RegisteredMetadata:
    """Return what a server registers for a client that sends a document (RFC 7591 §2 and §3.2.1).

    Values that the server does not offer are dropped or replaced. Unknown members and ``null`` are ignored.

    Args:
        document: the JSON object of the request.
        offer: what the server offers to such a client.

    Raises:
        UnacceptableClient: a member has the wrong type, a redirect URI is malformed, or no grant type or redirect URI
            is left.
    """
    method = _text(document, "token_endpoint_auth_method") or SECRET_IN_HEADER
    if method not in _METHODS:
        method = SECRET_IN_HEADER
    # Only checked: the grant type decides about the response types.
    _texts(document, "response_types")
    given = _redirect_uris(document)
    uris = tuple(uri for uri in given if _is_safe(uri) and offer.allows_redirect_uri(uri))
    asked = _texts(document, "grant_types")
    grant_type = _grant_type(
        (AUTHORIZATION_CODE,) if asked is None else asked, offer, method=method, given=given, allowed=uris
    )
    scope = _text(document, "scope")
    return RegisteredMetadata(
        grant_type=grant_type,
        grant_types=grant_types_of(grant_type, offer.grant_types),
        redirect_uris=uris,
        auth_method=method,
        client_name=_name(document),
        scopes=None if not scope else tuple(each for each in scope.split() if each in offer.scopes),
    )


def _grant_type(
    asked: Sequence[str], offer: RegistrationOffer, *, method: str, given: Sequence[str], allowed: Sequence[str]
) -> str:
    offered = [each for each in _PREFERENCE if each in asked and each in offer.grant_types]
    usable = [each for each in offered if not (each == CLIENT_CREDENTIALS and method == WITHOUT_SECRET)]
    for grant_type in usable:
        if allowed or grant_type not in _WITH_REDIRECT:
            return grant_type
    if usable:
        if not given:
            raise UnacceptableClient("invalid_redirect_uri", f"redirect_uris is required for {usable[0]}.")
        raise UnacceptableClient(
            "invalid_redirect_uri",
            "None of redirect_uris is allowed here. Each must be https, http with a loopback host, or have another "
            "scheme that this server allows.",
        )
    if offered:
        raise _invalid("A client without a secret cannot use client_credentials.")
    known = [each for each in (*_PREFERENCE, REFRESH_TOKEN) if each in offer.grant_types]
    raise _invalid(f"None of grant_types can be registered here. Use one of: {', '.join(known)}.")


def _redirect_uris(document: Mapping[str, Any]) -> tuple[str, ...]:
    uris = tuple(dict.fromkeys(_texts(document, "redirect_uris") or ()))
    if len(uris) > MOST_REDIRECT_URIS:
        raise UnacceptableClient("invalid_redirect_uri", f"redirect_uris must have at most {MOST_REDIRECT_URIS} URIs.")
    if not all(is_storable_redirect_uri(uri) for uri in uris):
        raise UnacceptableClient(
            "invalid_redirect_uri",
            "Each of redirect_uris must be an ASCII URI without white space, with a valid port if any, of at most "
            f"{LONGEST_REDIRECT_URI} characters.",
        )
    if any("@" in urlsplit(uri).netloc for uri in uris):
        raise UnacceptableClient(
            "invalid_redirect_uri", "None of redirect_uris may have a user name or password before its host."
        )
    return uris


def is_storable_redirect_uri(uri: str) -> bool:
    """Return whether a server can store a URI in a list separated by spaces, and parse it again."""
    try:
        _ = urlsplit(uri).port
    except ValueError:
        return False
    return uri.split() == [uri] and uri.isascii() and uri.isprintable() and len(uri) <= LONGEST_REDIRECT_URI


def _is_safe(uri: str) -> bool:
    """Return whether a client that anyone may have registered can use a redirect URI that the site allows.

    Codes are sent without encryption only to the user's own device, and never to a host with a wildcard.
    """
    parts = urlsplit(uri)
    return "*" not in parts.netloc and (parts.scheme != "http" or is_on_own_device(uri))


def _name(document: Mapping[str, Any]) -> str:
    name = _text(document, "client_name") or ""
    # Consent pages show it. Control characters, such as those that change the direction of text, could mislead.
    return " ".join("".join(each if each.isprintable() else " " for each in name).split())[:LONGEST_NAME]


def _text(document: Mapping[str, Any], member: str) -> str | None:
    value = document.get(member)
    if value is not None and not isinstance(value, str):
        raise _invalid(f"{member} must be a string.")
    return value


def _texts(document: Mapping[str, Any], member: str) -> list[str] | None:
    value = document.get(member)
    if value is not None and not (isinstance(value, list) and all(isinstance(each, str) for each in value)):
        raise _invalid(f"{member} must be an array of strings.")
    return value


def _invalid(description: str) -> UnacceptableClient:
    return UnacceptableClient("invalid_client_metadata", description)
