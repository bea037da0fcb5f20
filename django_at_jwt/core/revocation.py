"""How a resource server learns that a token was revoked before it expired."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from .profile import AccessTokenClaims


class Revocation(StrEnum):
    """How a token that is otherwise valid is checked for revocation.

    Attributes:
        OFFLINE: not at all: a revoked token is accepted until it expires.
        DENY_LIST: by the deny list in memory, which each process reads again every few seconds: from the database, or
            from the document that another project's issuer publishes.
        ROW: by the deny list, and the token's row in the database, with a query for each request.
        INTROSPECT: at the issuer, by token introspection (RFC 7662).
    """

    OFFLINE = "offline"
    DENY_LIST = "deny_list"
    ROW = "row"
    INTROSPECT = "introspect"


class RevocationPolicy(Protocol):
    """A check of a verified token for revocation."""

    def __call__(self, claims: AccessTokenClaims, token: str) -> None:
        """Return if the token is not known to be revoked.

        Raises:
            TokenRejected: it is revoked.
            RevocationUnavailable: whether it is revoked cannot be found out.
        """
        ...

    def in_memory(self, claims: AccessTokenClaims, token: str) -> None:
        """Check as by calling it, without a query or a request.

        Raises:
            TokenRejected: as by calling it.
            ReadNeeded: memory is not sufficient.
        """
        ...
