"""The tokens that this process has verified lately, so that a token that comes again and again costs no signature.

All that is remembered is that a key's holder signed these claims, which stays true. Whether the token is acceptable is
asked anew each time: whether the key ring of now still has that very key, the algorithm, the issuer, the audience and
the times. So neither a revoked key nor a changed setting leaves an old verdict behind.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.conf import register_process_cache
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

# How many tokens that were seen once are kept in mind, as one number each, before all of them are forgotten.
_SEEN_ONCE: Final = 8192
# How many of a token's last characters say where it is looked for: of the signature, so that they differ.
_TAIL: Final = 24
# How deep the claims of a remembered token may be nested; copying them may not exhaust the stack of any caller.
_MOST_LEVELS: Final = 16
_CONTAINERS: Final = frozenset({dict, list})


@dataclass(frozen=True, slots=True)
class _Verdict:
    """That a token was found acceptable: by which expectations, with which keys, and from when to when.

    All of it is compared by identity: settings and key rings are replaced as a whole, and never changed.
    """

    expected: Expectations
    key_ring: KeyRing
    since: float
    until: float


class _Remembered:
    """An authentic token, by the SHA-256 of all its characters: its claims and its key, and the last verdict on it.

    ``fields`` are the claims' fields as a plain tuple, which is quicker to make another one of.
    """

    __slots__ = ("claims", "digest", "fields", "key", "verdict")

    def __init__(self, digest: bytes, claims: AccessTokenClaims, key: PublicKey) -> None:
        self.digest: Final = digest
        self.claims: Final = claims
        self.fields: Final = tuple(claims)
        self.key: Final = key
        self.verdict: _Verdict | None = None


class _RecalledClaims(AccessTokenClaims):
    """Claims of which ``raw`` is the caller's own, so that no request sees what another one did to it.

    It is copied when somebody first looks at it, and most requests do not: the typed claims are enough for them.
    """

    @cached_property
    def raw(self) -> Mapping[str, Any]:
        """Every claim as it was in the token."""
        copy: Mapping[str, Any] = _copy(self[-1], _MOST_LEVELS)
        return copy

    def __iter__(self) -> Iterator[Any]:
        """Give the items; taken apart or as a dict, they must not bring out what is remembered either."""
        return iter((*self[:-1], self.raw))


class TokenCache:
    """A bounded memory of authentic tokens, shared by all threads of this process; the least recently used go first.

    It holds no credential, and only tokens that were accepted twice get in: whoever has none cannot push out others',
    and tokens that are used once cost next to nothing.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # By Python's own hash, which is quick to make, differs from process to process, and decides nothing: what is
        # found by it is compared by its digest.
        self._tokens: OrderedDict[int, _Remembered] = OrderedDict()
        self._seen: set[int] = set()

    def __len__(self) -> int:
        return len(self._tokens)

    def verify(self, token: str, keys: KeySource, expected: Expectations, now: float, size: int) -> AccessTokenClaims:
        """Verify as :func:`~django_at_jwt.core.verifier.verify_with_current_keys`, with the same outcome.

        Args:
            size: how many tokens to remember; with 0 this is that function and nothing else.

        Raises:
            TokenRejected: as there.
            KeysUnavailable: the issuer's keys cannot be read.

        As there, it does *not* check whether the token was revoked.
        """
        if len(self._tokens) > size:
            self._shrink(size)
        if size == 0:
            return verify_with_current_keys(token, keys=keys, expected=expected, now=now)
        place = hash(token[-_TAIL:])
        known = self._tokens.get(place)
        if (
            known is not None
            and len(token) <= expected.max_bytes
            and known.digest == _digest(token)
            and self._is_acceptable(known, place, keys, expected, now)
        ):
            try:  # noqa: SIM105 - contextlib.suppress() takes longer than all that is done here
                self._tokens.move_to_end(place)
            except KeyError:
                pass  # Another thread has just dropped it, which does not make it unacceptable.
            # As the tuple that it is: NamedTuple's own way there takes longer than all other checks.
            return tuple.__new__(_RecalledClaims, known.fields)
        claims, key = verify_signature_with_current_keys(token, keys, expected, now)
        check_claims(claims, expected, now)
        if self._was_seen(place):
            self._remember(token, place, claims, key)
            self._shrink(size)
        return claims

    def issuer_of(self, token: str) -> str | None:
        """Give the issuer of a token that is remembered, or ``None``, without reading the token.

        It says where to look and vouches for nothing: :meth:`verify` compares all of the token, and the issuer.
        """
        known = self._tokens.get(hash(token[-_TAIL:]))
        return None if known is None else known.claims.issuer

    def forget(self) -> None:
        """Forget all tokens."""
        self._shrink(0)
        self._seen.clear()

    def _was_seen(self, place: int) -> bool:
        """Tell whether a token was verified before, as far as that is still known, and keep it in mind."""
        if place in self._seen:
            return True
        if len(self._seen) >= _SEEN_ONCE:
            self._seen.clear()
        self._seen.add(place)
        return False

    def _is_acceptable(
        self, known: _Remembered, place: int, keys: KeySource, expected: Expectations, now: float
    ) -> bool:
        """Check all of a remembered token but its signature.

        Nothing is looked at again while the last verdict is one on these very expectations and keys, and for now.

        Returns:
            Whether the key that signed it is still one of those of now; if not, it is forgotten.

        Raises:
            TokenRejected: it is not acceptable.
        """
        verdict, key_ring = known.verdict, keys.at_hand()
        if (
            verdict is not None
            and verdict.expected is expected
            and verdict.key_ring is key_ring
            and verdict.since <= now < verdict.until
        ):
            return True
        if key_ring is None:
            # As for a token that was never seen: nobody is asked for keys because of one that has expired.
            self._check(known, place, expected, now)
            key_ring = keys.current()
        # Another key may have got the same kid meanwhile; that one did not sign this token.
        held = key_ring.public_keys.get(known.key.kid)
        if held is not known.key and held != known.key:
            self._drop(place)
            return False
        self._check(known, place, expected, now)
        known.verdict = _Verdict(expected, key_ring, now, known.claims.expires_at + expected.leeway)
        return True

    def _check(self, known: _Remembered, place: int, expected: Expectations, now: float) -> None:
        try:
            check_algorithm(known.key, expected)
            check_claims(known.claims, expected, now)
        except TokenRejected as rejected:
            if rejected.reason is RejectionReason.EXPIRED:
                self._drop(place)
            raise

    def _remember(self, token: str, place: int, claims: AccessTokenClaims, key: PublicKey) -> None:
        try:
            # The caller keeps the claims that it was given, and may do to them what it likes.
            own = claims._replace(raw=_copy(claims.raw, _MOST_LEVELS))
        except _TooDeep:
            return
        with self._lock:
            self._tokens[place] = _Remembered(_digest(token), own, key)

    def _shrink(self, size: int) -> None:
        with self._lock:
            while len(self._tokens) > size:
                self._tokens.popitem(last=False)

    def _drop(self, place: int) -> None:
        with self._lock:
            self._tokens.pop(place, None)


token_cache: Final = TokenCache()
register_process_cache(token_cache.forget)


def _digest(token: str) -> bytes:
    # Any text may come in a header; what is remembered is ASCII.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class _TooDeep(Exception):
    """Claims that are nested too deeply to be copied."""


def _copy(value: Any, levels: int) -> Any:
    """Copy JSON. ``copy.deepcopy`` takes several times as long, since it has to expect anything."""
    if levels == 0:
        raise _TooDeep
    copy = value.copy()
    for place, member in copy.items() if type(copy) is dict else enumerate(copy):
        if type(member) in _CONTAINERS:
            copy[place] = _copy(member, levels - 1)
    return copy
