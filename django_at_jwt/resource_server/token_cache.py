"""A cache of recently verified tokens, so that a repeated token costs no signature verification.

An entry records only that a key signed these claims, which stays true. The key, the algorithm, the issuer, the audience
and the times are checked on each use against the current key ring and settings, so a revoked key or a changed setting
takes effect at once.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.core.errors import RejectionReason, TokenRejected
from django_at_jwt.core.profile import AccessTokenClaims
from django_at_jwt.core.verifier import (
    check_algorithm,
    check_claims,
    verify_signature_with_current_keys,
    verify_with_current_keys,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from django_at_jwt.core.jose.keyring import KeyRing
    from django_at_jwt.core.jose.keys import PublicKey
    from django_at_jwt.core.verifier import Expectations, KeySource

# Tokens seen once: the number of hashes that are kept before the set is cleared.
_MAX_SEEN_ONCE: Final = 8192
# The last characters of a token, which are part of its signature, make its cache slot.
_TAIL_LENGTH: Final = 24
# Claims nested more deeply than this are not cached: copying them must not exhaust the stack.
_MAX_DEPTH: Final = 16
_CONTAINERS: Final = frozenset({dict, list})


@dataclass(frozen=True, slots=True)
class _Verdict:
    """The expectations and the key ring that accepted a token, and the time span in which that holds.

    Both are compared by identity: settings and key rings are replaced as a whole and never modified.
    """

    expected: Expectations
    key_ring: KeyRing
    since: float
    until: float


class _Entry:
    """A token whose signature was verified: its SHA-256 digest, its claims, its key and the last verdict."""

    __slots__ = ("claims", "digest", "key", "verdict")

    def __init__(self, digest: bytes, claims: AccessTokenClaims, key: PublicKey) -> None:
        self.digest: Final = digest
        self.claims: Final = claims
        self.key: Final = key
        self.verdict: _Verdict | None = None


class _CopiedClaims(AccessTokenClaims):
    """Claims whose ``raw`` is a copy, so that no request sees another request's changes to it.

    The copy is made on first access. Most requests only read the typed claims.
    """

    @cached_property
    def raw(self) -> Mapping[str, Any]:
        """All claims as they are in the token."""
        copy: Mapping[str, Any] = _copy(super().raw, _MAX_DEPTH)
        return copy

    def __iter__(self) -> Iterator[Any]:
        """Return an iterator over the fields, with the copy of ``raw`` instead of the cached original."""
        return iter((*self[:-1], self.raw))


class TokenCache:
    """A bounded LRU cache of verified tokens, shared by all threads of this process.

    It stores no credential. A token is cached the second time it is accepted, so requests without a valid token
    cannot evict others, and tokens that are used once cost next to nothing.

    Args:
        size: the maximum number of cached tokens; 0 turns the cache off.
    """

    def __init__(self, size: int) -> None:
        self._size: Final = size
        self._lock = threading.Lock()
        # The key is Python's hash of the token's tail: fast, and only a slot, since a hit is confirmed by the digest.
        self._tokens: OrderedDict[int, _Entry] = OrderedDict()
        self._seen: set[int] = set()

    def __len__(self) -> int:
        return len(self._tokens)

    def verify(self, token: str, keys: KeySource, expected: Expectations, now: float) -> AccessTokenClaims:
        """Verify a token, with the same result as :func:`~django_at_jwt.core.verifier.verify_with_current_keys`.

        Args:
            now: seconds since the epoch.

        Raises:
            TokenRejected: the token must not be accepted.
            KeysUnavailable: the issuer's keys are not available.

        Not checked: whether the token was revoked.
        """
        if self._size == 0:
            return verify_with_current_keys(token, keys=keys, expected=expected, now=now)
        slot = hash(token[-_TAIL_LENGTH:])
        entry = self._tokens.get(slot)
        if (
            entry is not None
            and len(token) <= expected.max_bytes
            and entry.digest == _digest(token)
            and self._is_acceptable(entry, slot, keys, expected, now)
        ):
            with suppress(KeyError):  # Another thread may have just dropped it.
                self._tokens.move_to_end(slot)
            return _CopiedClaims._make(entry.claims)
        claims, key = verify_signature_with_current_keys(token, keys, expected, now)
        check_claims(claims, expected, now)
        if self._seen_before(slot):
            self._remember(token, slot, claims, key)
        return claims

    def issuer_of(self, token: str) -> str | None:
        """Return the issuer of a cached token, or ``None``, without parsing the token.

        The result is only a hint: :meth:`verify` compares the whole token, and the issuer.
        """
        entry = self._tokens.get(hash(token[-_TAIL_LENGTH:]))
        return None if entry is None else entry.claims.issuer

    def _seen_before(self, slot: int) -> bool:
        """Return whether a token was verified before, as far as that is still known, and record it."""
        if slot in self._seen:
            return True
        if len(self._seen) >= _MAX_SEEN_ONCE:
            self._seen.clear()
        self._seen.add(slot)
        return False

    def _is_acceptable(self, entry: _Entry, slot: int, keys: KeySource, expected: Expectations, now: float) -> bool:
        """Check everything about a cached token except its signature.

        The last verdict is reused while it is about the same expectations and key ring, and covers ``now``.

        Returns:
            Whether the current key ring still has the key that signed it; if not, the token is dropped.

        Raises:
            TokenRejected: the token must not be accepted.
        """
        verdict, key_ring = entry.verdict, keys.at_hand()
        if (
            verdict is not None
            and verdict.expected is expected
            and verdict.key_ring is key_ring
            and verdict.since <= now < verdict.until
        ):
            return True
        if key_ring is None:
            # Checked first, as for an unknown token: an expired token causes no request for keys.
            self._check(entry, slot, expected, now)
            key_ring = keys.current()
        # A different key may have the same kid by now; it did not sign this token.
        held = key_ring.public_keys.get(entry.key.kid)
        if held is not entry.key and held != entry.key:
            self._drop(slot)
            return False
        self._check(entry, slot, expected, now)
        entry.verdict = _Verdict(expected, key_ring, now, entry.claims.expires_at + expected.leeway)
        return True

    def _check(self, entry: _Entry, slot: int, expected: Expectations, now: float) -> None:
        try:
            check_algorithm(entry.key, expected)
            check_claims(entry.claims, expected, now)
        except TokenRejected as rejected:
            if rejected.reason is RejectionReason.EXPIRED:
                self._drop(slot)
            raise

    def _remember(self, token: str, slot: int, claims: AccessTokenClaims, key: PublicKey) -> None:
        try:
            # A copy, since the caller may modify the claims that it gets.
            own = claims._replace(raw=_copy(claims.raw, _MAX_DEPTH))
        except _NestedTooDeeply:
            return
        with self._lock:
            self._tokens[slot] = _Entry(_digest(token), own, key)
            if len(self._tokens) > self._size:
                self._tokens.popitem(last=False)

    def _drop(self, slot: int) -> None:
        with self._lock:
            self._tokens.pop(slot, None)


def _digest(token: str) -> bytes:
    # "surrogatepass", since a header may hold any text.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class _NestedTooDeeply(Exception):
    """The claims are nested too deeply to be copied."""


def _copy(value: Any, levels: int) -> Any:
    """Return a deep copy of a JSON object or array, several times as fast as ``copy.deepcopy``."""
    if levels == 0:
        raise _NestedTooDeeply
    copy = value.copy()
    for index, member in copy.items() if type(copy) is dict else enumerate(copy):
        if type(member) in _CONTAINERS:
            copy[index] = _copy(member, levels - 1)
    return copy
