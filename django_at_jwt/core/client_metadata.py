"""Client ID metadata documents (draft-ietf-oauth-client-id-metadata-document): what a client says about itself."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlsplit

from .errors import UnacceptableDocument
from .quotation import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

# RFC 8252 §7.3, and §8.3 for the name. Only these may have another port in a request.
_LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_LONGEST_NAME: Final = 255
_LONGEST_URI: Final = 2000
_MOST_URIS: Final = 50
# A URI with a space would be two once DOT has stored it.
_URI: Final = re.compile(r"[\x21-\x7e]+")
# Control characters, lone surrogates and separators of lines.
_UNPRINTABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
# They make a name look like another one: bidirectional overrides and isolates.
_BIDIRECTIONAL: Final = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_DOT_SEGMENTS: Final = frozenset({".", ".."})


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientMetadata:
    """What a public client gets of its metadata document.

    Attributes:
        client_id: the URL of the document.
        name: the name that it gives itself.
        redirect_uris: those that it may use, in the order of the document.
        grant_types: those that it asks for and that the server offers.
        dropped: what it asks for and does not get, in words, for people.
    """

    client_id: str
    name: str
    redirect_uris: tuple[str, ...]
    grant_types: tuple[str, ...]
    dropped: tuple[str, ...] = ()


def problem_with_client_id(client_id: str, *, max_length: int) -> str | None:
    """Return why a URL cannot be a client's metadata document, as the rest of a sentence, or ``None``.

    Args:
        max_length: of the client ids that can be stored, in characters.

    Not checked: where the host name leads.
    """
    if len(client_id) > max_length:
        return f"is longer than {max_length} characters"
    parts = _split(client_id)
    if parts is None:
        return "is not a URL"
    problems = (
        (parts.scheme != "https" or not parts.hostname, "is not an https URL"),
        ("@" in parts.netloc or "#" in client_id, "has user information or a fragment"),
        (not parts.path or bool(_DOT_SEGMENTS & set(parts.path.split("/"))), "has no path, or one with dot segments"),
    )
    return next((problem for has_problem, problem in problems if has_problem), None)


def problem_with_redirect_uri(uri: Any, *, schemes: Collection[str]) -> str | None:
    """Return why a client that registers itself cannot have a redirect URI, as the rest of a sentence, or ``None``.

    Args:
        schemes: the allowed schemes, in lower case. ``http`` is allowed for loopback hosts only (RFC 8252 §7.3, RFC
            9700 §2.6).

    Wildcards and user information are never allowed.
    """
    parts = _split(uri) if isinstance(uri, str) and len(uri) <= _LONGEST_URI else None
    if parts is None:
        return f"is not a URI of at most {_LONGEST_URI} ASCII characters"
    problems = (
        (
            "#" in uri or "@" in parts.netloc or "*" in parts.netloc,
            "has a fragment, user information or a wildcard",
        ),
        (
            parts.scheme not in schemes,
            f"has the scheme {quote(parts.scheme)}, which ALLOWED_REDIRECT_URI_SCHEMES does not list",
        ),
        (parts.scheme in {"https", "http"} and not parts.hostname, "has no host"),
        (
            is_remote_http(uri),
            "has the scheme http, which is allowed for 127.0.0.1, [::1] and localhost only",
        ),
    )
    return next((problem for has_problem, problem in problems if has_problem), None)


def _split(uri: str) -> SplitResult | None:
    """Return the parts of a URI, or ``None`` if it is malformed, or browsers read it differently than RFC 3986."""
    if not _URI.fullmatch(uri) or "\\" in uri:
        return None
    try:
        parts = urlsplit(uri)
        # An invalid port raises ValueError.
        _ = parts.port
    except ValueError:
        return None
    return parts


def is_remote_http(uri: str) -> bool:
    """Return whether a redirect URI has the scheme ``http`` and another host than the loopback ones."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        # Not a URI at all, which is reported elsewhere.
        return False
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK_HOSTS


def read_client_metadata(
    document: Mapping[str, Any],
    *,
    client_id: str,
    grant_types: Collection[str],
    problem_with_uri: Callable[[Any], str | None],
) -> ClientMetadata:
    """Return what a public client gets of its metadata document: what it asks for, limited to what is offered.

    Members that the server does not know are ignored, and nothing that the document refers to is fetched.

    Args:
        client_id: the URL that the document was fetched from.
        grant_types: those that the server offers to public clients.
        problem_with_uri: as :func:`problem_with_redirect_uri`; redirect URIs with a problem are dropped.

    Raises:
        UnacceptableDocument: a required member is missing or invalid, it describes another client or one that must
            authenticate, or nothing is left of its grants or redirect URIs.
    """
    if document.get("client_id") != client_id:
        raise UnacceptableDocument(f"its client_id is {quote(document.get('client_id'))}, not the URL of the document")
    name = _name(document)
    _check_authentication(document)
    grants, other_grants = _grant_types(document, grant_types)
    uris, other_uris = _redirect_uris(document, problem_with_uri)
    return ClientMetadata(
        client_id=client_id,
        name=name,
        redirect_uris=uris,
        grant_types=grants,
        dropped=(*(f"grant type {quote(each)}" for each in other_grants), *other_uris),
    )


def _name(document: Mapping[str, Any]) -> str:
    name = document.get("client_name")
    if not isinstance(name, str) or not name.strip():
        raise UnacceptableDocument("it has no client_name")
    if len(name) > _LONGEST_NAME:
        raise UnacceptableDocument(f"its client_name is longer than {_LONGEST_NAME} characters")
    if any(unicodedata.category(each) in _UNPRINTABLE or each in _BIDIRECTIONAL for each in name):
        raise UnacceptableDocument("its client_name has control characters or changes the direction of text")
    return name.strip()


def _check_authentication(document: Mapping[str, Any]) -> None:
    """Check that the client may be a public one, which uses the method ``none``.

    If a document names another method alone, its client must authenticate: without that, anyone could pass for it.
    """
    if "client_secret" in document or "client_secret_expires_at" in document:
        raise UnacceptableDocument("it has a client_secret, which a published document cannot have")
    # Without the member, RFC 7591 means a secret, which such a client cannot have.
    method = document.get("token_endpoint_auth_method", "none")
    others = document.get("token_endpoint_auth_methods_supported", ())
    if method != "none" and not (isinstance(others, list) and "none" in others):
        raise UnacceptableDocument(
            f'its token_endpoint_auth_method is {quote(method)}; only "none" is supported, for public clients with PKCE'
        )


def _grant_types(document: Mapping[str, Any], offered: Collection[str]) -> tuple[tuple[str, ...], Sequence[str]]:
    asked = _texts(document, "grant_types", default=["authorization_code"])
    if "code" not in _texts(document, "response_types", default=["code"]):
        raise UnacceptableDocument('its response_types do not include "code"')
    if "authorization_code" not in asked or "authorization_code" not in offered:
        raise UnacceptableDocument("it does not use the authorization_code grant, or this server does not offer it")
    return tuple(each for each in asked if each in offered), [each for each in asked if each not in offered]


def _redirect_uris(
    document: Mapping[str, Any], problem_with_uri: Callable[[Any], str | None]
) -> tuple[tuple[str, ...], Sequence[str]]:
    asked = document.get("redirect_uris")
    if not isinstance(asked, list) or not asked:
        raise UnacceptableDocument("it has no redirect_uris")
    if len(asked) > _MOST_URIS:
        raise UnacceptableDocument(f"it has more than {_MOST_URIS} redirect_uris")
    problems = [(each, problem_with_uri(each)) for each in asked]
    dropped = [f"redirect URI {quote(each)}, which {problem}" for each, problem in problems if problem is not None]
    kept = tuple(dict.fromkeys(each for each, problem in problems if problem is None))
    if not kept:
        raise UnacceptableDocument(f"its redirect_uris cannot be used: {'; '.join(dropped)}")
    return kept, dropped


def _texts(document: Mapping[str, Any], member: str, *, default: Sequence[str]) -> Sequence[str]:
    texts = document.get(member, default)
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        raise UnacceptableDocument(f"its {member} must be an array of strings (got {quote(texts)})")
    return texts
