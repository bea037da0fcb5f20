"""The package's own signing keys, made of the private keys that the forge has."""

from __future__ import annotations

from functools import cache

from jwcrypto.jwk import JWK

from django_at_jwt.core.keyring import KeyRing, Signer
from django_at_jwt.core.keys import SigningKey

from .forge import Forge, private_members


@cache
def signing_key(algorithm: str, owner: str = "the issuer") -> SigningKey:
    return SigningKey.from_jwk(JWK(**private_members(Forge(algorithm, owner).key)), algorithm=algorithm)


def ring_of(*algorithms: str) -> KeyRing:
    """Give a new key ring that signs and verifies with all these algorithms, the default first."""
    keys = {algorithm: signing_key(algorithm) for algorithm in algorithms}
    return KeyRing.of(
        (key.verification_key for key in keys.values()),
        signers={
            name: Signer(verification_key=key.verification_key, open=lambda key=key: key) for name, key in keys.items()
        },
        algorithms=algorithms,
    )
