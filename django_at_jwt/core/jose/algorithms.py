"""The signature algorithms that access tokens may use: an allow-list (RFC 8725 section 3.1).

``none`` and HMAC are not in it, so a token's header cannot select them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from jwcrypto import jwk
from jwcrypto.jwk import JWK

from .signatures import Scheme, scheme_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RSA_KEY_BITS: Final = 2048
_USUAL_SIGNATURE_BYTES: Final = 1024
_BYTES_WITHOUT_SIGNATURE: Final = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class Algorithm:
    """One allowed JWS algorithm and the type of key that it requires.

    ``signature_bytes`` is the exact length of a signature, or ``None`` for RSA, where it depends on the key.
    """

    name: str
    key_type: str
    scheme: Scheme = field(repr=False)
    curve: str | None = None
    signature_bytes: int | None = None

    @property
    def large_token_bytes(self) -> int | None:
        """The typical length of a token if the signature makes it longer than many servers allow, else ``None``.

        That is the signature in base64url plus the rest of an access token without mapped claims.
        """
        if self.signature_bytes is None or self.signature_bytes <= _USUAL_SIGNATURE_BYTES:
            return None
        return self.signature_bytes * 4 // 3 + _BYTES_WITHOUT_SIGNATURE

    def may_have_made(self, signature: bytes) -> bool:
        """Return whether a signature has a length that some accepted key of this algorithm makes."""
        if self.signature_bytes is None:
            return len(signature) >= RSA_KEY_BITS // 8
        return len(signature) == self.signature_bytes

    def generate_key(self) -> JWK:
        """Return a new private key for this algorithm.

        Its thumbprint, which becomes its ``kid``, doesn't begin with a hyphen. A command would take that for an option.
        """
        while (key := self._generate_key()).thumbprint().startswith("-"):
            pass
        return key

    def _generate_key(self) -> JWK:
        if self.key_type == "RSA":
            return JWK.generate(kty="RSA", size=RSA_KEY_BITS)
        if self.key_type == "AKP":
            return JWK.generate(kty="AKP", alg=self.name)
        return JWK.generate(kty=self.key_type, crv=self.curve)


def _rsa(name: str) -> Algorithm:
    return Algorithm(name=name, key_type="RSA", scheme=scheme_of(name))


def _ec(name: str, curve: str, coordinate_bytes: int) -> Algorithm:
    return Algorithm(
        name=name,
        key_type="EC",
        scheme=scheme_of(name, coordinate_bytes=coordinate_bytes),
        curve=curve,
        signature_bytes=2 * coordinate_bytes,
    )


def _ed25519(name: str) -> Algorithm:
    return Algorithm(name=name, key_type="OKP", scheme=scheme_of(name), curve="Ed25519", signature_bytes=64)


def _ml_dsa() -> Iterable[Algorithm]:
    """Yield the post-quantum signatures of FIPS 204, if the installed jwcrypto and cryptography support them."""
    for name, signature_bytes in (("ML-DSA-44", 2420), ("ML-DSA-65", 3309)):
        if name in getattr(jwk, "ImplementedAKPAlgorithms", ()):
            yield Algorithm(name=name, key_type="AKP", scheme=scheme_of(name), signature_bytes=signature_bytes)


ALGORITHMS: Final[Mapping[str, Algorithm]] = {
    algorithm.name: algorithm
    for algorithm in (
        _rsa("RS256"),
        _rsa("RS384"),
        _rsa("RS512"),
        _rsa("PS256"),
        _rsa("PS384"),
        _rsa("PS512"),
        _ec("ES256", "P-256", 32),
        _ec("ES384", "P-384", 48),
        _ec("ES512", "P-521", 66),
        # Two names for the same signatures: EdDSA in RFC 8037, Ed25519 in RFC 9864.
        _ed25519("EdDSA"),
        _ed25519("Ed25519"),
        *_ml_dsa(),
    )
}
