"""Tokens created and signed without the package, so that a test can break exactly one rule.

Hostile tokens have a valid signature unless the signature is what is hostile, so that they are rejected by the rule
under test and not for their signature.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from django_at_jwt.core.jose.keyring import KeyRing
from django_at_jwt.core.jose.keys import PublicKey
from django_at_jwt.core.verifier import Expectations

NOW = 1_800_000_000
ISSUER = "https://as.example.com/o"
API = "https://api.example.com/"
REPORTS = "https://reports.example.com/"
CLIENT_ID = "a-client-of-the-tests"
SUBJECT = "subject-0f9d3c"
EXPECTED = Expectations(issuer=ISSUER, audiences=frozenset({API}))
ALL_ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
# One for each type of key, for rules that do not depend on the algorithm.
EVERY_KIND = ("RS256", "ES256", "EdDSA")

ABSENT = object()

_KINDS = {"RS": "RSA", "PS": "RSA", "Ed": "Ed25519", "ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_CURVES = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
_HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


class Raw(str):
    """Text inserted into JSON unchanged, for what an encoder would not write."""

    __slots__ = ()


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def json_of(members: dict[str, Any]) -> str:
    written = (f"{json.dumps(name)}:{_json_value(value)}" for name, value in members.items() if value is not ABSENT)
    return "{" + ",".join(written) + "}"


def _json_value(value: Any) -> str:
    return str(value) if isinstance(value, Raw) else json.dumps(value)


def kind_of(algorithm: str) -> str:
    return _KINDS.get(algorithm) or _KINDS[algorithm[:2]]


@cache
def private_key(kind: str, owner: str = "the issuer") -> Any:
    """Return an owner's key of this kind, generated once since RSA keys are slow to generate."""
    if kind == "RSA":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(_CURVES[kind])


def coordinate_bytes(kind: str) -> int:
    return (_CURVES[kind].key_size + 7) // 8


def group_order(algorithm: str) -> int:
    return _CURVES[kind_of(algorithm)].group_order


def public_members(key: Any) -> dict[str, str]:
    """Return the public half as a JWK, without a JOSE library (RFC 7518 section 6, RFC 8037 section 2)."""
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": b64url(_minimal(numbers.n)), "e": b64url(_minimal(numbers.e))}
    if isinstance(public, ed25519.Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": b64url(public.public_bytes_raw())}
    numbers = public.public_numbers()
    kind = next(name for name, curve in _CURVES.items() if curve.name == numbers.curve.name)
    size = coordinate_bytes(kind)
    return {
        "kty": "EC",
        "crv": kind,
        "x": b64url(numbers.x.to_bytes(size, "big")),
        "y": b64url(numbers.y.to_bytes(size, "big")),
    }


def _minimal(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def private_members(key: Any) -> dict[str, str]:
    """Return both halves as a JWK."""
    numbers = None if isinstance(key, ed25519.Ed25519PrivateKey) else key.private_numbers()
    if isinstance(numbers, rsa.RSAPrivateNumbers):
        named = {
            "d": numbers.d,
            "p": numbers.p,
            "q": numbers.q,
            "dp": numbers.dmp1,
            "dq": numbers.dmq1,
            "qi": numbers.iqmp,
        }
        return public_members(key) | {name: b64url(_minimal(value)) for name, value in named.items()}
    if numbers is None:
        return public_members(key) | {"d": b64url(key.private_bytes_raw())}
    members = public_members(key)
    return members | {"d": b64url(numbers.private_value.to_bytes(coordinate_bytes(members["crv"]), "big"))}


def thumbprint(members: dict[str, str]) -> str:
    """Return the RFC 7638 section 3 thumbprint of the public members."""
    return b64url(hashlib.sha256(json.dumps(members, sort_keys=True, separators=(",", ":")).encode()).digest())


def pem(key: Any) -> bytes:
    public = key.public_key()
    return public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def der(key: Any) -> bytes:
    public = key.public_key()
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def raw_signature(algorithm: str, key: Any, data: bytes, *, salt_bytes: int | None = None) -> bytes:
    """Return a signature as in RFC 7518 section 3, with ``cryptography`` only."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    digest = _HASHES[algorithm[2:]]
    if isinstance(key, rsa.RSAPrivateKey):
        if algorithm.startswith("PS"):
            salt = digest.digest_size if salt_bytes is None else salt_bytes
            return key.sign(data, padding.PSS(padding.MGF1(digest), salt), digest)
        return key.sign(data, padding.PKCS1v15(), digest)
    size = (key.curve.key_size + 7) // 8
    return b"".join(number.to_bytes(size, "big") for number in decode_dss_signature(key.sign(data, ec.ECDSA(digest))))


@dataclass(frozen=True)
class TokenFactory:
    """The owner of a private key for ``algorithm``, who can sign anything."""

    algorithm: str
    owner: str = "the issuer"

    @property
    def key(self) -> Any:
        return private_key(kind_of(self.algorithm), self.owner)

    @cached_property
    def members(self) -> dict[str, str]:
        return public_members(self.key)

    @property
    def kid(self) -> str:
        return thumbprint(self.members)

    @property
    def jwk(self) -> dict[str, str]:
        return self.members | {"use": "sig", "alg": self.algorithm, "kid": self.kid}

    @property
    def attacker(self) -> TokenFactory:
        """A factory with another key of the same type."""
        return TokenFactory(self.algorithm, "an attacker")

    def ring(self) -> KeyRing:
        """Return a new key ring with this key and without remembered headers."""
        return KeyRing.of([_verification_key(self.algorithm, self.owner)])

    def header(self, **changes: Any) -> dict[str, Any]:
        return {"typ": "at+jwt", "alg": self.algorithm, "kid": self.kid} | changes

    def claims(self, **changes: Any) -> dict[str, Any]:
        return {
            "iss": ISSUER,
            "sub": SUBJECT,
            "aud": API,
            "client_id": CLIENT_ID,
            "iat": NOW,
            "exp": NOW + 3600,
            "jti": "token-5b1e",
            "scope": "read write",
        } | changes

    def sign(self, data: bytes) -> bytes:
        return raw_signature(self.algorithm, self.key, data)

    def frame(self, header_segment: str, payload_segment: str) -> str:
        """Sign two segments unchanged."""
        signing_input = f"{header_segment}.{payload_segment}"
        return f"{signing_input}.{b64url(self.sign(signing_input.encode()))}"

    def token(self, header: Any = None, payload: Any = None, *, signature: bytes | None = None) -> str:
        """Return a token of members, text or bytes, signed with the key unless a signature is given."""
        header_segment = b64url(_as_bytes(self.header() if header is None else header))
        payload_segment = b64url(_as_bytes(self.claims() if payload is None else payload))
        if signature is None:
            return self.frame(header_segment, payload_segment)
        return f"{header_segment}.{payload_segment}.{b64url(signature)}"

    def with_header(self, **changes: Any) -> str:
        return self.token(header=self.header(**changes))

    def with_claims(self, **changes: Any) -> str:
        return self.token(payload=self.claims(**changes))


def _as_bytes(value: Any) -> bytes:
    if isinstance(value, dict):
        value = json_of(value)
    return value.encode() if isinstance(value, str) else value


@cache
def _verification_key(algorithm: str, owner: str) -> PublicKey:
    return PublicKey.from_jwk(TokenFactory(algorithm, owner).jwk)
