"""The deny list: revocations that still concern an unexpired token."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .profile import AccessTokenClaims

    # By kind and name: until when revoked tokens were issued, and when the entry expires.
    _Kept = dict[tuple["DenyKind", str], tuple[int | None, int]]

_RESOLUTION: Final = 60
# The first part of a ``jti``.
_AUTHORIZATION: Final = slice(32)


class DenyKind(StrEnum):
    """What an entry of the deny list names."""

    TOKEN = "token"  # noqa: S105 - not a password
    AUTHORIZATION = "authorization"
    CLIENT = "client"
    AUDIENCE = "audience"

    @property
    def is_bounded(self) -> bool:
        """Whether its entries concern only tokens that were issued up to an instant."""
        return self in {DenyKind.CLIENT, DenyKind.AUDIENCE}

    @property
    def of_token(self) -> str:
        """What an entry names, in a sentence about the token."""
        return "it" if self is DenyKind.TOKEN else f"its {self.value}"


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
    """The live entries of one issuer. One thread at a time may change it, while others call :meth:`hit`.

    A million entries take about 90 MB: of tokens and authorizations it keeps Python's 64-bit hash, which is fast, and
    entries that expire in the same minute share that number. With a million entries, a token that is not revoked is
    denied with a probability of 5e-14.

    Attributes:
        changes: how often the entries that :meth:`kept` returns have changed.
    """

    def __init__(self, entries: Iterable[DenyEntry] = ()) -> None:
        self.changes = 0
        self._most_kept = 0
        self._kept: _Kept | None = None
        # The values are when the entries expire, in seconds since the epoch, rounded up to a minute.
        self._tokens: dict[int, int] = {}
        self._authorizations: dict[int, int] = {}
        self._bounded: dict[tuple[DenyKind, str, int], int] = {}
        # The latest instant up to which tokens of a client, or for an audience, are concerned.
        self._clients: dict[str, int] = {}
        self._audiences: dict[str, int] = {}
        self._latest = {DenyKind.CLIENT: self._clients, DenyKind.AUDIENCE: self._audiences}
        self._minutes: dict[int, int] = {}
        self.update(entries)

    def __len__(self) -> int:
        return sum(len(each) for each in self._all())

    @property
    def has_authorizations(self) -> bool:
        """Whether any entry names an authorization."""
        return bool(self._authorizations)

    def count(self, *, expiring_after: int) -> int:
        """Return the number of entries that expire after a full minute, in seconds since the epoch."""
        return sum(expires_at > expiring_after for each in self._all() for expires_at in each.values())

    def keep(self, most: int) -> None:
        """Keep the entries added from now on for :meth:`kept`, unless there are more than ``most``."""
        self._most_kept, self._kept = most, {}

    def kept(self) -> tuple[DenyEntry, ...] | None:
        """Return the entries, or ``None`` if they are not kept: there are, or were, too many.

        Of the entries of one client, or of one audience, there is only one: with the latest instant and the latest end.
        """
        # A copy, since another thread may change it in the meantime.
        kept = None if self._kept is None else self._kept.copy()
        return None if kept is None else tuple(DenyEntry(*name, *instants) for name, instants in kept.items())

    def update(self, entries: Iterable[DenyEntry]) -> None:
        """Add entries. Adding an entry again has no effect."""
        for kind, value, issued_until, expires_at in entries:
            if self._kept is not None:
                self._keep(self._kept, DenyEntry(kind, value, issued_until, expires_at))
            minute = -(-expires_at // _RESOLUTION) * _RESOLUTION
            minute = self._minutes.setdefault(minute, minute)
            if kind is DenyKind.TOKEN:
                self._tokens[hash(value)] = minute
            elif kind is DenyKind.AUTHORIZATION:
                self._authorizations[hash(value)] = minute
            else:
                latest, until = self._latest[kind], issued_until or 0
                self._bounded[kind, value, until] = minute
                latest[value] = max(until, latest.get(value, until))

    def remove(self, entries: Iterable[DenyEntry]) -> None:
        """Remove entries of clients or audiences. Removing an entry that is not in the list has no effect."""
        for kind, value, issued_until, _ in entries:
            if self._bounded.pop((kind, value, issued_until or 0), None) is None:
                continue
            left = [until for each, name, until in self._bounded if (each, name) == (kind, value)]
            del self._latest[kind][value]
            if left:
                self._latest[kind][value] = max(left)
            if self._kept is not None:
                former = self._kept.pop((kind, value), None)
                if left and former is not None:
                    self._kept[kind, value] = (max(left), former[1])
                self.changes += 1

    def drop_expired(self, now: float) -> None:
        """Remove entries that no longer concern any token. ``now`` is in seconds since the epoch."""
        for each in self._all():
            for key in [key for key, expires_at in each.items() if expires_at <= now]:
                del each[key]
        # Only those in use: a hostile issuer can change the ends of its entries with each document.
        self._minutes = {minute: minute for each in self._all() for minute in each.values()}
        if self._kept is not None:
            for name in [name for name, (_, expires_at) in self._kept.items() if expires_at <= now]:
                del self._kept[name]
                self.changes += 1
        for kind, latest in self._latest.items():
            live = {value for each, value, _ in self._bounded if each is kind}
            for value in latest.keys() - live:
                del latest[value]

    def hit(self, claims: AccessTokenClaims) -> DenyKind | None:
        """Return the kind of an entry that concerns a token, or ``None``.

        An audience entry counts only if no audience of the token is left.

        Args:
            claims: the claims of a verified token of the issuer; at an API, limited to its identifiers
                (:meth:`~.profile.AccessTokenClaims.limited_to`).
        """
        token_id = claims.token_id
        if hash(token_id) in self._tokens:
            return DenyKind.TOKEN
        if hash(token_id[_AUTHORIZATION]) in self._authorizations:
            return DenyKind.AUTHORIZATION
        if self._clients and claims.issued_at <= self._clients.get(claims.client_id, -1):
            return DenyKind.CLIENT
        revoked = self._audiences
        if revoked and claims.audience and all(claims.issued_at <= revoked.get(each, -1) for each in claims.audience):
            return DenyKind.AUDIENCE
        return None

    def names_authorization(self, identifier: str) -> bool:
        """Return whether an entry names an authorization. For tokens whose ``jti`` does not contain it."""
        return hash(identifier) in self._authorizations

    def _all(self) -> tuple[dict[Any, int], ...]:
        return self._tokens, self._authorizations, self._bounded

    def _keep(self, kept: _Kept, entry: DenyEntry) -> None:
        kind, value, issued_until, expires_at = entry
        former = kept.get((kind, value))
        if former is not None:
            # The later instant concerns the tokens of the earlier one, too.
            issued_until = max(issued_until or 0, former[0] or 0) if kind.is_bounded else None
            expires_at = max(expires_at, former[1])
        if former != (issued_until, expires_at):
            kept[kind, value] = (issued_until, expires_at)
            self.changes += 1
        if len(kept) > self._most_kept:
            self._kept = None
