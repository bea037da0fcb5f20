"""Verifying an access token as a resource server must: RFC 9068 §4, one rule after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from .algorithms import ALGORITHMS
from .errors import RejectionReason, TokenRejected
from .jwk_set import LONGEST_KID
from .jws import CompactJws, decode_object
from .profile import parse_claims, parse_header

if TYPE_CHECKING:
    from .keyring import KeyRing
    from .keys import VerificationKey
    from .profile import AccessTokenClaims, KeyReference

DEFAULT_LEEWAY: Final = 30
DEFAULT_MAX_BYTES: Final = 16 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectations:
    """What a token must say for this resource server to accept it.

    Args:
        issuer: the one value of ``iss``, compared letter by letter (RFC 9068 §4).
        audiences: this resource server's identifiers; ``aud`` must hold one of them. ``None`` leaves the audience
            unchecked, for an authorization server that looks at its own tokens.
        leeway: seconds by which clocks may differ.
        max_bytes: the longest token that is looked at at all.
        algorithms: if given, the only ones to accept, out of those that the keys are for.
        required_claims: claims that must be there beside those of RFC 9068 §2.2, with any value but ``null``.
    """

    issuer: str
    audiences: frozenset[str] | None
    leeway: float = DEFAULT_LEEWAY
    max_bytes: int = DEFAULT_MAX_BYTES
    algorithms: frozenset[str] | None = field(default=None)
    required_claims: tuple[str, ...] = ()


def verify_access_token(token: str, *, key_ring: KeyRing, expected: Expectations, now: float) -> AccessTokenClaims:
    """Verify an access token and give its claims.

    Args:
        token: what followed ``Bearer``.
        key_ring: the issuer's keys, and nobody else's (RFC 8725 §3.8).
        now: seconds since the epoch.

    Raises:
        TokenRejected: with the reason, for the first rule that does not hold.

    It does *not* check whether the token was revoked, whether its subject still exists and is active, nor any scope.
    """
    claims, _ = verify_signature(token, key_ring=key_ring, expected=expected)
    check_claims(claims, expected=expected, now=now)
    return claims


def verify_signature(
    token: str, key_ring: KeyRing, expected: Expectations
) -> tuple[AccessTokenClaims, VerificationKey]:
    """Verify all that does not change from one moment to the next: form, header, signature, and the claims' types.

    Returns:
        The claims, and the key that they were signed with: true of the token for as long as the key is trusted.

    Raises:
        TokenRejected: with the reason, for the first rule that does not hold.

    It does *not* compare issuer, audience and times: :func:`check_claims` does.
    """
    jws = CompactJws.split(token, expected.max_bytes)
    known = key_ring.known_headers.get(jws.header_segment)
    key = known or key_ring.key_for(jws)
    check_algorithm(key, expected=expected)
    if not key.verifies(jws.signing_input, jws.signature):
        raise TokenRejected(RejectionReason.BAD_SIGNATURE, "the signature does not fit")
    if known is None:
        key_ring.remember_header(jws, key)
    return parse_claims(decode_object(jws.payload, RejectionReason.BAD_CLAIMS)), key


def check_algorithm(key: VerificationKey, *, expected: Expectations) -> None:
    """Check that the algorithm of the key that a token was signed with is one of those to accept.

    Raises:
        TokenRejected: it is not.
    """
    if expected.algorithms is not None and key.algorithm.name not in expected.algorithms:
        raise TokenRejected(RejectionReason.ALGORITHM_MISMATCH, f"{key.algorithm.name} is not accepted here")


def check_claims(claims: AccessTokenClaims, expected: Expectations, now: float) -> None:
    """Check what claims say against what is expected of them: issuer, audience, times, further claims.

    Raises:
        TokenRejected: for the first rule that does not hold.

    It does *not* know who vouches for the claims: that is the signature's part.
    """
    if claims.issuer != expected.issuer:
        raise TokenRejected(RejectionReason.WRONG_ISSUER, "iss is another issuer")
    if expected.audiences is not None and expected.audiences.isdisjoint(claims.audience):
        raise TokenRejected(RejectionReason.WRONG_AUDIENCE, "aud does not name this resource server")
    if now >= claims.expires_at + expected.leeway:
        raise TokenRejected(RejectionReason.EXPIRED, "exp has passed")
    if claims.issued_at > now + expected.leeway:
        raise TokenRejected(RejectionReason.NOT_YET_VALID, "iat is in the future")
    if claims.not_before is not None and claims.not_before > now + expected.leeway:
        raise TokenRejected(RejectionReason.NOT_YET_VALID, "nbf is in the future")
    for claim in expected.required_claims:
        if claims.raw.get(claim) is None:
            raise TokenRejected(RejectionReason.MISSING_CLAIM, f"{claim}, which the settings require")


class KeySource(Protocol):
    """Whatever keeps an issuer's key ring up to date."""

    def at_hand(self) -> KeyRing | None:
        """Give the key ring if it can be used without asking anybody for it, else ``None``."""
        ...

    def current(self) -> KeyRing:
        """Give the key ring as it is now, asking for it if need be."""
        ...

    def after_unknown_kid(self, kid: str) -> KeyRing | None:
        """Give a ring that was read anew because a token named ``kid``, or ``None`` if it is too soon for that."""
        ...


def verify_with_current_keys(token: str, *, keys: KeySource, expected: Expectations, now: float) -> AccessTokenClaims:
    """Verify as :func:`verify_access_token`, and once more with new keys where the token names one that is unknown.

    Raises:
        TokenRejected: as there.
    """
    claims, _ = verify_signature_with_current_keys(token, keys=keys, expected=expected, now=now)
    check_claims(claims, expected=expected, now=now)
    return claims


def verify_signature_with_current_keys(
    token: str, keys: KeySource, expected: Expectations, now: float
) -> tuple[AccessTokenClaims, VerificationKey]:
    """Verify as :func:`verify_signature`, and once more with new keys where the token names one that is unknown.

    Keys are asked for because of a token alone that could be accepted if there were a key for it. Whoever sends
    anything else makes nobody wait and nobody be asked, and is refused while there are no keys as well.

    Raises:
        TokenRejected: as there, or the token could not be accepted with any key.
    """
    key_ring = keys.at_hand()
    if key_ring is None:
        check_without_key(token, expected=expected, now=now)
        key_ring = keys.current()
    try:
        return verify_signature(token, key_ring, expected)
    except TokenRejected as rejected:
        if rejected.reason is not RejectionReason.UNKNOWN_KEY:
            raise
        renewed = keys.after_unknown_kid(check_without_key(token, expected=expected, now=now).kid)
        if renewed is None:
            raise
    return verify_signature(token, renewed, expected)


def check_without_key(token: str, *, expected: Expectations, now: float) -> KeyReference:
    """Check all of a token that takes no key, and give what it says of its key.

    Raises:
        TokenRejected: no key could make it acceptable.

    It does *not* verify anything: anybody can write such a token.
    """
    jws = CompactJws.split(token, max_bytes=expected.max_bytes)
    reference = parse_header(jws.header)
    if reference.algorithm not in (expected.algorithms or ALGORITHMS):
        raise TokenRejected(RejectionReason.ALGORITHM_MISMATCH, "no key is for this algorithm")
    if not 0 < len(reference.kid) <= LONGEST_KID:
        raise TokenRejected(RejectionReason.UNKNOWN_KEY, 'no key has a "kid" of this length')
    if not ALGORITHMS[reference.algorithm].may_have_made(jws.signature):
        raise TokenRejected(RejectionReason.BAD_SIGNATURE, "no key makes a signature of this length")
    check_claims(parse_claims(decode_object(jws.payload, RejectionReason.BAD_CLAIMS)), expected=expected, now=now)
    return reference
