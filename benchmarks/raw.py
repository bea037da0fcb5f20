"""The baseline: ``cryptography`` alone, on bytes that are already split and decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from jwcrypto.jwk import JWK

from django_at_jwt.core.jose.jws import CompactJws

if TYPE_CHECKING:
    from collections.abc import Callable

_SHA256: Final = hashes.SHA256()
_EXTRA_ARGUMENTS: Final[dict[str, Callable[[], tuple[Any, ...]]]] = {
    "RS256": lambda: (padding.PKCS1v15(), _SHA256),
    "ES256": lambda: (ec.ECDSA(_SHA256),),
    "EdDSA": tuple,
}


def signer(private: dict[str, Any], algorithm: str) -> Callable[[bytes], bytes]:
    """Return a function that signs bytes, with signatures in the format of ``cryptography``."""
    key: Any = JWK(**private).get_op_key("sign")
    arguments = _EXTRA_ARGUMENTS[algorithm]()
    return lambda signing_input: key.sign(signing_input, *arguments)


def verifier(public: dict[str, Any], algorithm: str) -> Callable[[tuple[bytes, bytes]], None]:
    """Return a function that verifies the result of :func:`signature_and_input`."""
    key: Any = JWK(**public).get_op_key("verify")
    arguments = _EXTRA_ARGUMENTS[algorithm]()
    return lambda pair: key.verify(*pair, *arguments)


def signature_and_input(token: str, algorithm: str) -> tuple[bytes, bytes]:
    """Return a token's signature, in the format of ``cryptography``, and its signing input."""
    jws = CompactJws.split(token, max_bytes=len(token))
    signature = jws.signature
    if algorithm == "ES256":
        half = len(signature) // 2
        signature = encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
    return signature, jws.signing_input
