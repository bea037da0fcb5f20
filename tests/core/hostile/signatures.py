"""Hostile signatures: of the wrong length, out of range, malleable, or made with another key."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from django_at_jwt.core.errors import RejectionReason
from tests.core.token_factory import (
    TokenFactory,
    b64url,
    coordinate_bytes,
    group_order,
    json_of,
    kind_of,
    raw_signature,
)

from . import rows
from .algorithms import EC, ED25519, RSA

ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def signed_with(alter):
    """Return the token with its signature changed by ``alter``."""

    def change(factory: TokenFactory) -> str:
        signing_input, _, _ = factory.token().rpartition(".")
        return f"{signing_input}.{b64url(alter(factory, factory.sign(signing_input.encode())))}"

    return change


def ecdsa(make):
    """Return a JWS signature with r and s computed from the right ones and the group order."""

    def alter(factory: TokenFactory, signature: bytes) -> bytes:
        half = len(signature) // 2
        r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        size = coordinate_bytes(kind_of(factory.algorithm))
        return b"".join(value.to_bytes(size, "big") for value in make(r, s, group_order(factory.algorithm)))

    return signed_with(alter)


def as_der(_forge: TokenFactory, signature: bytes) -> bytes:
    half = len(signature) // 2
    return encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))


def padded_halves(_forge: TokenFactory, signature: bytes) -> bytes:
    half = len(signature) // 2
    return b"\0" + signature[:half] + b"\0" + signature[half:]


def flipped(_forge: TokenFactory, signature: bytes) -> bytes:
    return bytes([signature[0] ^ 1]) + signature[1:]


def malleable(_forge: TokenFactory, signature: bytes) -> bytes:
    s = int.from_bytes(signature[32:], "little") + ED25519_ORDER
    return signature[:32] + s.to_bytes(32, "little")


def plus_the_modulus(factory: TokenFactory, signature: bytes) -> bytes:
    larger = int.from_bytes(signature, "big") + factory.key.private_numbers().public_numbers.n
    return larger.to_bytes(len(signature) + 1, "big")


def salted(factory: TokenFactory, salt_bytes: int) -> str:
    signing_input, _, _ = factory.token().rpartition(".")
    signature = raw_signature(factory.algorithm, factory.key, signing_input.encode(), salt_bytes=salt_bytes)
    return f"{signing_input}.{b64url(signature)}"


def with_another_payload(factory: TokenFactory) -> str:
    header, _, signature = factory.token().split(".")
    return f"{header}.{b64url(json_of(factory.claims(scope='admin')).encode())}.{signature}"


def with_another_header(factory: TokenFactory) -> str:
    _, payload, signature = factory.token().split(".")
    return f"{b64url(json_of(factory.header(x=1)).encode())}.{payload}.{signature}"


ANY_SIGNATURE = {
    "signature empty": lambda _forge, _signature: b"",
    "signature of another token": lambda factory, _signature: factory.sign(b"another token"),
    "signature with one bit flipped": flipped,
    "signature short by a byte": lambda _forge, signature: signature[:-1],
    "signature without its first byte": lambda _forge, signature: signature[1:],
    "signature long by a zero byte": lambda _forge, signature: signature + b"\0",
    "signature with a zero byte in front": lambda _forge, signature: b"\0" + signature,
    "signature twice": lambda _forge, signature: signature * 2,
    "signature of zeros": lambda _forge, signature: bytes(len(signature)),
    "signature of ones": lambda _forge, signature: b"\xff" * len(signature),
    "signature of one byte": lambda _forge, _signature: b"\1",
}
SIGNATURES = [
    *rows(
        7,
        "RFC 7515 section 5.2",
        RejectionReason.BAD_SIGNATURE,
        {name: signed_with(alter) for name, alter in ANY_SIGNATURE.items()}
        | {
            "signed with another key": lambda factory: factory.attacker.token(header=factory.header()),
            "claims exchanged under the signature": with_another_payload,
            "header exchanged under the signature": with_another_header,
        },
        shows=("9068-25", "7515-1"),
        algorithms=("RS256", "PS256", *EC, *ED25519),
    ),
    *rows(
        7,
        "RFC 7518 section 3.4",
        RejectionReason.BAD_SIGNATURE,
        {
            "r = s = 0": ecdsa(lambda _r, _s, _n: (0, 0)),
            "r = 0": ecdsa(lambda _r, s, _n: (0, s)),
            "s = 0": ecdsa(lambda r, _s, _n: (r, 0)),
            "r = s = n": ecdsa(lambda _r, _s, n: (n, n)),
            "r = n": ecdsa(lambda _r, s, n: (n, s)),
            "s = n": ecdsa(lambda r, _s, n: (r, n)),
            "r = s = 1": ecdsa(lambda _r, _s, _n: (1, 1)),
            "r = s = n - 1": ecdsa(lambda _r, _s, n: (n - 1, n - 1)),
            "r and s exchanged": ecdsa(lambda r, s, _n: (s, r)),
            "DER": signed_with(as_der),
            "DER cut to length": signed_with(lambda factory, good: as_der(factory, good)[: len(good)]),
            "each half long by a zero byte": signed_with(padded_halves),
        },
        shows=("7515-1",),
        algorithms=EC,
    ),
    *rows(
        7,
        "RFC 7518 section 3.4",
        RejectionReason.BAD_SIGNATURE,
        {
            "r + n, which fits into the 66 bytes": ecdsa(lambda r, s, n: (r + n, s)),
            "s + n, which fits into the 66 bytes": ecdsa(lambda r, s, n: (r, s + n)),
        },
        shows=("7515-1",),
        algorithms=("ES512",),
    ),
    *rows(
        7,
        "RFC 8017 section 8",
        RejectionReason.BAD_SIGNATURE,
        {
            "signature plus the modulus": signed_with(plus_the_modulus),
            "signature = 1": signed_with(lambda _forge, good: (1).to_bytes(len(good), "big")),
            "signature = the modulus": signed_with(
                lambda factory, good: factory.key.private_numbers().public_numbers.n.to_bytes(len(good), "big")
            ),
        },
        algorithms=RSA,
    ),
    *rows(
        7,
        "RFC 7518 section 3.5",
        RejectionReason.BAD_SIGNATURE,
        {
            "salt of another length": lambda factory: salted(factory, 20),
            "no salt": lambda factory: salted(factory, 0),
        },
        algorithms=("PS256", "PS384", "PS512"),
    ),
    *rows(
        8,
        "RFC 8032 section 5.1.7",
        RejectionReason.BAD_SIGNATURE,
        {
            "S + L": signed_with(malleable),
            "S = L": signed_with(lambda _forge, good: good[:32] + ED25519_ORDER.to_bytes(32, "little")),
            "S = 0": signed_with(lambda _forge, good: good[:32] + bytes(32)),
            "S with its top bits set": signed_with(lambda _forge, good: good[:-1] + bytes([good[-1] | 0xE0])),
            "R of small order, S = 0": signed_with(lambda _forge, _good: b"\1" + bytes(63)),
            "R not reduced": signed_with(lambda _forge, good: (2**255 - 18).to_bytes(32, "little") + good[32:]),
        },
        shows=("8725-4", "7515-1"),
        algorithms=ED25519,
    ),
]
