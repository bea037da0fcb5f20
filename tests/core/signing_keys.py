"""The package's signing keys, made from the factory's private keys."""

from __future__ import annotations

from functools import cache

from jwcrypto.jwk import JWK

from django_at_jwt.core.jose.keyring import KeyRing, Signer
from django_at_jwt.core.jose.keys import PrivateKey

from .token_factory import TokenFactory, private_members


@cache
def signing_key(algorithm: str, owner: str = "the issuer") -> PrivateKey:
    return PrivateKey.from_jwk(JWK(**private_members(TokenFactory(algorithm, owner).key)), algorithm=algorithm)


def ring_of(*algorithms: str) -> KeyRing:
    """Return a new key ring that signs and verifies with these algorithms, the default first."""
    keys = {algorithm: signing_key(algorithm) for algorithm in algorithms}
    return KeyRing.of(
        (key.public_key for key in keys.values()),
        signers={name: Signer(public_key=key.public_key, open=lambda key=key: key) for name, key in keys.items()},
        algorithms=algorithms,
    )
