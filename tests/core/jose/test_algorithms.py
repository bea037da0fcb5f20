"""The allow-list of algorithms: what each needs and how long its signatures are (RFC 7518, RFC 8037, FIPS 204)."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PSS, PKCS1v15
from jwcrypto import jwk

from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.jose.signatures import EcdsaScheme, PureScheme, RsaScheme

RSA = ("RSA", None, None, None)
EXPECTED = {
    "RS256": RSA,
    "RS384": RSA,
    "RS512": RSA,
    "PS256": RSA,
    "PS384": RSA,
    "PS512": RSA,
    "ES256": ("EC", "P-256", 64, None),
    "ES384": ("EC", "P-384", 96, None),
    "ES512": ("EC", "P-521", 132, None),
    "EdDSA": ("OKP", "Ed25519", 64, None),
    "Ed25519": ("OKP", "Ed25519", 64, None),
    # Longer than 1,024 bytes: 4/3 of the signature, and 500 bytes for the rest of the token.
    "ML-DSA-44": ("AKP", None, 2420, 3726),
    "ML-DSA-65": ("AKP", None, 3309, 4912),
}
HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}


def test_no_other_algorithm_is_allowed():
    post_quantum = {"ML-DSA-44", "ML-DSA-65"}
    supported = post_quantum & set(getattr(jwk, "ImplementedAKPAlgorithms", ()))
    assert set(ALGORITHMS) == set(EXPECTED) - post_quantum | supported


@pytest.mark.parametrize("name", ALGORITHMS)
def test_keys_and_signatures_of_an_algorithm(name):
    algorithm = ALGORITHMS[name]
    assert algorithm.name == name
    described = (algorithm.key_type, algorithm.curve, algorithm.signature_bytes, algorithm.large_token_bytes)
    assert described == EXPECTED[name]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_hash_and_padding_of_an_algorithm(name):
    scheme, family = ALGORITHMS[name].scheme, name[:2]
    if family in {"RS", "PS"}:
        assert isinstance(scheme, RsaScheme)
        assert isinstance(scheme.hash, HASHES[name[2:]])
        assert isinstance(scheme.padding, PKCS1v15 if family == "RS" else PSS)
    elif family == "ES":
        assert isinstance(scheme, EcdsaScheme)
        assert isinstance(scheme.scheme.algorithm, HASHES[name[2:]])
        assert scheme.coordinate_bytes * 2 == ALGORITHMS[name].signature_bytes
    else:
        assert isinstance(scheme, PureScheme)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_length_of_a_signature_decides_who_may_have_made_it(name):
    algorithm = ALGORITHMS[name]
    if algorithm.signature_bytes is None:
        assert [algorithm.may_have_made(bytes(size)) for size in (255, 256, 257, 512)] == [False, True, True, True]
    else:
        sizes = (algorithm.signature_bytes - 1, algorithm.signature_bytes, algorithm.signature_bytes + 1)
        assert [algorithm.may_have_made(bytes(size)) for size in sizes] == [False, True, False]
