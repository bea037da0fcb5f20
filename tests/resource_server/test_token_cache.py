"""A cached token costs no signature verification, and is otherwise treated like an unknown one."""

from __future__ import annotations

import gc
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.core.errors import KeysUnavailable, RejectionReason, TokenRejected
from django_at_jwt.core.jose.keyring import KeyRing
from django_at_jwt.core.jose.keys import PublicKey
from django_at_jwt.core.verifier import verify_with_current_keys
from django_at_jwt.resource_server import token_cache, verification
from django_at_jwt.resource_server.token_cache import TokenCache
from tests.core.token_factory import API, EXPECTED, NOW, REPORTS, Raw, TokenFactory
from tests.patience import PATIENCE_SECONDS

FORGE = TokenFactory("EdDSA")


class Keys:
    """A key source whose ring can be changed."""

    def __init__(self, *forges):
        self.ring = KeyRing.of([PublicKey.from_jwk(factory.jwk) for factory in forges])

    def at_hand(self):
        return self.ring

    def current(self):
        if self.ring is None:
            raise KeysUnavailable("down")
        return self.ring

    def after_unknown_kid(self, kid):
        return None


@pytest.fixture
def keys():
    return Keys(FORGE)


@pytest.fixture
def cache():
    return TokenCache(1024)


def verify(cache, keys, token, *, expected=EXPECTED, now=NOW):
    return cache.verify(token, keys=keys, expected=expected, now=now)


def remember(cache, keys, token):
    """Send a token twice, since a token is cached the second time."""
    verify(cache, keys, token)
    return verify(cache, keys, token)


def reason(cache, keys, token, **changes):
    with pytest.raises(TokenRejected) as rejected:
        verify(cache, keys, token, **changes)
    return rejected.value.reason


class TestHit:
    def test_costs_no_signature_and_gives_the_same_claims(self, cache, keys, signatures):
        token = FORGE.with_claims(groups=["a"], tenant={"id": 1, "tags": [{"x": None}]})
        first, *others = [verify(cache, keys, token) for _ in range(5)]
        assert others == [first] * 4
        # The first time, and the second time, when it was cached.
        assert len(signatures) == 2

    def test_another_token_of_the_same_claims_is_verified(self, cache, keys, signatures):
        token = FORGE.token()
        remember(cache, keys, token)
        header, payload, _ = token.split(".")
        for other in (f"{header}.{payload}.{'A' * 86}", f"{token}=", token[:-1]):
            reason(cache, keys, other)
        assert len(signatures) == 3

    def test_expires_with_leeway_and_is_dropped_then(self, cache, keys):
        token = FORGE.with_claims(exp=NOW + 10)
        remember(cache, keys, token)
        verify(cache, keys, token, now=NOW + 10 + EXPECTED.leeway - 0.001)
        assert len(cache) == 1
        assert reason(cache, keys, token, now=NOW + 10 + EXPECTED.leeway) is RejectionReason.EXPIRED
        assert len(cache) == 0

    def test_not_before_is_honoured_when_the_clock_goes_back(self, cache, keys):
        token = FORGE.with_claims(nbf=NOW)
        remember(cache, keys, token)
        early = NOW - EXPECTED.leeway - 1
        assert reason(cache, keys, token, now=early) is RejectionReason.NOT_YET_VALID

    @pytest.mark.parametrize("ring", [(), (TokenFactory("ES256"),)], ids=["no key", "other keys"])
    def test_key_that_is_revoked(self, cache, keys, ring):
        token = FORGE.token()
        remember(cache, keys, token)
        keys.ring = Keys(*ring).ring
        assert reason(cache, keys, token) is RejectionReason.UNKNOWN_KEY
        assert len(cache) == 0

    def test_another_key_under_the_same_kid(self, cache, keys):
        token = FORGE.token()
        remember(cache, keys, token)
        keys.ring = KeyRing.of([PublicKey.from_jwk(FORGE.attacker.jwk | {"kid": FORGE.kid})])
        assert reason(cache, keys, token) is RejectionReason.BAD_SIGNATURE

    def test_reloaded_ring_with_the_same_key(self, cache, keys, signatures):
        token = FORGE.token()
        remember(cache, keys, token)
        keys.ring = KeyRing.of([PublicKey.from_jwk(dict(FORGE.jwk))])
        verify(cache, keys, token)
        assert len(signatures) == 2

    def test_keys_that_cannot_be_had(self, cache, keys):
        token = FORGE.token()
        remember(cache, keys, token)
        keys.ring = None
        with pytest.raises(KeysUnavailable):
            verify(cache, keys, token)

    @pytest.mark.parametrize(
        ("expected", "why"),
        [
            (replace(EXPECTED, issuer="https://other.example.com"), RejectionReason.WRONG_ISSUER),
            (replace(EXPECTED, audiences=frozenset({REPORTS})), RejectionReason.WRONG_AUDIENCE),
            (replace(EXPECTED, algorithms=frozenset({"RS256"})), RejectionReason.ALGORITHM_MISMATCH),
            (replace(EXPECTED, max_bytes=100), RejectionReason.TOO_LARGE),
        ],
    )
    def test_other_expectations(self, expected, why, cache, keys):
        token = FORGE.token()
        remember(cache, keys, token)
        assert reason(cache, keys, token, expected=expected) is why
        verify(cache, keys, token)

    def test_changes_to_raw_claims_are_not_shared(self, cache, keys):
        token = FORGE.with_claims(groups=["a"], tenant={"id": 1, "tags": ["x"]})
        verify(cache, keys, token)
        before = verify(cache, keys, token)
        for _ in ("a hit", "another"):
            claims = verify(cache, keys, token)
            assert claims.raw["groups"] == ["a"]
            assert claims.raw["tenant"] == {"id": 1, "tags": ["x"]}
            for spoilt in (before, claims):
                spoilt.raw["groups"].append("staff")
                spoilt.raw["tenant"]["tags"].clear()
                spoilt.raw["is_staff"] = True
        assert "is_staff" not in verify(cache, keys, token).raw

    def test_changes_to_unpacked_claims_are_not_shared(self, cache, keys):
        token = FORGE.with_claims(groups=["a"])
        remember(cache, keys, token)
        for whole in (verify(cache, keys, token)._asdict(), verify(cache, keys, token)._replace(scope="x")._asdict()):
            whole["raw"]["groups"].append("staff")
        *_, raw = verify(cache, keys, token)
        raw["groups"].append("staff")
        assert verify(cache, keys, token).raw["groups"] == ["a"]


class TestMemory:
    def test_token_seen_once_is_not_cached(self, cache, keys):
        tokens = [FORGE.with_claims(jti=f"t{number}") for number in range(5)]
        for token in tokens:
            verify(cache, keys, token)
        assert len(cache) == 0
        for token in tokens:
            verify(cache, keys, token)
        assert len(cache) == 5

    def test_number_of_tokens_seen_once_is_limited(self, cache, keys, monkeypatch):
        monkeypatch.setattr(token_cache, "_MAX_SEEN_ONCE", 3)
        tokens = [FORGE.with_claims(jti=f"t{number}") for number in range(4)]
        for token in (*tokens, tokens[0]):
            verify(cache, keys, token)
        assert len(cache) == 0
        for token in (tokens[3], tokens[0]):
            verify(cache, keys, token)
        assert len(cache) == 2

    def test_tokens_with_the_same_slot_are_distinguished(self, cache, keys, monkeypatch):
        monkeypatch.setattr(token_cache, "hash", lambda _token: 1, raising=False)
        tokens = [FORGE.with_claims(jti=f"t{number}") for number in range(3)]
        for token in [*tokens, *tokens, *tokens]:
            assert verify(cache, keys, token) == verify_with_current_keys(token, keys=keys, expected=EXPECTED, now=NOW)
            reason(cache, keys, FORGE.attacker.token())
            reason(cache, keys, "\ud800")
        assert len(cache) == 1

    def test_is_bounded_and_the_least_recently_used_go_first(self, keys, signatures):
        cache = TokenCache(3)
        tokens = [FORGE.with_claims(jti=f"t{number}") for number in range(4)]
        for token in (*tokens[:3], tokens[0], tokens[3]):
            remember(cache, keys, token)
        assert len(cache) == 3
        signatures.clear()
        for token in (tokens[0], tokens[2], tokens[3]):
            verify(cache, keys, token)
        assert signatures == []
        verify(cache, keys, tokens[1])
        assert len(signatures) == 1

    def test_size_0_is_off(self, keys, signatures):
        cache, token = TokenCache(0), FORGE.token()
        for _ in range(3):
            verify(cache, keys, token)
        assert (len(signatures), len(cache)) == (3, 0)

    def test_size_is_that_of_the_settings_which_may_change(self, keys, settings):
        for size in (5, 2, 0):
            settings.AT_JWT = {**settings.AT_JWT, "VERIFIED_TOKEN_CACHE_SIZE": size}
            for number in range(6):
                remember(verification._token_cache(), keys, FORGE.with_claims(jti=f"t{number}"))
            assert len(verification._token_cache()) == size

    def test_rejected_tokens_are_not_cached(self, cache, keys):
        for token in (
            FORGE.attacker.token(),
            FORGE.with_claims(exp=NOW - 100),
            FORGE.with_claims(iss="https://other.example.com"),
            FORGE.with_claims(aud=REPORTS),
            FORGE.with_header(typ="JWT"),
            "x",
            "\u0661.b.c",
            "\ud800",
            "x" * 100_000,
        ):
            for _ in range(3):
                reason(cache, keys, token)
        assert len(cache) == 0

    def test_token_nested_too_deeply_to_be_copied_is_verified_each_time(self, cache, keys, signatures):
        token = FORGE.with_claims(x=Raw("[" * 200 + "]" * 200))
        for _ in range(3):
            assert verify(cache, keys, token).subject
        assert len(signatures) == 3

    def test_holds_no_token(self, cache, keys):
        token = FORGE.token()
        remember(cache, keys, token)
        assert len(cache) == 1
        held, seen = [vars(cache)], set()
        while held:
            each = held.pop()
            if id(each) not in seen and isinstance(each, (dict, tuple, list, str, bytes)):
                seen.add(id(each))
                assert each != token
                assert not isinstance(each, str) or token.split(".")[2] not in each
                held += gc.get_referents(each)

    def test_serves_many_threads(self, keys):
        cache = TokenCache(4)
        tokens = [FORGE.with_claims(jti=f"t{number}") for number in range(8)]
        started = threading.Barrier(8)

        def work(offset):
            started.wait(PATIENCE_SECONDS)
            for number in itertools.islice(itertools.cycle(range(8)), offset, offset + 200):
                assert verify(cache, keys, tokens[number]).token_id == f"t{number}"

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        assert len(cache) <= 4


TOKENS = [
    FORGE.token(),
    FORGE.with_claims(exp=NOW + 40, nbf=NOW - 10),
    FORGE.with_claims(aud=[API, REPORTS]),
    FORGE.with_claims(aud=REPORTS, iat=NOW + 50, exp=NOW + 90),
    FORGE.with_claims(iss="https://other.example.com"),
    FORGE.attacker.token(),
    TokenFactory("ES256").token(),
    FORGE.token()[:-2],
]
RINGS = [
    Keys(FORGE).ring,
    Keys(FORGE, TokenFactory("ES256")).ring,
    Keys(TokenFactory("ES256")).ring,
    Keys().ring,
    KeyRing.of([PublicKey.from_jwk(FORGE.attacker.jwk | {"kid": FORGE.kid})]),
    None,
]
CHANGES = st.one_of(
    st.tuples(st.just("clock"), st.integers(-60, 60)),
    st.tuples(st.just("keys"), st.sampled_from(RINGS)),
    st.tuples(st.just("issuer"), st.sampled_from([EXPECTED.issuer, "https://other.example.com"])),
    st.tuples(st.just("audiences"), st.sampled_from([frozenset({API}), frozenset({REPORTS}), None])),
    st.tuples(st.just("leeway"), st.sampled_from([0, 5, 30, 60])),
    st.tuples(st.just("algorithms"), st.sampled_from([None, frozenset({"EdDSA"}), frozenset({"ES256"})])),
    st.tuples(st.just("max_bytes"), st.sampled_from([16384, 300])),
)
# After each change one of the tokens is sent three times; initially valid ones are more frequent.
STEPS = st.lists(st.tuples(CHANGES, st.sampled_from([*TOKENS[:2] * 6, *TOKENS])), max_size=12)


def outcome(verify, *arguments, **options):
    try:
        return verify(*arguments, **options)
    except TokenRejected as rejected:
        return rejected.reason
    except KeysUnavailable:
        return "unavailable"


def never_seen(ring):
    """Return a key source without any cache, of headers included."""
    keys = Keys()
    keys.ring = None if ring is None else KeyRing.of(ring.public_keys.values())
    return keys


@pytest.mark.compliance("9068-24", "9068-25", "9068-26")
@given(st.sampled_from([0, 1, 2, 100]), STEPS)
def test_a_verdict_never_differs_from_a_fresh_one(size, steps):
    cache, keys, now, expected = TokenCache(size), Keys(FORGE), NOW, EXPECTED
    for (what, value), token in [(("clock", 0), TOKENS[0]), *steps]:
        match what:
            case "clock":
                now += value
            case "keys":
                keys.ring = value
            case _:
                expected = replace(expected, **{what: value})
        # The first time it is unknown, the second time it is cached, and the third time it is a hit.
        for _ in range(3):
            given_now = outcome(cache.verify, token, keys=keys, expected=expected, now=now)
            fresh = outcome(verify_with_current_keys, token, keys=never_seen(keys.ring), expected=expected, now=now)
            assert given_now == fresh
            assert len(cache) <= size
            if not isinstance(given_now, str):
                given_now.raw.clear()
