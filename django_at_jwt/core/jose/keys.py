"""Signing and verification keys, made from JWKs and checked once."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwcrypto.common import JWException, base64url_decode
from jwcrypto.jwk import JWK

from django_at_jwt.core.errors import UnacceptableKey

from .algorithms import ALGORITHMS, RSA_KEY_BITS, Algorithm

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"})
_PUBLIC_MEMBERS: Final = {
    "RSA": ("kty", "n", "e"),
    "EC": ("kty", "crv", "x", "y"),
    "OKP": ("kty", "crv", "x"),
    "AKP": ("kty", "alg", "pub"),
}
_LEAST_RSA_EXPONENT: Final = 65537
_MOST_RSA_EXPONENT_BITS: Final = 64
_MOST_RSA_BITS: Final = 8192
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")
# Members that are names, not numbers in base64url.
_NAMES: Final = frozenset({"kty", "crv", "alg"})

# y coordinates of the Ed25519 points of order 1, 2, 4 and 8, and their encodings that are not reduced modulo p. With
# such a public key one signature is valid for any message.
_P25519: Final = 2**255 - 19
_Y_OF_ORDER_8: Final = 2707385501144840649318225287225658788936804267575313519463743609750303402022
_SMALL_ORDER_Y: Final = frozenset({0, 1, _P25519 - 1, _P25519, _P25519 + 1, _Y_OF_ORDER_8, _P25519 - _Y_OF_ORDER_8})
_PROBE: Final = b"probe"


def _powers_of_65537(prime: int) -> frozenset[int]:
    powers, value = set(), 1
    while value not in powers:
        powers.add(value)
        value = value * 65537 % prime
    return frozenset(powers)


# A modulus made by the flawed Infineon library ("ROCA", CVE-2017-15361) is a power of 65537 modulo each of these.
_ROCA_MARKERS: Final = {
    prime: _powers_of_65537(prime)
    for prime in (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
}


def _operation_key(jwk: JWK, operation: str) -> Any:
    """Return the key of ``cryptography`` for an operation: ``"sign"`` or ``"verify"``."""
    curve = (jwk["crv"],) if jwk["kty"] == "EC" else ()
    return jwk.get_op_key(operation, *curve)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that verifies signatures of exactly one algorithm (RFC 8725 section 3.1).

    Attributes:
        kid: the key id in tokens.
        public_jwk: the members that a JWK set publishes, none of them private.
        signature_bytes: the length of its signatures.
    """

    kid: str
    algorithm: Algorithm
    public_jwk: Mapping[str, str]
    signature_bytes: int = field(repr=False, compare=False)
    _public_key: Any = field(repr=False, compare=False)

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any], *, algorithm: str | None = None, kid: str | None = None) -> PublicKey:
        """Check a JWK and return its public key.

        Args:
            jwk: the members of a JWK (RFC 7517), public or private; private members are dropped.
            algorithm: the algorithm if the JWK has no ``alg``; otherwise they must be equal.
            kid: the key id; defaults to the JWK's ``kid``, then to its RFC 7638 thumbprint.

        Leading zero bytes of a number, which some issuers write, are removed; ``public_jwk`` and the thumbprint use the
        canonical form (RFC 7518 section 6, RFC 7638 section 3.3).

        Raises:
            UnacceptableKey: not an allowed algorithm, key and algorithm do not match, not meant for signatures
                (``use``, ``key_ops``), members that are not base64url without padding (RFC 7515 section 2), or weak:
                RSA under 2048 or over 8192 bits, with an even modulus or exponent, an exponent under 65537 or above
                64 bits, or made by the ROCA library, an Ed25519 point of small order, an EC point that is not on its
                curve.

        Not checked: whose key it is. That follows from where the JWK came from.
        """
        name = jwk.get("alg", algorithm)
        if not isinstance(name, str) or name not in ALGORITHMS:
            raise UnacceptableKey(f"the key's algorithm is not one of {', '.join(ALGORITHMS)}")
        if algorithm is not None and name != algorithm:
            raise UnacceptableKey(f"the key is for {name}, not for {algorithm}")
        allowed = ALGORITHMS[name]
        check_purpose(jwk)
        if jwk.get("kty") != allowed.key_type or jwk.get("crv") != allowed.curve:
            wanted = " ".join(filter(None, (allowed.key_type, allowed.curve)))
            raise UnacceptableKey(f"{name} needs a key of type {wanted}")
        _check_spelling(jwk, _PUBLIC_MEMBERS[allowed.key_type])
        try:
            written = JWK(**{member: jwk[member] for member in _PUBLIC_MEMBERS[allowed.key_type]})
            public_key = _operation_key(written, "verify")
            # Leading zero bytes, or unused bits that are set, would give the same key another thumbprint.
            public = JWK.from_pyca(public_key)
            members = public_members(public)
        except (KeyError, TypeError, ValueError, AttributeError, JWException):
            # Drop the original error: its text may quote the key.
            raise UnacceptableKey("the key's members are missing or not a valid point or number") from None
        _check_strength(members, public_key)
        own_kid = kid or jwk.get("kid") or public.thumbprint()
        if not isinstance(own_kid, str):
            raise UnacceptableKey("the key's kid is not a string")
        return cls(
            kid=own_kid,
            algorithm=allowed,
            public_jwk=members | {"use": "sig", "alg": name, "kid": own_kid},
            signature_bytes=allowed.signature_bytes or (public_key.key_size + 7) // 8,
            _public_key=public_key,
        )

    def verifies(self, signing_input: bytes, signature: bytes) -> bool:
        """Return whether ``signature`` is this key's signature over ``signing_input``."""
        if len(signature) != self.signature_bytes:
            # RSA signatures are as long as the modulus (RFC 8017 section 8.1.2); OpenSSL may accept shorter ones.
            return False
        try:
            self.algorithm.scheme.verify(self._public_key, signing_input, signature)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A decrypted private key and its public key."""

    public_key: PublicKey
    _private_key: Any = field(repr=False, compare=False)

    @classmethod
    def from_jwk(cls, jwk: JWK, *, algorithm: str, kid: str | None = None, checked_before: bool = False) -> PrivateKey:
        """Check a private JWK and return its signing key.

        Args:
            checked_before: whether the same numbers passed this check before and cannot have been changed since. The
                primes of an RSA key, which take 30 ms, are not tested again.

        Raises:
            UnacceptableKey: as for :meth:`PublicKey.from_jwk`, or the JWK has no private half or is not for signing.
        """
        if jwk.is_symmetric or not jwk.has_private:
            raise UnacceptableKey("the key has no private half")
        check_purpose(jwk, allowed=("sign",))
        public = PublicKey.from_jwk(jwk.export_public(as_dict=True), algorithm=algorithm, kid=kid)
        jwk.unsafe_skip_rsa_key_validation = checked_before
        try:
            key = cls(public_key=public, _private_key=_operation_key(jwk, "sign"))
            belongs = public.verifies(_PROBE, key.sign(_PROBE))
        except (KeyError, TypeError, ValueError, AttributeError, JWException):
            # Drop the original error and its frames: they hold the private numbers.
            belongs = False
        if not belongs:
            raise UnacceptableKey("the private half is not valid, or does not belong to the public half")
        return key

    @property
    def kid(self) -> str:
        """The key id in tokens."""
        return self.public_key.kid

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm that this key signs with."""
        return self.public_key.algorithm

    def sign(self, signing_input: bytes) -> bytes:
        """Return the JWS signature over ``signing_input`` (RFC 7515 section 5.1)."""
        return self.algorithm.scheme.sign(self._private_key, signing_input)

    def __reduce__(self) -> str:
        # A pickled key would leak the private half into a cache or another process.
        raise TypeError("a signing key cannot be pickled")


def public_members(jwk: JWK) -> dict[str, str]:
    """Return the public members of a key pair (RFC 7517 section 4, RFC 7518 section 6)."""
    exported = json.loads(jwk.export_public())
    return {member: exported[member] for member in _PUBLIC_MEMBERS[exported["kty"]]}


def canonical_private_jwk(jwk: JWK) -> JWK:
    """Return a private JWK with its numbers in canonical form and without optional members.

    Not checked: the key. :meth:`PrivateKey.from_jwk` must accept it first.
    """
    return JWK.from_pyca(_operation_key(jwk, "sign"))


def _check_spelling(jwk: Mapping[str, Any], members: Collection[str]) -> None:
    # Python's decoder skips characters outside the alphabet.
    for member in members:
        value = jwk.get(member)
        if member not in _NAMES and isinstance(value, str) and not _BASE64URL.fullmatch(value):
            raise UnacceptableKey(f'the key\'s "{member}" is not base64url without padding (RFC 7515 section 2)')


def check_purpose(jwk: Mapping[str, Any], *, allowed: Collection[str] = ("sign", "verify")) -> None:
    """Check that a JWK is meant for signatures (RFC 7517 sections 4.2 and 4.3).

    A JWK without ``use`` and ``key_ops`` passes.

    Args:
        allowed: if the JWK has ``key_ops``, it must contain one of these operations.

    Raises:
        UnacceptableKey: it is meant for other uses or operations.
    """
    if jwk.get("use", "sig") != "sig":
        raise UnacceptableKey('the key is not for signatures: its "use" is not "sig"')
    operations = jwk.get("key_ops")
    if operations is not None and not (isinstance(operations, list) and {*allowed} & {*map(str, operations)}):
        lacking = " or ".join(f'"{operation}"' for operation in allowed)
        raise UnacceptableKey(f'the key is not for signatures: "key_ops" lacks {lacking}')


def _check_strength(members: Mapping[str, str], key: Any) -> None:
    if isinstance(key, RSAPublicKey):
        if not RSA_KEY_BITS <= key.key_size <= _MOST_RSA_BITS:
            raise UnacceptableKey(f"an RSA key must have {RSA_KEY_BITS} to {_MOST_RSA_BITS} bits (got {key.key_size})")
        numbers = key.public_numbers()
        if numbers.n % 2 == 0:
            raise UnacceptableKey("the RSA modulus is even, so it is not a product of two large primes")
        if numbers.e < _LEAST_RSA_EXPONENT or numbers.e % 2 == 0:
            raise UnacceptableKey(f"the RSA exponent must be odd and at least {_LEAST_RSA_EXPONENT}")
        if numbers.e.bit_length() > _MOST_RSA_EXPONENT_BITS:
            # Each bit costs the verifier a multiplication; with 2048 bits, verifying is 100 times as expensive.
            raise UnacceptableKey(
                f"the RSA exponent must have at most {_MOST_RSA_EXPONENT_BITS} bits (got {numbers.e.bit_length()})"
            )
        if all(numbers.n % prime in powers for prime, powers in _ROCA_MARKERS.items()):
            raise UnacceptableKey("the RSA key was generated by a flawed library (ROCA, CVE-2017-15361)")
    elif members["kty"] == "OKP":
        y = int.from_bytes(base64url_decode(members["x"]), "little") & (2**255 - 1)
        if y in _SMALL_ORDER_Y or y >= _P25519:
            raise UnacceptableKey("the Ed25519 key is a point of small order, or not in canonical encoding")
