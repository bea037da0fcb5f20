"""Verifying access tokens by named rules (RFC 9068 section 4)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.jose.jwk_set import LONGEST_KID
from django_at_jwt.core.jose.jws import CompactJws, check_length, decode_object

from .errors import ReadNeeded, RejectionReason, TokenRejected
from .profile import check_extensions, check_sender_constraint, check_type, key_reference, parse_claims

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django_at_jwt.core.jose.keyring import KeyRing
    from django_at_jwt.core.jose.keys import PublicKey

    from .profile import AccessTokenClaims, KeyReference

DEFAULT_LEEWAY: Final = 30
DEFAULT_MAX_BYTES: Final = 16 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectations:
    """What a resource server requires of a token.

    Args:
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
    algorithms: frozenset[str] | None = field(default=None)
    required_claims: tuple[str, ...] = ()


class Examination:
    """One token, and the facts that the rules have established about it so far.

    A rule sets the attributes that later rules need; the others are unset.

    Attributes:
        now: seconds since the epoch.
        key_ring: the issuer's keys; unset if they are unavailable.
        named_key: the key that the header names; its algorithm may differ from the header's.
        key: the key to verify the signature with.
    """

    __slots__ = (
        "claims",
        "expected",
        "header",
        "jws",
        "key",
        "key_ring",
        "named_key",
        "now",
        "raw",
        "reference",
        "token",
    )

    token: str
    expected: Expectations
    now: float
    key_ring: KeyRing
    jws: CompactJws
    header: dict[str, Any]
    reference: KeyReference
    named_key: PublicKey
    key: PublicKey
    raw: dict[str, Any]
    claims: AccessTokenClaims

    def __init__(self, token: str, expected: Expectations, now: float = 0.0) -> None:
        self.token = token
        self.expected = expected
        self.now = now


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One rule for access tokens.

    Attributes:
        name: what a diagnosis calls it.
        check: sets facts, or raises :class:`TokenRejected`.
        needs: the facts that it requires.
    """

    name: str
    check: Callable[[Examination], None]
    needs: tuple[str, ...] = ()

    def can_be_checked(self, token: Examination) -> bool:
        """Return whether all facts that this rule needs are established."""
        return all(hasattr(token, fact) for fact in self.needs)


def _length(token: Examination) -> None:
    check_length(token.token, token.expected.max_bytes)


def _form(token: Examination) -> None:
    token.jws = CompactJws.split(token.token, token.expected.max_bytes)


def _header(token: Examination) -> None:
    token.header = token.jws.header


def _type(token: Examination) -> None:
    check_type(token.header)


def _extensions(token: Examination) -> None:
    check_extensions(token.header)


def _key_reference(token: Examination) -> None:
    token.reference = key_reference(token.header)


def _key_id(token: Examination) -> None:
    # ``jwk``, ``jku``, ``x5u`` and ``x5c`` are never read (RFC 8725 section 3.10).
    key = token.key_ring.public_keys.get(token.reference.kid)
    if key is None:
        raise TokenRejected(RejectionReason.UNKNOWN_KEY, "no published key has this kid")
    token.named_key = key


def _algorithm(token: Examination) -> None:
    if token.reference.algorithm != token.named_key.algorithm.name:
        raise TokenRejected(RejectionReason.ALGORITHM_MISMATCH, f"the key is for {token.named_key.algorithm.name}")
    token.key = token.named_key
    check_algorithm(token.key, token.expected)


def _signature(token: Examination) -> None:
    if not token.key.verifies(token.jws.signing_input, token.jws.signature):
        raise TokenRejected(RejectionReason.BAD_SIGNATURE, "the signature does not verify")


def _payload(token: Examination) -> None:
    token.raw = decode_object(token.jws.payload, RejectionReason.BAD_CLAIMS)


def _sender_constraint(token: Examination) -> None:
    check_sender_constraint(token.raw)


def _claims(token: Examination) -> None:
    token.claims = parse_claims(token.raw)


def _issuer(token: Examination) -> None:
    if token.claims.issuer != token.expected.issuer:
        raise TokenRejected(RejectionReason.WRONG_ISSUER, "iss is another issuer")


def _audience(token: Examination) -> None:
    audiences = token.expected.audiences
    if audiences is not None and audiences.isdisjoint(token.claims.audience):
        raise TokenRejected(RejectionReason.WRONG_AUDIENCE, "aud does not name this resource server")


def _expiry(token: Examination) -> None:
    if token.now >= token.claims.expires_at + token.expected.leeway:
        raise TokenRejected(RejectionReason.EXPIRED, "exp has passed")


def _start(token: Examination) -> None:
    claims, latest = token.claims, token.now + token.expected.leeway
    if claims.issued_at > latest:
        raise TokenRejected(RejectionReason.NOT_YET_VALID, "iat is in the future")
    if claims.not_before is not None and claims.not_before > latest:
        raise TokenRejected(RejectionReason.NOT_YET_VALID, "nbf is in the future")


def _required_claims(token: Examination) -> None:
    for claim in token.expected.required_claims:
        if token.claims.raw.get(claim) is None:
            raise TokenRejected(RejectionReason.MISSING_CLAIM, f"{claim}, which the settings require")


FORM_RULES: Final = (
    Rule(name="length", check=_length),
    Rule(name="form", check=_form),
)
HEADER_RULES: Final = (
    Rule(name="header", check=_header, needs=("jws",)),
    Rule(name="typ", check=_type, needs=("header",)),
    Rule(name="crit", check=_extensions, needs=("header",)),
    Rule(name="key reference", check=_key_reference, needs=("header",)),
)
KEY_RULES: Final = (
    Rule(name="kid", check=_key_id, needs=("key_ring", "reference")),
    Rule(name="alg", check=_algorithm, needs=("named_key",)),
)
SIGNATURE_RULES: Final = (Rule(name="signature", check=_signature, needs=("key",)),)
CONTENT_RULES: Final = (
    Rule(name="claims", check=_payload, needs=("jws",)),
    Rule(name="cnf", check=_sender_constraint, needs=("raw",)),
    Rule(name="required claims", check=_claims, needs=("raw",)),
)
CLAIM_RULES: Final = (
    Rule(name="iss", check=_issuer, needs=("claims",)),
    Rule(name="aud", check=_audience, needs=("claims",)),
    Rule(name="exp", check=_expiry, needs=("claims",)),
    Rule(name="iat, nbf", check=_start, needs=("claims",)),
    Rule(name="claims of the settings", check=_required_claims, needs=("claims",)),
)
# In the order in which a request checks them. A request stops at the first that fails, a diagnosis does not.
RULES: Final = (*FORM_RULES, *HEADER_RULES, *KEY_RULES, *SIGNATURE_RULES, *CONTENT_RULES, *CLAIM_RULES)


def _check(token: Examination, rules: Sequence[Rule]) -> None:
    for rule in rules:
        rule.check(token)


def verify_access_token(token: str, *, key_ring: KeyRing, expected: Expectations, now: float) -> AccessTokenClaims:
    """Verify an access token and return its claims.

    Args:
        token: what followed ``Bearer``.
        key_ring: the keys of the issuer, and of no other issuer (RFC 8725 section 3.8).
        now: seconds since the epoch.

    Raises:
        TokenRejected: with the reason, for the first rule that fails.

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
        TokenRejected: with the reason, for the first rule that fails.

    Not checked: issuer, audience and times; see :func:`check_claims`.
    """
    examined = Examination(token, expected)
    examined.key_ring = key_ring
    _check(examined, FORM_RULES)
    # The header of a verified token need not be checked again.
    known_key = key_ring.known_headers.get(examined.jws.header_segment)
    if known_key is None:
        _check(examined, HEADER_RULES)
        _check(examined, KEY_RULES)
    else:
        examined.key = known_key
        check_algorithm(known_key, expected)
    _check(examined, SIGNATURE_RULES)
    if known_key is None:
        key_ring.remember_header(examined.jws, examined.key)
    _check(examined, CONTENT_RULES)
    return examined.claims, examined.key


def check_algorithm(key: PublicKey, expected: Expectations) -> None:
    """Check that the algorithm of a key is accepted.

    Raises:
        TokenRejected: it is not.
    """
    if expected.algorithms is not None and key.algorithm.name not in expected.algorithms:
        raise TokenRejected(RejectionReason.ALGORITHM_MISMATCH, f"{key.algorithm.name} is not accepted here")


def check_claims(claims: AccessTokenClaims, expected: Expectations, now: float) -> None:
    """Check issuer, audience, times and the claims that the settings require.

    Raises:
        TokenRejected: for the first rule that fails.

    Not checked: the signature.
    """
    examined = Examination("", expected, now)
    examined.claims = claims
    _check(examined, CLAIM_RULES)


class KeySource(Protocol):
    """An object that keeps an issuer's key ring up to date."""

    def at_hand(self) -> KeyRing | None:
        """Return the key ring if it is in memory and current, else ``None``."""
        ...

    def current(self) -> KeyRing:
        """Return the current key ring, fetching it if necessary."""
        ...

    def after_unknown_kid(self, kid: str) -> KeyRing | None:
        """Return a key ring read anew because a token names ``kid``, or ``None`` if it is too soon for another read."""
        ...


class KeysInMemory:
    """The keys of another source that are in memory, for callers in an event loop.

    Raises:
        ReadNeeded: by any method, if the other source would read the keys.
    """

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
    examined = Examination(token, expected, now)
    _check(examined, FORM_RULES)
    _check(examined, HEADER_RULES)
    reference = examined.reference
    if reference.algorithm not in (expected.algorithms or ALGORITHMS):
        raise TokenRejected(RejectionReason.ALGORITHM_MISMATCH, "no key is for this algorithm")
    if not 0 < len(reference.kid) <= LONGEST_KID:
        raise TokenRejected(RejectionReason.UNKNOWN_KEY, 'no key has a "kid" of this length')
    if not ALGORITHMS[reference.algorithm].may_have_made(examined.jws.signature):
        raise TokenRejected(RejectionReason.BAD_SIGNATURE, "no key makes a signature of this length")
    _check(examined, CONTENT_RULES)
    _check(examined, CLAIM_RULES)
    return reference
