"""Client metadata: what a client that registers itself gets of what it asks for.

It asks by a request (RFC 7591) or by a metadata document (draft-ietf-oauth-client-id-metadata-document).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from .grant_types import AUTHORIZATION_CODE, CLIENT_CREDENTIALS, DEVICE_CODE, IMPLICIT, PASSWORD, REFRESH_TOKEN
from .quotation import quote
from .redirect_uris import LONGEST_REDIRECT_URI, has_user_information, is_redirect_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

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

# Control characters, lone surrogates and separators of lines.
_UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
# They make a name look like another name: bidirectional overrides and isolates.
_BIDIRECTIONAL: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Letters, numbers, punctuation and symbols; without any, a name is invisible.
_VISIBLE: Final = "LNPS"
# Letters and a symbol that are blank.
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_DOT_SEGMENTS: Final = frozenset({".", ".."})


class UnacceptableClient(Exception):
    """Client metadata that leaves nothing to register (RFC 7591 section 3.2.2).

    ``str()`` is for the log and may quote the metadata.

    Attributes:
        code: the error code.
        description: one sentence for the client's developer. It does not repeat redirect URIs or names.
    """

    def __init__(self, code: str, description: str, *, detail: str = "") -> None:
        super().__init__(detail or description)
        self.code, self.description = code, description


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistrationOffer:
    """What a server offers to clients that register themselves.

    Attributes:
        grant_types: the grant types, as in ``grant_types`` (RFC 7591 section 2).
        problem_with_uri: returns why such a client cannot have a redirect URI, as the rest of a sentence, or ``None``;
            as :func:`~django_at_jwt.core.redirect_uris.problem_with_redirect_uri`.
        scopes: the scopes.
    """

    grant_types: Collection[str]
    problem_with_uri: Callable[[Any], str | None]
    scopes: Collection[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientMetadata:
    """What is registered for a client.

    Attributes:
        grant_type: the only grant type, apart from ``refresh_token``.
        grant_types: that one, and ``refresh_token`` if its tokens can be refreshed.
        redirect_uris: the allowed redirect URIs, in the order of the document.
        auth_method: how the client authenticates at the token endpoint.
        client_name: at most :data:`LONGEST_NAME` characters that can be displayed; may be empty.
        scopes: the requested scopes that the client may have; ``None`` if it requested none by name.
        dropped: what the client asks for and does not get, in words, for the log.
    """

    grant_type: str
    grant_types: tuple[str, ...]
    redirect_uris: tuple[str, ...]
    auth_method: str
    client_name: str
    scopes: tuple[str, ...] | None = None
    dropped: tuple[str, ...] = ()

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


def read_registration_request(document: Mapping[str, Any], offer: RegistrationOffer) -> ClientMetadata:
    """Return what a server registers for a client that sends a document (RFC 7591 sections 2 and 3.2.1).

    Values that the server does not offer are dropped or replaced. Unknown members and ``null`` are ignored.

    Args:
        document: the JSON object of the request.
        offer: what the server offers to such a client.

    Raises:
        UnacceptableClient: a member has the wrong type, a redirect URI is malformed, or no grant type or redirect URI
            is left.
    """
    method = _text(document, "token_endpoint_auth_method")
    # Only checked: the grant type decides about the response types.
    _texts(document, "response_types")
    _check_syntax(_texts(document, "redirect_uris") or ())
    scope = _text(document, "scope")
    name = "".join(each if _is_displayable(each) else " " for each in _text(document, "client_name") or "")
    name = " ".join(name.split())[:LONGEST_NAME]
    return _narrow(
        document,
        offer,
        auth_method=method if method is not None and method in _METHODS else SECRET_IN_HEADER,
        # Instead of a missing name, consent pages show the client id.
        client_name=name if any(map(_is_visible, name)) else "",
        scopes=None if not scope else tuple(each for each in scope.split() if each in offer.scopes),
    )


def read_metadata_document(document: Mapping[str, Any], offer: RegistrationOffer, *, client_id: str) -> ClientMetadata:
    """Return what a public client gets of its metadata document.

    Members that the server does not know are ignored, and nothing that the document refers to is fetched.

    Args:
        document: the JSON object that was fetched.
        offer: what the server offers to such a client.
        client_id: the URL that the document was fetched from.

    Raises:
        UnacceptableClient: a required member is missing or invalid, it describes another client or one that must
            authenticate, or nothing is left of its grants or redirect URIs.
    """
    if document.get("client_id") != client_id:
        raise _invalid(f"its client_id is {quote(document.get('client_id'))}, not the URL of the document")
    name = _required_name(document)
    _check_no_authentication(document)
    if "code" not in (_texts(document, "response_types") or ("code",)):
        raise _invalid('its response_types do not include "code"')
    return _narrow(document, offer, auth_method=WITHOUT_SECRET, client_name=name)


def problem_with_client_id(client_id: str, *, max_length: int) -> str | None:
    """Return why a URL cannot be a client's metadata document, as the rest of a sentence, or ``None``.

    Args:
        max_length: of the client ids that can be stored, in characters.

    Not checked: where the host name leads.
    """
    if len(client_id) > max_length:
        return f"is longer than {max_length} characters"
    if not is_redirect_uri(client_id):
        return "is not a URL"
    parts = urlsplit(client_id)
    problems = (
        (parts.scheme != "https" or not parts.hostname, "is not an https URL"),
        ("@" in parts.netloc or "#" in client_id, "has user information or a fragment"),
        (not parts.path or bool(_DOT_SEGMENTS & set(parts.path.split("/"))), "has no path, or one with dot segments"),
    )
    return next((problem for has_problem, problem in problems if has_problem), None)


def _narrow(
    document: Mapping[str, Any],
    offer: RegistrationOffer,
    *,
    auth_method: str,
    client_name: str,
    scopes: tuple[str, ...] | None = None,
) -> ClientMetadata:
    """Return the metadata with the grant type and redirect URIs that are left of those in a document."""
    uris, other_uris = _redirect_uris(document, offer)
    asked = _texts(document, "grant_types")
    asked = [AUTHORIZATION_CODE] if asked is None else asked
    usable = _usable_grant_types(asked, offer, auth_method)
    grant_type = next((each for each in usable if uris or each not in _WITH_REDIRECT), None)
    if grant_type is None:
        raise _without_redirect_uri(usable[0], other_uris)
    grant_types = grant_types_of(grant_type, offer.grant_types)
    return ClientMetadata(
        grant_type=grant_type,
        grant_types=grant_types,
        redirect_uris=uris,
        auth_method=auth_method,
        client_name=client_name,
        scopes=scopes,
        dropped=(*(f"grant type {quote(each)}" for each in asked if each not in grant_types), *other_uris),
    )


def _usable_grant_types(asked: Collection[str], offer: RegistrationOffer, auth_method: str) -> Sequence[str]:
    offered = [each for each in _PREFERENCE if each in asked and each in offer.grant_types]
    usable = [each for each in offered if not (each == CLIENT_CREDENTIALS and auth_method == WITHOUT_SECRET)]
    if usable:
        return usable
    if offered:
        raise _invalid("A client without a secret cannot use client_credentials.")
    known = [each for each in (*_PREFERENCE, REFRESH_TOKEN) if each in offer.grant_types]
    raise _invalid(f"None of grant_types can be registered here. Use one of: {', '.join(known)}.")


def _redirect_uris(document: Mapping[str, Any], offer: RegistrationOffer) -> tuple[tuple[str, ...], Sequence[str]]:
    """Return the redirect URIs that are allowed, and the others with their problems, in words."""
    asked = document.get("redirect_uris") or ()
    if not isinstance(asked, (list, tuple)):
        raise _invalid("redirect_uris must be an array of strings.")
    if len(asked) > MOST_REDIRECT_URIS:
        raise UnacceptableClient("invalid_redirect_uri", f"redirect_uris must have at most {MOST_REDIRECT_URIS} URIs.")
    problems = [(each, offer.problem_with_uri(each)) for each in asked]
    dropped = [f"redirect URI {quote(each)}, which {problem}" for each, problem in problems if problem is not None]
    return tuple(dict.fromkeys(each for each, problem in problems if problem is None)), dropped


def _without_redirect_uri(grant_type: str, dropped: Sequence[str]) -> UnacceptableClient:
    if not dropped:
        return UnacceptableClient("invalid_redirect_uri", f"redirect_uris is required for {grant_type}.")
    return UnacceptableClient(
        "invalid_redirect_uri",
        "None of redirect_uris is allowed here. Each must be https, http with a loopback host, or have another scheme "
        "that this server allows.",
        detail=f"its redirect_uris cannot be used: {'; '.join(dropped)}",
    )


def _check_syntax(redirect_uris: Collection[str]) -> None:
    """Refuse a request with a redirect URI that no client can have: its developer should learn of the mistake."""
    if not all(is_redirect_uri(uri) for uri in redirect_uris):
        raise UnacceptableClient(
            "invalid_redirect_uri",
            "Each of redirect_uris must be an ASCII URI without white space and backslashes, with a valid port if any, "
            f"of at most {LONGEST_REDIRECT_URI} characters.",
        )
    if any(has_user_information(uri) for uri in redirect_uris):
        raise UnacceptableClient(
            "invalid_redirect_uri", "None of redirect_uris may have a user name or password before its host."
        )


def _check_no_authentication(document: Mapping[str, Any]) -> None:
    """Check that the client may be a public one, which uses the method ``none``.

    If a document names another method alone, its client must authenticate: without that, anyone could pass for it.
    """
    if "client_secret" in document or "client_secret_expires_at" in document:
        raise _invalid("it has a client_secret, which a published document cannot have")
    # Without the member, RFC 7591 means a secret, which such a client cannot have.
    method = document.get("token_endpoint_auth_method", WITHOUT_SECRET)
    others = document.get("token_endpoint_auth_methods_supported", ())
    if method != WITHOUT_SECRET and not (isinstance(others, list) and WITHOUT_SECRET in others):
        raise _invalid(
            f'its token_endpoint_auth_method is {quote(method)}; only "none" is supported, for public clients with PKCE'
        )


def _required_name(document: Mapping[str, Any]) -> str:
    name = document.get("client_name")
    if not isinstance(name, str) or not any(map(_is_visible, name)):
        raise _invalid("it has no client_name, or an invisible one")
    if len(name) > LONGEST_NAME:
        raise _invalid(f"its client_name is longer than {LONGEST_NAME} characters")
    if not all(map(_is_displayable, name)):
        raise _invalid("its client_name has control characters or changes the direction of text")
    return name.strip()


def _is_displayable(character: str) -> bool:
    """Return whether a name can contain a character without misleading the users who read it."""
    return unicodedata.category(character) not in _UNPRINTABLE and character not in _BIDIRECTIONAL


def _is_visible(character: str) -> bool:
    return unicodedata.category(character)[0] in _VISIBLE and character not in _BLANK


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
