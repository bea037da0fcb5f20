"""Rules for the redirect URIs of clients that register themselves (RFC 8252 section 7, RFC 9700 section 2.6)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import SplitResult, urlsplit

from .quotation import quote

if TYPE_CHECKING:
    from collections.abc import Collection

LONGEST_REDIRECT_URI: Final = 2000

# RFC 8252 section 7.3, and section 8.3 for the name. Only these may have another port in a request.
_LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})
# A URI with a space would be two once DOT has stored it.
_CHARACTERS: Final = re.compile(r"[\x21-\x7e]+")


def is_redirect_uri(uri: str) -> bool:
    """Return whether a URI is well-formed, can be stored, and is read by browsers as RFC 3986 has it."""
    return _split(uri) is not None


def has_user_information(uri: str) -> bool:
    """Return whether a URI has a user name or password before its host, as in ``https://user@example.com/``.

    Such a URI shows one host to people and leads to another.
    """
    try:
        return "@" in urlsplit(uri).netloc
    except ValueError:
        # Not a URI at all, which is reported elsewhere.
        return False


def is_remote_http(uri: str) -> bool:
    """Return whether a redirect URI has the scheme ``http`` and another host than the loopback ones."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        # As above.
        return False
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK_HOSTS


def problem_with_redirect_uri(uri: Any, *, schemes: Collection[str]) -> str | None:
    """Return why a client that registers itself cannot have a redirect URI, as the rest of a sentence, or ``None``.

    Args:
        schemes: the allowed schemes, in lower case. ``http`` is allowed for loopback hosts only (RFC 8252 section 7.3,
            RFC 9700 section 2.6).

    Wildcards and user information are never allowed, nor is a host that browsers would decode.
    """
    parts = _split(uri) if isinstance(uri, str) else None
    if parts is None:
        return f"is not a URI of at most {LONGEST_REDIRECT_URI} ASCII characters"
    problems = (
        (
            "#" in uri or any(each in parts.netloc for each in "@*%"),
            "has a fragment, user information, or a wildcard or percent sign in its host",
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
    if len(uri) > LONGEST_REDIRECT_URI or not _CHARACTERS.fullmatch(uri) or "\\" in uri:
        return None
    try:
        parts = urlsplit(uri)
        # An invalid port raises ValueError.
        _ = parts.port
    except ValueError:
        return None
    return parts
