"""JWS signatures made and verified with the keys of ``cryptography`` (RFC 7518 section 3, RFC 8037, FIPS 204)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, AsymmetricPadding, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature


class Scheme(Protocol):
    """How one JWS algorithm signs and verifies."""

    def sign(self, private_key: Any, signing_input: bytes) -> bytes:
        """Return the signature as a JWS carries it."""
        ...

    def verify(self, public_key: Any, signing_input: bytes, signature: bytes) -> None:
        """Verify a signature whose length was already checked.

        Raises:
            cryptography.exceptions.InvalidSignature: it was not made by this key over this input.
        """
        ...


@dataclass(frozen=True, slots=True)
class RsaScheme:
    """RSASSA-PKCS1-v1_5 and RSASSA-PSS (RFC 7518 sections 3.3 and 3.5)."""

    padding: AsymmetricPadding
    hash: hashes.HashAlgorithm

    def sign(self, private_key: Any, signing_input: bytes) -> bytes:
        """See :class:`Scheme`."""
        signature: bytes = private_key.sign(signing_input, self.padding, self.hash)
        return signature

    def verify(self, public_key: Any, signing_input: bytes, signature: bytes) -> None:
        """See :class:`Scheme`."""
        public_key.verify(signature, signing_input, self.padding, self.hash)


@dataclass(frozen=True, slots=True)
class EcdsaScheme:
    """ECDSA (RFC 7518 section 3.4). A signature with a high S is accepted, as by other libraries."""

    scheme: ECDSA
    coordinate_bytes: int

    def sign(self, private_key: Any, signing_input: bytes) -> bytes:
        """See :class:`Scheme`."""
        # A JWS carries R and S side by side in fixed length; the library speaks DER.
        r, s = decode_dss_signature(private_key.sign(signing_input, self.scheme))
        return r.to_bytes(self.coordinate_bytes, "big") + s.to_bytes(self.coordinate_bytes, "big")

    def verify(self, public_key: Any, signing_input: bytes, signature: bytes) -> None:
        """See :class:`Scheme`."""
        r = int.from_bytes(signature[: self.coordinate_bytes], "big")
        s = int.from_bytes(signature[self.coordinate_bytes :], "big")
        public_key.verify(encode_dss_signature(r, s), signing_input, self.scheme)


@dataclass(frozen=True, slots=True)
class PureScheme:
    """Schemes without parameters: Ed25519 (RFC 8037) and ML-DSA with an empty context (FIPS 204)."""

    def sign(self, private_key: Any, signing_input: bytes) -> bytes:
        """See :class:`Scheme`."""
        signature: bytes = private_key.sign(signing_input)
        return signature

    def verify(self, public_key: Any, signing_input: bytes, signature: bytes) -> None:
        """See :class:`Scheme`."""
        public_key.verify(signature, signing_input)


_HASHES: Final = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def scheme_of(algorithm: str, *, coordinate_bytes: int = 0) -> Scheme:
    """Return the scheme of a JWS algorithm (``RS``, ``PS`` and ``ES`` with a hash size; any other has no parameters).

    Args:
        coordinate_bytes: for ECDSA, the length of R and of S.
    """
    family, digest = algorithm[:2], _HASHES.get(algorithm[2:])
    if digest is None:
        return PureScheme()
    if family == "ES":
        return EcdsaScheme(ECDSA(digest), coordinate_bytes)
    return RsaScheme(PKCS1v15() if family == "RS" else PSS(MGF1(digest), digest.digest_size), digest)
