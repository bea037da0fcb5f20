"""Verify access tokens (RFC 9068 section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.jose.jwk_set import LONGEST_KID
from django_at_jwt.core.jose.jws import CompactJws

from .errors import ReadNeeded, RejectionReason, TokenRejected
from .profile import check_extensions, check_sender_constraint, check_type, key_reference, parse_claims
from .quotation import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django_at_jwt.core.jose.keyring import KeyRing
    from django_at_jwt.core.jose.keys import PublicKey

    from .profile import AccessTokenClaims, KeyReference

DEFAULT_LEEWAY: Final = 30
DEFAULT_MAX_BYTES: Final = 16 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectations:
    """What a resource server requires of a token.

    Attributes:
        issuer: the one accepted ``iss``, compared character by character (RFC 9068 section 4).
        audiences: this resource server's identifiers; ``aud`` must contain one of them. ``None`` leaves the audience
            unchecked, for an authorization server that verifies its own tokens.
        leeway: clock tolerance in seconds.
        max_bytes: tokens longer than this are rejected unparsed.
        algorithms: if given, the only accepted algorithms, out of those that the keys are for.
        required_claims: claims required in addition to RFC 9068 section 2.2, with any value but ``null``.
    """

    issuer: str
    audiences: frozenset[str] | None
    leeway: float = DEFAULT_LEEWAY
    max_bytes: int = DEFAULT_MAX_BYTES
    algorithms: frozenset[str] | None = None
    required_claims: tuple[str, ...] = ()


def check_header(header: Mapping[str, Any]) -> KeyReference:
    """Check a header and return its key reference.

    Raises:
        TokenRejected: not the header of an access token that is verified here.

    Not checked: whether such a key or algorithm exists.
    """
    check_type(header)
    check_extensions(header)
    return key_reference(header)


def named_key(reference: KeyReference, key_ring: KeyRing) -> PublicKey:
    """Return the key that a header names by its ``kid``.

    Raises:
        TokenRejected: no key has this ``kid``.

    Not checked: the algorithm.
    """
    # ``jwk``, ``jku``, ``x5u`` and ``x5c`` are never read (RFC 8725 section 3.10).
    key = key_ring.public_keys.get(reference.kid)
    if key is None:
        raise TokenRejected(RejectionReason.UNKNOWN_KEY, "no published key has this kid")
    return key


def check_key_algorithm(reference: KeyReference, key: PublicKey) -> None:
    """Check that a header names the algorithm that its key is for.

    Raises:
        TokenRejected: it names another algorithm.
    """
    if reference.algorithm != key.algorithm.name:
        raise TokenRejected(RejectionReason.ALGORITHM_MISMATCH, f"the key is for {key.algorithm.name}")


def check_algorithm(key: PublicKey, expected: Expectations) -> None:
    """Check that the algorithm of a key is accepted.

    Raises:
        TokenRejected: it is not.
    """
    if expected.algorithms is not None and key.algorithm.name not in expected.algorithms:
        raise TokenRejected(RejectionReason.ALGORITHM_MISMATCH, f"{key.algorithm.name} is not accepted here")


def check_signature(jws: CompactJws, key: PublicKey) -> None:
    """Check that a key made the signature of a token.

    Raises:
        TokenRejected: it did not.
    """
    if not key.verifies(jws.signing_input, jws.signature):
        raise TokenRejected(RejectionReason.BAD_SIGNATURE, "the signature does not verify")


def read_claims(jws: CompactJws) -> AccessTokenClaims:
    """Return the claims of a token, with the types of RFC 9068 section 2.2.

    Raises:
        TokenRejected: not a JSON object, a claim is missing or of the wrong type, or the token is bound to a sender.

    Not checked: the signature, and any value.
    """
    raw = jws.claims
    check_sender_constraint(raw)
    return parse_claims(raw)


def check_issuer(claims: AccessTokenClaims, expected: Expectations) -> None:
    """Check ``iss``, character by character (RFC 9068 section 4).

    Raises:
        TokenRejected: it is another issuer.
    """
    if claims.issuer != expected.issuer:
        raise TokenRejected(RejectionReason.WRONG_ISSUER, "iss is another issuer")


def check_audience(claims: AccessTokenClaims, expected: Expectations) -> None:
    """Check that ``aud`` contains one of the accepted audiences (RFC 9068 section 4).

    Raises:
        TokenRejected: it contains none of them.
    """
    if expected.audiences is not None and expected.audiences.isdisjoint(claims.audience):
        accepted = " or ".join(map(quote, sorted(expected.audiences)))
        raise TokenRejected(RejectionReason.WRONG_AUDIENCE, f"aud does not contain {accepted}")


def check_expiry(claims: AccessTokenClaims, expected: Expectations, now: float) -> None:
    """Check ``exp``; ``now`` is in seconds since the epoch (RFC 9068 section 4).

    Raises:
        TokenRejected: it passed, the leeway ago or earlier.
    """
    if now >= claims.expires_at + expected.leeway:
        raise TokenRejected(RejectionReason.EXPIRED, "exp has passed")


def check_start(claims: AccessTokenClaims, expected: Expectations, now: float) -> None:
    """Check ``iat`` and ``nbf``; ``now`` is in seconds since the epoch (RFC 7519 section 4.1).

    Raises:
        TokenRejected: one of them is in the future, by more than the leeway.
    """
    latest = now + expected.leeway
    if claims.issued_at > latest:
        raise TokenRejected(RejectionReason.NOT_YET_VALID, "iat is in the future")
    if claims.not_before is not None and claims.not_before > latest:
        raise TokenRejected(RejectionReason.NOT_YET_VALID, "nbf is in the future")


def check_required_claims(claims: AccessTokenClaims, expected: Expectations) -> None:
    """Check that the claims that the settings require are present.

    Raises:
        TokenRejected: one of them is missing or ``null``.
    """
    for claim in expected.required_claims:
        if claims.raw.get(claim) is None:
            raise TokenRejected(RejectionReason.MISSING_CLAIM, f"{claim}, which the settings require")


def check_claims(claims: AccessTokenClaims, expected: Expectations, now: float) -> None:
    """Check issuer, audience, times and the claims that the settings require.

    Raises:
        TokenRejected: for the first that is not as expected.

    Not checked: the signature.
    """
    check_issuer(claims, expected)
    check_audience(claims, expected)
    check_expiry(claims, expected, now)
    check_start(claims, expected, now)
    check_required_claims(claims, expected)


def verify_access_token(token: str, *, key_ring: KeyRing, expected: Expectations, now: float) -> AccessTokenClaims:
    """Verify an access token and return its claims.

    Args:
        token: what followed ``Bearer``.
        key_ring: the keys of the issuer, and of no other issuer (RFC 8725 section 3.8).
        now: seconds since the epoch.

    Raises:
        TokenRejected: with the reason, for the first check that fails.

    Not checked: whether the token was revoked, whether its subject exists and is active, and any scope.
    """
    claims, _ = verify_signature(token, key_ring, expected)
    check_claims(claims, expected, now)
    return claims


def verify_signature(token: str, key_ring: KeyRing, expected: Expectations) -> tuple[AccessTokenClaims, PublicKey]:
    """Verify what does not change with time: form, header, signature, and the types of the claims.

    Returns:
        The claims and the key that signed them. The result is valid for as long as the key is trusted.

    Raises:
        TokenRejected: with the reason, for the first check that fails.

    Not checked: issuer, audience and times; see :func:`check_claims`.
    """
    jws = CompactJws.split(token, expected.max_bytes)
    # The header of a verified token need not be checked again.
    known_key = key_ring.known_headers.get(jws.header_segment)
    key = _key_of(jws, key_ring) if known_key is None else known_key
    check_algorithm(key, expected)
    check_signature(jws, key)
    if known_key is None:
        key_ring.remember_header(jws, key)
    return read_claims(jws), key


def _key_of(jws: CompactJws, key_ring: KeyRing) -> PublicKey:
    reference = check_header(jws.header)
    key = named_key(reference, key_ring)
    check_key_algorithm(reference, key)
    return key


class KeySource(Protocol):
    """An object that keeps an issuer's key ring up to date."""

    def at_hand(self) -> KeyRing | None:
        """Return the key ring if it is in memory and current, else ``None``."""
        ...

    def current(self) -> KeyRing:
        """Return the current key ring, fetching it if necessary.

        Raises:
            KeysUnavailable: it cannot be fetched, and no former one may be used.
        """
        ...

    def after_unknown_kid(self, kid: str) -> KeyRing | None:
        """Return a key ring read anew because a token names ``kid``.

        Returns:
            ``None`` if it is too soon for another read, or the read failed.
        """
        ...


class KeysInMemory:
    """The keys of another source that are in memory, for callers in an event loop."""

    def __init__(self, keys: KeySource) -> None:
        self._keys: Final = keys

    def at_hand(self) -> KeyRing | None:
        """Return the key ring if it is in memory and current, else ``None``."""
        return self._keys.at_hand()

    def current(self) -> KeyRing:
        """Raise ``ReadNeeded``: this is only called if :meth:`at_hand` returned ``None``."""
        raise ReadNeeded

    def after_unknown_kid(self, kid: str) -> KeyRing | None:
        """Raise ``ReadNeeded``: the source decides whether it asks for this key."""
        raise ReadNeeded


def verify_with_current_keys(token: str, *, keys: KeySource, expected: Expectations, now: float) -> AccessTokenClaims:
    """Verify as :func:`verify_access_token`, and once more with renewed keys if the token names an unknown one.

    Raises:
        TokenRejected: as there.
        KeysUnavailable: as :meth:`KeySource.current`.
        ReadNeeded: as :class:`KeysInMemory`.
    """
    claims, _ = verify_signature_with_current_keys(token, keys, expected, now)
    check_claims(claims, expected, now)
    return claims


def verify_signature_with_current_keys(
    token: str, keys: KeySource, expected: Expectations, now: float
) -> tuple[AccessTokenClaims, PublicKey]:
    """Verify as :func:`verify_signature`, and once more with renewed keys if the token names an unknown one.

    Keys are requested only for a token that some key could make acceptable. Any other token is rejected at once,
    without a request, even while no keys are available.

    Raises:
        TokenRejected: as there, or no key could make the token acceptable.
        KeysUnavailable: as :meth:`KeySource.current`.
        ReadNeeded: as :class:`KeysInMemory`.

    Not checked: issuer, audience and times of a token that a key in memory has signed; see :func:`check_claims`.
    """
    key_ring = keys.at_hand()
    if key_ring is None:
        check_without_key(token, expected, now)
        key_ring = keys.current()
    try:
        return verify_signature(token, key_ring, expected)
    except TokenRejected as rejected:
        if rejected.reason is not RejectionReason.UNKNOWN_KEY:
            raise
        renewed = keys.after_unknown_kid(check_without_key(token, expected, now).kid)
        if renewed is None:
            raise
    return verify_signature(token, renewed, expected)


def check_without_key(token: str, expected: Expectations, now: float) -> KeyReference:
    """Check every rule that needs no key, and return the header's key reference.

    Raises:
        TokenRejected: no key could make the token acceptable.

    Not checked: the signature. Anyone can create such a token.
    """
    jws = CompactJws.split(token, expected.max_bytes)
    reference = check_header(jws.header)
    if reference.algorithm not in (expected.algorithms or ALGORITHMS):
        raise TokenRejected(RejectionReason.ALGORITHM_MISMATCH, "no key is for this algorithm")
    if not 0 < len(reference.kid) <= LONGEST_KID:
        raise TokenRejected(RejectionReason.UNKNOWN_KEY, 'no key has a "kid" of this length')
    if not ALGORITHMS[reference.algorithm].may_have_made(jws.signature):
        raise TokenRejected(RejectionReason.BAD_SIGNATURE, "no key makes a signature of this length")
    check_claims(read_claims(jws), expected, now)
    return reference
