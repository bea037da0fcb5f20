"""The tokens that this process has verified lately, so that the same token again costs no signature.

All that is remembered is that a key's holder signed these claims, which stays true. Whether the token is acceptable is
asked anew each time: whether the key ring of now still has that very key, the algorithm, the issuer, the audience and
the times. So neither a revoked key nor a changed setting leaves an old verdict behind.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from django_at_jwt.conf import app_settings
from django_at_jwt.core.errors import RejectionReason, TokenRejected
from django_at_jwt.core.verifier import (
    AuthenticToken,
    check_expectations,
    verify_signature_with_current_keys,
    verify_with_current_keys,
)

if TYPE_CHECKING:
    from django_at_jwt.core.profile import AccessTokenClaims
    from django_at_jwt.core.verifier import Expectations, KeySource

# How deep the claims of a remembered token may be nested; copying them may not exhaust the stack of any caller.
_MOST_LEVELS: Final = 16
_CONTAINERS: Final = frozenset({dict, list})


class VerifiedTokens:
    """A bounded memory of authentic tokens, shared by all threads of this process; the least recently used go first.

    A token is known by the SHA-256 of all its characters, so that the memory holds no credential. Only tokens that were
    accepted get in: whoever has none cannot push out others'.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._authentic: OrderedDict[bytes, AuthenticToken] = OrderedDict()

    def __len__(self) -> int:
        return len(self._authentic)

    def verify(self, token: str, *, keys: KeySource, expected: Expectations, now: float) -> AccessTokenClaims:
        """Verify as :func:`~django_at_jwt.core.verifier.verify_with_current_keys`, with the same outcome.

        ``AT_JWT["VERIFIED_TOKEN_CACHE_SIZE"]`` says how many tokens to remember; with 0 this is that function and
        nothing else.

        Raises:
            TokenRejected: as there.
            KeysUnavailable: the issuer's keys cannot be read.

        As there, it does *not* check whether the token was revoked.
        """
        size = app_settings().verified_token_cache_size
        if len(self._authentic) > size:
            self._shrink(size)
        if size == 0:
            return verify_with_current_keys(token, keys=keys, expected=expected, now=now)
        digest = _digest(token, expected)
        known = self._recall(digest, keys)
        authentic = known or verify_signature_with_current_keys(token, keys=keys, expected=expected)
        try:
            check_expectations(authentic, expected=expected, now=now)
        except TokenRejected as rejected:
            if rejected.reason is RejectionReason.EXPIRED:
                self._drop(digest)
            raise
        if known is not None:
            return _copied(known)
        self._remember(digest, authentic, size)
        return authentic.claims

    def forget(self) -> None:
        """Forget all tokens."""
        self._shrink(0)

    def _shrink(self, size: int) -> None:
        with self._lock:
            while len(self._authentic) > size:
                self._authentic.popitem(last=False)

    def _recall(self, digest: bytes | None, keys: KeySource) -> AuthenticToken | None:
        if digest is None:
            return None
        with self._lock:
            known = self._authentic.get(digest)
            if known is None:
                return None
            self._authentic.move_to_end(digest)
        # Another key may have got the same kid meanwhile; that one did not sign this token.
        held = keys.current().verification_keys.get(known.key.kid)
        if held is known.key or held == known.key:
            return known
        self._drop(digest)
        return None

    def _remember(self, digest: bytes | None, authentic: AuthenticToken, size: int) -> None:
        if digest is None:
            return
        try:
            # The caller may do to its claims what it likes, and so may whoever gets the next copy.
            remembered = authentic._replace(claims=_copied(authentic))
        except _TooDeep:
            return
        with self._lock:
            self._authentic[digest] = remembered
        self._shrink(size)

    def _drop(self, digest: bytes | None) -> None:
        if digest is not None:
            with self._lock:
                self._authentic.pop(digest, None)


verified_tokens: Final = VerifiedTokens()


def _digest(token: str, expected: Expectations) -> bytes | None:
    """Give what a token is known by, or ``None`` for what is refused without being looked at."""
    if len(token) > expected.max_bytes or not token.isascii():
        return None
    return hashlib.sha256(token.encode()).digest()


class _TooDeep(Exception):
    """Claims that are nested too deeply to be copied."""


def _copied(authentic: AuthenticToken) -> AccessTokenClaims:
    """Give the claims with a ``raw`` of its own, so that no request sees what another one did to it."""
    claims = authentic.claims
    return claims._replace(raw=_copy(claims.raw, _MOST_LEVELS))


def _copy(value: Any, levels: int) -> Any:
    """Copy JSON. ``copy.deepcopy`` takes five times as long, since it has to expect anything."""
    if levels == 0:
        raise _TooDeep
    if type(value) is dict:
        return {
            name: _copy(member, levels - 1) if type(member) in _CONTAINERS else member for name, member in value.items()
        }
    return [_copy(entry, levels - 1) if type(entry) in _CONTAINERS else entry for entry in value]
