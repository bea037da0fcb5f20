from __future__ import annotations

import dataclasses

import pytest

from django_at_jwt.core import verifier
from django_at_jwt.core.errors import IssuanceError, NoSigningKey, RejectionReason
from django_at_jwt.core.jose.jws import CompactJws
from django_at_jwt.core.jose.keyring import KeyRing, Signer
from django_at_jwt.core.jose.keys import PRIVATE_MEMBERS
from django_at_jwt.core.profile import key_reference
from django_at_jwt.core.verifier import verify_signature
from tests.core.signing_keys import ring_of, signing_key
from tests.core.test_hostile_tokens import accept, refuse
from tests.core.token_factory import ALL_ALGORITHMS, EXPECTED, NOW, TokenFactory, thumbprint


def split(token):
    return CompactJws.split(token, max_bytes=EXPECTED.max_bytes)


def test_without_keys_nothing_is_signed_and_nothing_verifies():
    ring = KeyRing()
    with pytest.raises(NoSigningKey) as missing:
        ring.signing_key()
    assert missing.value.detail == "no signing key"
    assert isinstance(missing.value, IssuanceError)
    # The description for the client mentions no keys or commands.
    assert (missing.value.code, missing.value.status) == ("server_error", 503)
    assert "rotate" not in missing.value.description
    assert refuse(TokenFactory("ES256").token(), ring).reason is RejectionReason.UNKNOWN_KEY
    assert ring.jwk_set() == {"keys": []}


def test_the_default_algorithm_is_the_first_that_has_a_signing_key():
    ring = ring_of("RS256", "ES256")
    assert ring.signing_key().algorithm.name == "RS256"
    assert ring.signing_key("ES256").algorithm.name == "ES256"
    announced = dataclasses.replace(ring, algorithms=("EdDSA", "ES256", "RS256"))
    assert announced.signing_key().algorithm.name == "ES256"
    withdrawn = dataclasses.replace(ring, algorithms=("EdDSA",))
    assert withdrawn.signing_key().algorithm.name == "RS256"
    assert withdrawn.signing_key("EdDSA").algorithm.name == "RS256"


@pytest.mark.parametrize("algorithm", ["ES256", "none", "HS256", "", "rs256"])
def test_an_algorithm_without_a_signing_key_does_not_sign(algorithm):
    with pytest.raises(NoSigningKey):
        ring_of("RS256").signing_key(algorithm)


def test_a_private_key_is_opened_when_it_is_first_needed():
    opened = []
    key = signing_key("EdDSA")
    signer = Signer(public_key=key.public_key, open=lambda: opened.append(key.kid) or key)
    ring = KeyRing.of([key.public_key], signers={"EdDSA": signer})
    accept(TokenFactory("EdDSA").token(), ring)
    ring.jwk_set()
    assert ring.signer().public_key.kid == key.kid
    assert opened == []
    assert ring.signing_key() is key
    assert opened == [key.kid]


@pytest.mark.compliance("7517-1", "7638-1")
def test_the_jwk_set_is_public_and_complete():
    algorithms = ("RS256", "ES256", "ES384", "ES512", "EdDSA")
    keys = ring_of(*algorithms).jwk_set()["keys"]
    assert [key["alg"] for key in keys] == list(algorithms)
    assert len({key["kid"] for key in keys}) == len(keys)
    for key, algorithm in zip(keys, algorithms, strict=True):
        assert key == TokenFactory(algorithm).jwk
        assert key["use"] == "sig"
        assert PRIVATE_MEMBERS.isdisjoint(key)
        required = {member: key[member] for member in key.keys() - {"use", "alg", "kid"}}
        assert key["kid"] == thumbprint(required)


def test_changing_a_jwk_set_does_not_change_the_ring():
    ring = ring_of("ES256")
    ring.jwk_set()["keys"][0]["kid"] = "another"
    ring.jwk_set()["keys"].clear()
    assert ring.jwk_set() == {"keys": [TokenFactory("ES256").jwk]}


def test_a_ring_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ring_of("ES256").algorithms = ()


def test_what_is_printed_of_a_ring_is_public():
    printed = repr(ring_of("RS256", "ES256"))
    assert "SigningKey" not in printed
    assert "Signer" not in printed
    assert "lambda" not in printed
    assert "lambda" not in repr(ring_of("ES256").signer())


@pytest.mark.compliance("8725-8")
@pytest.mark.parametrize("algorithm", ALL_ALGORITHMS)
def test_another_issuers_key_is_unknown(algorithm):
    factory = TokenFactory(algorithm)
    assert refuse(factory.attacker.token(), factory.ring()).reason is RejectionReason.UNKNOWN_KEY
    assert refuse(factory.token(), factory.attacker.ring()).reason is RejectionReason.UNKNOWN_KEY


@pytest.mark.compliance("8725-1")
def test_each_of_many_keys_verifies_its_own_tokens():
    ring = ring_of("RS256", "ES256", "ES384", "ES512", "EdDSA")
    for algorithm in ring.algorithms:
        factory = TokenFactory(algorithm)
        assert verify_signature(factory.token(), ring, EXPECTED)[1] is ring.public_keys[factory.kid]
        for other in set(ring.algorithms) - {algorithm}:
            named = factory.with_header(kid=TokenFactory(other).kid)
            assert refuse(named, ring).reason is RejectionReason.ALGORITHM_MISMATCH
            renamed = factory.with_header(kid=TokenFactory(other).kid, alg=other)
            assert refuse(renamed, ring).reason is RejectionReason.BAD_SIGNATURE


def test_a_header_is_examined_until_a_token_that_has_it_was_verified(monkeypatch):
    examined = []
    monkeypatch.setattr(verifier, "key_reference", lambda header: examined.append(header) or key_reference(header))
    factory, ring = TokenFactory("ES256"), TokenFactory("ES256").ring()
    for _ in range(2):
        refuse(factory.token(signature=bytes(64)), ring)
    assert (len(examined), ring.known_headers) == (2, {})
    for _ in range(2):
        accept(factory.token(), ring)
    assert len(examined) == 3
    assert ring.known_headers == {split(factory.token()).header_segment: ring.public_keys[factory.kid]}
    accept(factory.with_header(x=1), ring)
    assert len(examined) == 4


def test_remembered_headers_are_bounded():
    # Only headers of validly signed tokens are remembered, and their number is bounded.
    factory, ring = TokenFactory("EdDSA"), TokenFactory("EdDSA").ring()
    for number in range(300):
        accept(factory.with_header(x=number), ring)
    assert len(ring.known_headers) == 256
    assert accept(factory.with_header(x=299), ring).issued_at == NOW


def test_a_new_ring_has_forgotten_the_headers_of_withdrawn_keys():
    factory, ring = TokenFactory("ES256"), TokenFactory("ES256").ring()
    accept(factory.token(), ring)
    without = dataclasses.replace(ring, public_keys={}, known_headers={})
    assert refuse(factory.token(), without).reason is RejectionReason.UNKNOWN_KEY
    assert refuse(factory.token(), KeyRing.of([])).reason is RejectionReason.UNKNOWN_KEY
