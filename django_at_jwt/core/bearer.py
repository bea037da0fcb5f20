"""Bearer credentials in requests, and the challenges that answer them (RFC 6750, RFC 7235, RFC 9470, RFC 9728)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

SCHEME: Final = "Bearer"
INVALID_TOKEN: Final = "invalid_token"  # noqa: S105 - an error code, no secret
INVALID_REQUEST: Final = "invalid_request"
INSUFFICIENT_SCOPE: Final = "insufficient_scope"
INSUFFICIENT_USER_AUTHENTICATION: Final = "insufficient_user_authentication"

_WHITE_SPACE: Final = " \t"
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_UNQUOTABLE: Final = re.compile(r"[^\x20-\x7e]")


class MalformedCredentials(ValueError):
    """``Bearer`` is not followed by exactly one token (RFC 6750 section 2.1)."""


def bearer_token(authorization: str) -> str | None:
    """Return the token in the value of an ``Authorization`` header.

    Returns:
        The token, or ``None`` if the header is empty or has another scheme.

    Raises:
        MalformedCredentials: the scheme is ``Bearer``, and there is no token or more than one.
    """
    # Strip only HTTP's white space (RFC 9110 section 5.6.3): str.strip() would give one token several spellings.
    scheme, _, credentials = authorization.strip(_WHITE_SPACE).partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = credentials.strip(_WHITE_SPACE)
    if not token or " " in token or "\t" in token:
        raise MalformedCredentials("Bearer must be followed by exactly one token")
    return token


def has_bearer_credentials(authorization: str) -> bool:
    """Return whether the value of an ``Authorization`` header has the scheme ``Bearer``, even if it is malformed."""
    try:
        return bearer_token(authorization) is not None
    except MalformedCredentials:
        return True


def is_scope(value: object) -> bool:
    """Return whether a value is one scope: printable ASCII without space, quote or backslash (RFC 6749 section 3.3)."""
    return isinstance(value, str) and _SCOPE.fullmatch(value) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Challenge:
    """The value of a ``WWW-Authenticate`` header (RFC 6750 section 3).

    Without ``error`` it only says that a token is needed: the challenge to a request without credentials.

    Attributes:
        scopes: the scopes that are required.
        acr_values: the accepted authentication contexts, in order of preference (RFC 9470 section 3).
        max_age: the maximum age of the login in seconds (RFC 9470 section 3).
        resource_metadata: the URL of the protected resource metadata, which names the issuers (RFC 9728 section 5.1).
    """

    error: str | None = None
    description: str | None = None
    scopes: Iterable[str] = ()
    acr_values: Iterable[str] = ()
    max_age: int | None = None
    resource_metadata: str | None = None

    def __str__(self) -> str:
        members = (
            ("error", self.error),
            ("scope", " ".join(self.scopes)),
            ("error_description", self.description),
            ("acr_values", " ".join(self.acr_values)),
            ("max_age", None if self.max_age is None else str(self.max_age)),
            ("resource_metadata", self.resource_metadata),
        )
        written = ", ".join(f"{name}={_quoted(value)}" for name, value in members if value)
        return f"{SCHEME} {written}" if written else SCHEME


def _quoted(value: str) -> str:
    # A quoted-string of RFC 7230 section 3.2.6. Other characters are replaced, so that no value can inject a header.
    printable = _UNQUOTABLE.sub("?", value)
    return '"{}"'.format(printable.replace("\\", "\\\\").replace('"', '\\"'))
