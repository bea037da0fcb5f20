"""The deny list: revocations that still concern an unexpired token."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from .token_id import TokenId, digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .profile import AccessTokenClaims


class DenyKind(StrEnum):
    """What an entry of the deny list names."""

    TOKEN = "token"  # noqa: S105 - not a password
    AUTHORIZATION = "authorization"
    CLIENT = "client"
    AUDIENCE = "audience"


class DenyEntry(NamedTuple):
    """An entry of the deny list.

    Attributes:
        kind: what ``value`` names.
        value: a ``jti``, an authorization's identifier, a ``client_id`` or an audience.
        issued_until: the entry concerns tokens with ``iat`` up to this instant; ``None`` for any ``iat``, as for tokens
            and authorizations. Seconds since the epoch.
        expires_at: when the last token that it can concern has expired, in seconds since the epoch.
    """

    kind: DenyKind
    value: str
    issued_until: int | None
    expires_at: int


class DenyList:
    """The live entries of one issuer. Reads are safe while another thread adds entries.

    A million entries take about 110 MB: tokens and authorizations are kept as 16 bytes each.
    """

    def __init__(self, entries: Iterable[DenyEntry] = ()) -> None:
        # The value is when the entry expires, in seconds since the epoch.
        self._tokens: dict[bytes, int] = {}
        self._authorizations: dict[bytes, int] = {}
        # The value also has the instant up to which tokens are concerned.
        self._clients: dict[str, tuple[int, int]] = {}
        self._audiences: dict[str, tuple[int, int]] = {}
        self.update(entries)

    def __len__(self) -> int:
        return len(self._tokens) + len(self._authorizations) + len(self._clients) + len(self._audiences)

    def update(self, entries: Iterable[DenyEntry]) -> None:
        """Add entries. Of two for the same client or audience, the later instant counts."""
        for kind, value, issued_until, expires_at in entries:
            match kind:
                case DenyKind.TOKEN:
                    self._tokens[digest_of(value)] = expires_at
                case DenyKind.AUTHORIZATION:
                    self._authorizations[bytes.fromhex(value)] = expires_at
                case DenyKind.CLIENT:
                    _keep_latest(self._clients, value, (issued_until or 0, expires_at))
                case DenyKind.AUDIENCE:
                    _keep_latest(self._audiences, value, (issued_until or 0, expires_at))

    def drop_expired(self, now: float) -> None:
        """Remove entries that no longer concern any token."""
        for each in (self._tokens, self._authorizations):
            for key in [key for key, expires_at in each.items() if expires_at <= now]:
                del each[key]
        for bounded in (self._clients, self._audiences):
            for name in [name for name, (_, expires_at) in bounded.items() if expires_at <= now]:
                del bounded[name]

    def hit(self, claims: AccessTokenClaims, audience: str | None) -> DenyKind | None:
        """Return the kind of an entry that concerns a token at an API, or ``None``.

        Args:
            claims: the claims of a verified token of the issuer.
            audience: the API's identifier; ``None`` to count an audience entry only if no audience of the token is
                left.
        """
        if self._tokens and digest_of(claims.token_id) in self._tokens:
            return DenyKind.TOKEN
        if self._authorizations and self._is_of_ended_authorization(claims.token_id):
            return DenyKind.AUTHORIZATION
        if self._clients and _covers(self._clients.get(claims.client_id), claims):
            return DenyKind.CLIENT
        if self._audiences:
            concerned = claims.audience if audience is None else (audience,)
            if all(_covers(self._audiences.get(each), claims) for each in concerned):
                return DenyKind.AUDIENCE
        return None

    def _is_of_ended_authorization(self, token_id: str) -> bool:
        parsed = TokenId.parse(token_id)
        return parsed is not None and bytes.fromhex(parsed.authorization) in self._authorizations


def _keep_latest(entries: dict[str, tuple[int, int]], value: str, entry: tuple[int, int]) -> None:
    entries[value] = max(entry, entries.get(value, entry))


def _covers(entry: tuple[int, int] | None, claims: AccessTokenClaims) -> bool:
    return entry is not None and claims.issued_at <= entry[0]
