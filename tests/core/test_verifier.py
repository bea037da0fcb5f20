from __future__ import annotations

import time
from dataclasses import replace

import joserfc.jwk
import joserfc.jwt
import jwt
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from django_at_jwt.core.errors import RejectionReason, TokenRejected
from django_at_jwt.core.jose.jws import CompactJws, sign_compact
from django_at_jwt.core.jose.keyring import KeyRing
from django_at_jwt.core.jose.keys import PublicKey
from django_at_jwt.core.profile import assemble, encode_json, header_segment
from django_at_jwt.core.verifier import verify_with_current_keys

from .signing_keys import ring_of
from .test_hostile_tokens import accept, refuse
from .token_factory import (
    ALL_ALGORITHMS,
    API,
    CLIENT_ID,
    EVERY_KIND,
    EXPECTED,
    ISSUER,
    NOW,
    REPORTS,
    SUBJECT,
    TokenFactory,
    private_members,
)


def issued(algorithm, *, now=NOW, **changes):
    """Return a token made by the package, and its key ring."""
    ring = ring_of(algorithm)
    claims = assemble(
        **{
            "issuer": ISSUER,
            "subject": SUBJECT,
            "audience": [API],
            "client_id": CLIENT_ID,
            "issued_at": now,
            "lifetime": 3600,
            "token_id": "token-1",
            "scopes": ["read"],
            **changes,
        }
    )
    key = ring.signing_key()
    return sign_compact(key, header_segment(key), encode_json(claims)), ring, claims


def verify_by_hand(algorithm, signing_input, signature):
    """Verify with ``cryptography`` alone."""
    public = TokenFactory(algorithm).key.public_key()
    if isinstance(public, ed25519.Ed25519PublicKey):
        public.verify(signature, signing_input)
        return
    digest = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[algorithm[2:]]
    if isinstance(public, rsa.RSAPublicKey):
        pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
        public.verify(signature, signing_input, pss if algorithm[0] == "P" else padding.PKCS1v15(), digest)
        return
    half = len(signature) // 2
    numbers = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
    public.verify(encode_dss_signature(*numbers), signing_input, ec.ECDSA(digest))


@pytest.mark.compliance("9068-1", "9068-2", "9068-4", "9068-19", "9068-25")
@pytest.mark.parametrize("algorithm", ALL_ALGORITHMS)
def test_what_is_issued_verifies_here_and_by_hand(algorithm):
    token, ring, claims = issued(algorithm)
    for _ in ("examined", "remembered"):
        verified = accept(token, ring)
        assert dict(verified.raw) == claims
        assert (verified.subject, verified.audience, verified.scopes) == (SUBJECT, (API,), {"read"})
    jws = CompactJws.split(token, max_bytes=EXPECTED.max_bytes)
    verify_by_hand(algorithm, jws.signing_input, jws.signature)
    with pytest.raises(InvalidSignature):
        verify_by_hand(algorithm, jws.signing_input + b"x", jws.signature)
    # And with the published keys only.
    published = KeyRing.of(PublicKey.from_jwk(jwk) for jwk in ring.jwk_set()["keys"])
    assert dict(accept(token, published).raw) == claims


# PyJWT only knows the older name of Ed25519.
@pytest.mark.compliance("9068-2", "9068-25")
@pytest.mark.parametrize("algorithm", [name for name in ALL_ALGORITHMS if name != "Ed25519"])
def test_pyjwt_verifies_what_is_issued_and_the_other_way_round(algorithm):
    now = int(time.time())
    token, ring, claims = issued(algorithm, now=now)
    [jwk] = jwt.PyJWKSet.from_dict(ring.jwk_set()).keys
    assert jwt.get_unverified_header(token) == {"typ": "at+jwt", "alg": algorithm, "kid": jwk.key_id}
    read = jwt.decode(token, jwk.key, algorithms=[algorithm], audience=API, issuer=ISSUER)
    assert read == claims
    theirs = jwt.encode(
        claims, TokenFactory(algorithm).key, algorithm=algorithm, headers=TokenFactory(algorithm).header()
    )
    assert dict(accept(theirs, ring, now=now).raw) == claims


# joserfc warns of the older name for Ed25519.
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@pytest.mark.compliance("9068-2", "9068-25")
@pytest.mark.parametrize("algorithm", ALL_ALGORITHMS)
def test_joserfc_verifies_what_is_issued_and_the_other_way_round(algorithm):
    now = int(time.time())
    token, ring, claims = issued(algorithm, now=now)
    jwk_set = joserfc.jwk.KeySet.import_key_set(ring.jwk_set())
    read = joserfc.jwt.decode(token, jwk_set, algorithms=[algorithm])
    assert read.header == TokenFactory(algorithm).header()
    assert read.claims == claims
    joserfc.jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": ISSUER}, aud={"essential": True, "value": API}, exp={"essential": True}
    ).validate(read.claims)
    private = joserfc.jwk.import_key(private_members(TokenFactory(algorithm).key))
    theirs = joserfc.jwt.encode(TokenFactory(algorithm).header(), claims, private, algorithms=[algorithm])
    assert dict(accept(theirs, ring, now=now).raw) == claims


# Times, one second either side


@pytest.mark.compliance("9068-26")
@pytest.mark.parametrize("algorithm", EVERY_KIND)
@pytest.mark.parametrize("leeway", [0, 30, 300])
def test_a_token_expires_when_its_leeway_is_over(leeway, algorithm):
    factory, expected = TokenFactory(algorithm), replace(EXPECTED, leeway=leeway)
    token, ring = factory.with_claims(iat=NOW - 3600, exp=NOW), factory.ring()
    for now in (NOW - 1, NOW + leeway - 1, NOW + leeway - 0.001):
        assert accept(token, ring, expected=expected, now=now).expires_at == NOW
    for now in (NOW + leeway, NOW + leeway + 0.001, NOW + leeway + 1, NOW + 10**9):
        assert refuse(token, ring, expected=expected, now=now).reason is RejectionReason.EXPIRED


@pytest.mark.compliance("9068-26", "7515-1")
@pytest.mark.parametrize("algorithm", EVERY_KIND)
@pytest.mark.parametrize("claim", ["iat", "nbf"])
@pytest.mark.parametrize("leeway", [0, 30, 300])
def test_a_token_begins_when_its_leeway_allows(leeway, claim, algorithm):
    factory, expected = TokenFactory(algorithm), replace(EXPECTED, leeway=leeway)
    token, ring = factory.with_claims(**{"iat": NOW - 10_000, claim: NOW, "exp": NOW + 10_000}), factory.ring()
    for now in (NOW - leeway, NOW - leeway + 0.001, NOW - leeway + 1, NOW + 1):
        assert accept(token, ring, expected=expected, now=now).subject == SUBJECT
    for now in (NOW - leeway - 0.001, NOW - leeway - 1, NOW - 9000):
        assert refuse(token, ring, expected=expected, now=now).reason is RejectionReason.NOT_YET_VALID


@pytest.mark.compliance("9068-26")
def test_the_usual_leeway_is_short():
    assert EXPECTED.leeway == 30
    assert EXPECTED.max_bytes == 16 * 1024


@pytest.mark.parametrize("algorithm", EVERY_KIND)
def test_fractions_of_a_second_count(algorithm):
    factory, expected = TokenFactory(algorithm), replace(EXPECTED, leeway=0)
    token = factory.with_claims(exp=NOW + 0.5)
    assert accept(token, factory.ring(), expected=expected, now=NOW + 0.25)
    assert refuse(token, factory.ring(), expected=expected, now=NOW + 0.5).reason is RejectionReason.EXPIRED


# What a resource server expects


@pytest.mark.compliance("9068-24", "8725-9")
@pytest.mark.parametrize(
    ("audiences", "aud", "accepted"),
    [
        ({API}, API, True),
        ({API, REPORTS}, REPORTS, True),
        ({API, REPORTS}, ["https://third.example.com/", REPORTS], True),
        ({API}, REPORTS, False),
        ({API, REPORTS}, "https://third.example.com/", False),
        (set(), API, False),
        (None, REPORTS, True),
    ],
)
def test_one_expected_audience_suffices(audiences, aud, accepted):
    factory = TokenFactory("ES256")
    expected = replace(EXPECTED, audiences=None if audiences is None else frozenset(audiences))
    token = factory.with_claims(aud=aud)
    if accepted:
        assert accept(token, factory.ring(), expected=expected)
    else:
        refused = refuse(token, factory.ring(), expected=expected)
        assert refused.reason is RejectionReason.WRONG_AUDIENCE
        assert refused.detail == f"aud does not contain {' or '.join(map(repr, sorted(audiences)))}"


@pytest.mark.parametrize("aud", [None, "", [], [""], {}, 7, [["x"]]], ids=str)
def test_an_audience_that_is_not_compared_must_be_one_all_the_same(aud):
    factory = TokenFactory("ES256")
    refused = refuse(factory.with_claims(aud=aud), factory.ring(), expected=replace(EXPECTED, audiences=None))
    assert refused.reason is RejectionReason.BAD_CLAIM


@pytest.mark.compliance("8725-1")
@pytest.mark.parametrize("algorithm", EVERY_KIND)
def test_a_resource_server_may_accept_fewer_algorithms(algorithm):
    factory, others = TokenFactory(algorithm), frozenset(EVERY_KIND) - {algorithm}
    assert accept(factory.token(), factory.ring(), expected=replace(EXPECTED, algorithms=frozenset({algorithm})))
    for algorithms in (others, frozenset()):
        ring = factory.ring()
        expected = replace(EXPECTED, algorithms=algorithms)
        assert refuse(factory.token(), ring, expected=expected).reason is RejectionReason.ALGORITHM_MISMATCH
        # Nor after the ring has remembered the header for another resource server.
        accept(factory.token(), ring)
        assert refuse(factory.token(), ring, expected=expected).reason is RejectionReason.ALGORITHM_MISMATCH


@pytest.mark.parametrize("tenant", [0, False, "", [], "t-1"])
def test_a_required_claim_may_have_any_value_but_null(tenant):
    factory, expected = TokenFactory("ES256"), replace(EXPECTED, required_claims=("tenant",))
    assert accept(factory.with_claims(tenant=tenant), factory.ring(), expected=expected).raw["tenant"] == tenant
    for token in (factory.token(), factory.with_claims(tenant=None)):
        refused = refuse(token, factory.ring(), expected=expected)
        assert refused.reason is RejectionReason.MISSING_CLAIM
        assert "tenant" in refused.detail


def test_the_first_rule_that_does_not_hold_is_the_reason():
    # Unverified claims are not reported.
    factory = TokenFactory("ES256")
    wrong = factory.claims(iss="https://attacker.example/", aud="x", exp=1)
    unsigned = factory.token(payload=wrong, signature=bytes(64))
    assert refuse(unsigned, factory.ring()).reason is RejectionReason.BAD_SIGNATURE
    assert refuse(factory.token(payload=wrong), factory.ring()).reason is RejectionReason.WRONG_ISSUER
    assert refuse(factory.with_claims(aud="x", exp=1), factory.ring()).reason is RejectionReason.WRONG_AUDIENCE


# Refreshing keys (threat 6)


class Keys:
    """A key source that counts, and allows a number of renewals."""

    def __init__(self, *rings, renewals=1):
        self.rings = list(rings)
        self.renewals = renewals
        self.asked = 0

    def at_hand(self):
        return self.rings[0]

    current = at_hand

    def after_unknown_kid(self, kid):
        self.asked += 1
        if self.renewals == 0:
            return None
        self.renewals -= 1
        if len(self.rings) > 1:
            self.rings.pop(0)
        return self.rings[0]


def verify_with(keys, token, now=NOW):
    return verify_with_current_keys(token, keys=keys, expected=EXPECTED, now=now)


def reason_with(keys, token):
    with pytest.raises(TokenRejected) as rejected:
        verify_with(keys, token)
    return rejected.value.reason


def test_a_known_key_causes_no_renewal():
    factory = TokenFactory("ES256")
    keys = Keys(factory.ring())
    assert verify_with(keys, factory.token()).subject == SUBJECT
    assert keys.asked == 0


def test_a_new_key_is_found_by_one_renewal():
    old, new = TokenFactory("ES256", "an earlier key"), TokenFactory("ES256")
    keys = Keys(old.ring(), new.ring())
    assert verify_with(keys, new.token()).subject == SUBJECT
    assert keys.asked == 1
    assert verify_with(keys, new.token()).subject == SUBJECT
    assert keys.asked == 1


@pytest.mark.compliance("8725-10")
def test_a_flood_of_unknown_kids_renews_only_as_often_as_the_source_allows():
    factory = TokenFactory("ES256")
    keys = Keys(factory.ring(), factory.ring(), factory.ring())
    for number in range(50):
        assert reason_with(keys, factory.with_header(kid=f"unknown {number}")) is RejectionReason.UNKNOWN_KEY
    assert keys.asked == 50
    assert keys.renewals == 0
    assert len(keys.rings) == 2
    # The last good keys are kept.
    assert verify_with(keys, factory.token()).subject == SUBJECT


def test_no_other_refusal_causes_a_renewal():
    factory = TokenFactory("ES256")
    keys = Keys(factory.ring())
    for token, reason in (
        (factory.token(signature=bytes(64)), RejectionReason.BAD_SIGNATURE),
        (factory.with_header(alg="none"), RejectionReason.ALGORITHM_MISMATCH),
        (factory.with_header(typ="JWT"), RejectionReason.UNEXPECTED_TYPE),
        (factory.with_header(kid=None), RejectionReason.BAD_HEADER),
        (factory.with_claims(exp=1), RejectionReason.EXPIRED),
        ("opaque", RejectionReason.MALFORMED),
    ):
        assert reason_with(keys, token) is reason
    assert keys.asked == 0


def test_a_renewed_ring_verifies_by_the_same_rules():
    old, new = TokenFactory("ES256", "an earlier key"), TokenFactory("ES256")
    assert reason_with(Keys(old.ring(), new.ring()), new.with_claims(exp=1)) is RejectionReason.EXPIRED
    assert reason_with(Keys(old.ring(), new.ring()), new.token(signature=bytes(64))) is RejectionReason.BAD_SIGNATURE


# Requesting keys


class NoKeys:
    """A key source with nothing in memory, which counts the requests for keys."""

    def __init__(self, ring):
        self.ring = ring
        self.asked = 0

    def at_hand(self):
        return None

    def current(self):
        self.asked += 1
        return self.ring

    def after_unknown_kid(self, kid):
        self.asked += 1


ONLY_ES256 = replace(EXPECTED, algorithms=frozenset({"ES256"}))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda factory: "opaque", RejectionReason.MALFORMED),
        (lambda factory: factory.with_header(typ="JWT"), RejectionReason.UNEXPECTED_TYPE),
        (lambda factory: factory.with_header(crit=["exp"]), RejectionReason.CRITICAL_HEADER),
        (lambda factory: factory.with_header(alg="HS256"), RejectionReason.ALGORITHM_MISMATCH),
        (lambda factory: factory.with_header(alg="ES384"), RejectionReason.ALGORITHM_MISMATCH),
        (lambda factory: factory.with_header(kid=""), RejectionReason.UNKNOWN_KEY),
        (lambda factory: factory.with_header(kid="k" * 513), RejectionReason.UNKNOWN_KEY),
        (lambda factory: factory.token(signature=bytes(63)), RejectionReason.BAD_SIGNATURE),
        (lambda factory: factory.token(signature=bytes(65)), RejectionReason.BAD_SIGNATURE),
        (lambda factory: factory.token(payload="[]"), RejectionReason.BAD_CLAIMS),
        (lambda factory: factory.with_claims(cnf={"jkt": "x"}), RejectionReason.SENDER_CONSTRAINED),
        (lambda factory: factory.with_claims(sub=""), RejectionReason.BAD_CLAIM),
        (lambda factory: factory.with_claims(iss="https://other.example.com/"), RejectionReason.WRONG_ISSUER),
        (lambda factory: factory.with_claims(aud=REPORTS), RejectionReason.WRONG_AUDIENCE),
        (lambda factory: factory.with_claims(exp=1), RejectionReason.EXPIRED),
        (lambda factory: factory.with_claims(nbf=NOW + 3000), RejectionReason.NOT_YET_VALID),
    ],
)
def test_a_token_that_no_key_could_make_acceptable_requests_no_keys(change, reason):
    factory = TokenFactory("ES256")
    # Neither before the first keys, nor because of a key id that the present keys don't have.
    unknown = TokenFactory("ES256", "another key")
    for keys in (NoKeys(factory.ring()), Keys(unknown.ring())):
        with pytest.raises(TokenRejected) as rejected:
            verify_with_current_keys(change(factory), keys=keys, expected=ONLY_ES256, now=NOW)
        assert rejected.value.reason is reason
        assert keys.asked == 0


@pytest.mark.parametrize("kid", ["k", "k" * 512])
def test_a_token_that_a_key_could_make_acceptable_requests_keys_once(kid):
    factory = TokenFactory("ES256")
    keys = NoKeys(factory.ring())
    assert verify_with(keys, factory.token()).subject == SUBJECT
    assert keys.asked == 1
    for unknown in (NoKeys(factory.ring()), Keys(factory.ring(), renewals=0)):
        assert reason_with(unknown, factory.with_header(kid=kid)) is RejectionReason.UNKNOWN_KEY
        assert unknown.asked > 0


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
@pytest.mark.parametrize(("signature_bytes", "asked"), [(255, 0), (256, 1), (512, 1)])
def test_an_rsa_signature_is_at_least_as_long_as_the_shortest_accepted_key(algorithm, signature_bytes, asked):
    factory = TokenFactory(algorithm)
    keys = NoKeys(factory.ring())
    assert reason_with(keys, factory.token(signature=bytes(signature_bytes))) is RejectionReason.BAD_SIGNATURE
    assert keys.asked == asked
