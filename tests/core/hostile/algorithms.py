"""Hostile algorithms: none, a public value as the secret, and algorithms other than the key's."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from django_at_jwt.core.errors import RejectionReason
from tests.core.token_factory import ABSENT, TokenFactory, b64url, der, json_of, pem, raw_signature

from . import rows

RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
EC = ("ES256", "ES384", "ES512")
ED25519 = ("EdDSA", "Ed25519")


def unsecured(algorithm: Any):
    """Name an algorithm without signatures, once with a valid signature and once with an empty one."""
    return {
        "signed": lambda factory: factory.with_header(alg=algorithm),
        "unsigned": lambda factory: factory.token(header=factory.header(alg=algorithm), signature=b""),
    }


NONE_SPELLINGS = ("none", "None", "NONE", "nOnE", "nonE", "none ", " none", "none\x00", "\uff4eone", "n\u043ene", "")
ALG_NONE = [
    *rows(
        1,
        "RFC 8725 section 3.1",
        RejectionReason.ALGORITHM_MISMATCH,
        {
            f"alg {spelling!a} {how}": change
            for spelling in NONE_SPELLINGS
            for how, change in unsecured(spelling).items()
        },
        shows=("8725-1", "9068-25"),
    ),
    *rows(
        1,
        "RFC 7515 section 4.1.1",
        RejectionReason.BAD_HEADER,
        {
            f"alg {label} {how}": change
            for label, value in {
                "missing": ABSENT,
                "null": None,
                "0": 0,
                "true": True,
                "list": ["none"],
                "object": {"alg": "none"},
                "list of the right one": ["RS256", "ES256", "EdDSA"],
            }.items()
            for how, change in unsecured(value).items()
        }
        | {
            "alg none and no kid": lambda factory: factory.token(
                header={"typ": "at+jwt", "alg": "none"},
                signature=b"",
            ),
        },
        shows=("8725-1", "9068-25"),
    ),
]


def hmac_keyed(secret, *, algorithm="HS256", name=None):
    def change(factory: TokenFactory) -> str:
        header = b64url(json_of(factory.header(alg=name or algorithm)).encode())
        payload = b64url(json_of(factory.claims()).encode())
        digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}[algorithm]
        mac = hmac.new(secret(factory), f"{header}.{payload}".encode(), digest).digest()
        return f"{header}.{payload}.{b64url(mac)}"

    return change


PUBLIC_SPELLINGS = {
    "PEM": lambda factory: pem(factory.key),
    "PEM without its last newline": lambda factory: pem(factory.key).rstrip(b"\n"),
    "DER": lambda factory: der(factory.key),
    "JWK": lambda factory: json.dumps(factory.jwk).encode(),
    "bare JWK": lambda factory: json.dumps(factory.members, separators=(",", ":"), sort_keys=True).encode(),
    "JWK set": lambda factory: json.dumps({"keys": [factory.jwk]}).encode(),
    "kid": lambda factory: factory.kid.encode(),
    "nothing": lambda _forge: b"",
}
HMAC = [
    *rows(
        2,
        "RFC 8725 section 3.1",
        RejectionReason.ALGORITHM_MISMATCH,
        {f"HS256 keyed with {label}": hmac_keyed(secret) for label, secret in PUBLIC_SPELLINGS.items()}
        | {
            "HS384 keyed with PEM": hmac_keyed(PUBLIC_SPELLINGS["PEM"], algorithm="HS384"),
            "HS512 keyed with PEM": hmac_keyed(PUBLIC_SPELLINGS["PEM"], algorithm="HS512"),
            "HS256 named, with the true signature": lambda factory: factory.with_header(alg="HS256"),
        },
        shows=("8725-1", "9068-25"),
    ),
    *rows(
        2,
        "RFC 8725 section 3.1",
        RejectionReason.BAD_SIGNATURE,
        {
            f"HMAC keyed with {label} under {name}": hmac_keyed(PUBLIC_SPELLINGS[label], name=name)
            for label in ("PEM", "DER", "JWK")
            for name in ("RS256",)
        },
        shows=("8725-1",),
        algorithms=("RS256",),
    ),
]


def other_algorithm(name: str, *, signed_as: str | None = None):
    """Name another algorithm than the key's, and sign with that algorithm and the same key."""

    def change(factory: TokenFactory) -> str:
        header = b64url(json_of(factory.header(alg=name)).encode())
        payload = b64url(json_of(factory.claims()).encode())
        signature = raw_signature(signed_as or name, factory.key, f"{header}.{payload}".encode())
        return f"{header}.{payload}.{b64url(signature)}"

    return change


OTHER_ALGORITHM = [
    row
    for algorithm in (*RSA, *EC, *ED25519)
    for row in rows(
        3,
        "RFC 8725 section 3.1",
        RejectionReason.ALGORITHM_MISMATCH,
        {
            f"{other} on a key for {algorithm}": other_algorithm(other)
            for family in (RSA, EC, ED25519)
            for other in family
            if algorithm in family and other != algorithm
        },
        shows=("8725-1",),
        algorithms=(algorithm,),
    )
] + [
    *rows(
        3,
        "RFC 8725 section 3.1",
        RejectionReason.BAD_SIGNATURE,
        {
            "RS384 signature under RS256": other_algorithm("RS256", signed_as="RS384"),
            "PS256 signature under RS256": other_algorithm("RS256", signed_as="PS256"),
        },
        shows=("8725-1",),
        algorithms=("RS256",),
    ),
    *rows(
        3,
        "RFC 8725 section 3.1",
        RejectionReason.BAD_SIGNATURE,
        {"RS256 signature under PS256": other_algorithm("PS256", signed_as="RS256")},
        shows=("8725-1",),
        algorithms=("PS256",),
    ),
    *rows(
        3,
        "RFC 8725 section 3.1",
        RejectionReason.BAD_SIGNATURE,
        {"ES384's hash under ES256": other_algorithm("ES256", signed_as="ES384")},
        shows=("8725-1",),
        algorithms=("ES256",),
    ),
    *rows(
        3,
        "RFC 7515 section 4.1.1",
        RejectionReason.ALGORITHM_MISMATCH,
        {
            "alg in lower case": lambda factory: factory.with_header(alg=factory.algorithm.lower()),
            "alg with a space": lambda factory: factory.with_header(alg=f"{factory.algorithm} "),
            "alg with NUL": lambda factory: factory.with_header(alg=f"{factory.algorithm}\x00"),
            "alg ES256K": lambda factory: factory.with_header(alg="ES256K"),
            "alg of an encryption": lambda factory: factory.with_header(alg="RSA-OAEP"),
            "alg that is not registered": lambda factory: factory.with_header(alg="XX256"),
        },
        shows=("8725-1",),
    ),
]

ALGORITHMS = [*ALG_NONE, *HMAC, *OTHER_ALGORITHM]
