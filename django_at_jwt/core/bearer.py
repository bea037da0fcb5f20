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
_UNQUOTABLE: Final = re.compile(r"[^\x20-\x7e]")


class MalformedCredentials(ValueError):
    """The header says ``Bearer`` but is not followed by exactly one token (RFC 6750 §2.1)."""


def bearer_token(authorization: str) -> str | None:
    """Take the token out of an ``Authorization`` header's value.

    Returns:
        The token, or ``None`` where the header is empty or of another scheme.

    Raises:
        MalformedCredentials: the scheme is ``Bearer``, and there is no token or more than one.
    """
    # Only what HTTP calls white space (RFC 9110 §5.6.3); str.strip() would take away more, and one token would have
    # several spellings.
    scheme, _, credentials = authorization.strip(_WHITE_SPACE).partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = credentials.strip(_WHITE_SPACE)
    if not token or " " in token or "\t" in token:
        raise MalformedCredentials("Bearer needs exactly one token after it")
    return token


@dataclass(frozen=True, kw_only=True, slots=True)
class Challenge:
    """What a ``WWW-Authenticate`` header tells a client (RFC 6750 §3).

    Without an ``error`` it only says that a token is needed, which is what a request without credentials is told.

    Attributes:
        scopes: those of a token that is enough.
        acr_values: the ways to log in of which one is needed, the preferred first (RFC 9470 §3).
        max_age: for how many seconds a login counts (RFC 9470 §3).
        resource_metadata: the URL of the document from which a client learns who issues tokens (RFC 9728 §5.1).
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
    # A quoted-string of RFC 7230 §3.2.6. What a header cannot carry is replaced, so that no value can end it.
    printable = _UNQUOTABLE.sub("?", value)
    return '"{}"'.format(printable.replace("\\", "\\\\").replace('"', '\\"'))
