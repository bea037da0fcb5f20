from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_at_jwt.core.errors import UnacceptableDocument
from django_at_jwt.core.jose.algorithms import ALGORITHMS
from django_at_jwt.core.jose.jwk_set import accept_keys
from django_at_jwt.core.jose.keys import PRIVATE_MEMBERS
from django_at_jwt.core.remote_issuer import IssuerSnapshot
from tests.core.token_factory import ALL_ALGORITHMS, NOW, TokenFactory, b64url

GOOD = TokenFactory("ES256")
ISSUER = "https://as.example.com/o"


def without(jwk, *names):
    return {name: value for name, value in jwk.items() if name not in names}


def skipped(*keys, algorithms=()):
    return [key.reason for key in accept_keys({"keys": [GOOD.jwk, *keys]}, algorithms=algorithms).skipped]


@pytest.mark.parametrize("algorithm", ALL_ALGORITHMS)
def test_each_algorithm(algorithm):
    factory = TokenFactory(algorithm)
    [key] = accept_keys({"keys": [factory.jwk]}).keys
    assert (key.kid, key.algorithm.name) == (factory.kid, algorithm)


@pytest.mark.compliance("7517-1", "8725-5")
def test_keys_that_are_costly_or_written_in_another_way():
    rsa = TokenFactory("RS256").jwk
    costly = {**rsa, "kid": "costly", "e": b64url((2**64 + 1).to_bytes(9, "big"))}
    padded = {**rsa, "kid": "padded", "n": rsa["n"] + "=="}
    zeros = {**rsa, "kid": "zeros", "e": "AAEAAQ"}
    accepted = accept_keys({"keys": [costly, padded, zeros]})
    assert [(key.kid, key.public_jwk["e"]) for key in accepted.keys] == [("zeros", "AQAB")]
    assert [(key.kid, key.reason) for key in accepted.skipped] == [
        ("'costly'", "the RSA exponent must have at most 64 bits (got 65)"),
        ("'padded'", 'the key\'s "n" is not base64url without padding (RFC 7515 section 2)'),
    ]


@pytest.mark.compliance("8725-1")
@pytest.mark.parametrize(
    ("algorithm", "accepted", "taken"),
    [
        ("ES256", (), "ES256"),
        ("ES384", (), "ES384"),
        ("ES512", (), "ES512"),
        ("EdDSA", (), "EdDSA"),
        ("EdDSA", ("Ed25519",), "Ed25519"),
        ("EdDSA", ("EdDSA", "Ed25519"), None),
        ("RS256", (), None),
        ("RS256", ("RS256",), "RS256"),
        ("RS256", ("PS256", "ES256"), "PS256"),
        ("RS256", ("RS256", "PS256"), None),
        ("RS256", ("ES256",), None),
        ("ES256", ("RS256",), None),
    ],
)
def test_algorithm_of_a_key_that_does_not_name_it(algorithm, accepted, taken):
    document = {"keys": [without(TokenFactory(algorithm).jwk, "alg")]}
    keys = accept_keys(document, algorithms=accepted).keys
    assert [key.algorithm for key in keys] == ([] if taken is None else [ALGORITHMS[taken]])


def test_algorithm_that_is_not_accepted_from_this_issuer():
    assert skipped(TokenFactory("RS256").jwk, algorithms=("ES256",)) == ["RS256 is not accepted from this issuer"]


def test_key_that_is_for_signatures_and_not_for_verifying_them():
    """RFC 7517 section 4.3: "sign" is an operation of the private half."""
    key = TokenFactory("RS256").jwk
    assert "verify" in skipped(key | {"key_ops": ["sign"]})[0]
    assert skipped(key | {"key_ops": ["verify"]}) == skipped(key | {"key_ops": ["verify", "sign"]}) == []


@pytest.mark.parametrize("kid", ["", None, 1, ["x"], "x" * 513, "x" * 10_000])
def test_key_without_a_usable_kid_is_skipped(kid):
    assert len(skipped(GOOD.jwk | {"kid": kid})) == 1


@pytest.mark.parametrize("kid", ["x", "x" * 512])
def test_key_with_a_kid_of_acceptable_length_is_accepted(kid):
    assert [key.kid for key in accept_keys({"keys": [GOOD.jwk | {"kid": kid}]}).keys] == [kid]


def test_set_has_at_most_100_keys():
    keys = [GOOD.jwk | {"kid": str(number)} for number in range(101)]
    assert len(accept_keys({"keys": keys[:100]}).keys) == 100
    with pytest.raises(UnacceptableDocument, match="101 keys, more than 100"):
        accept_keys({"keys": keys})


@pytest.mark.compliance("8725-5")
@pytest.mark.parametrize("member", sorted(PRIVATE_MEMBERS - {"k"}))
def test_key_with_a_private_member_is_skipped(member):
    [reason] = skipped(TokenFactory("RS256").jwk | {member: "AAAA"})
    assert "private half" in reason


@pytest.mark.compliance("8725-5")
@pytest.mark.parametrize("changes", [{"k": "AAAA"}, {"kty": "oct"}])
def test_symmetric_key_is_skipped(changes):
    [reason] = skipped(TokenFactory("RS256").jwk | changes)
    assert "symmetric" in reason


def test_same_key_twice_is_one():
    accepted = accept_keys({"keys": [GOOD.jwk, dict(reversed(GOOD.jwk.items()))]})
    assert [key.kid for key in accepted.keys] == [GOOD.kid]
    assert accepted.skipped == ()


def test_same_kid_for_two_keys_takes_neither():
    twice = [TokenFactory("EdDSA").jwk | {"kid": "x"}, TokenFactory("ES384").jwk | {"kid": "x"}]
    assert skipped(*twice) == ["2 different keys have this kid"]
    assert accept_keys({"keys": twice}).keys == ()


def test_set_without_a_usable_key_is_an_answer():
    assert accept_keys({"keys": []}).keys == ()
    assert len(accept_keys({"keys": [{"kty": "oct", "kid": "s", "k": "AAAA"}]}).skipped) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
members = st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "alg", "use", "key_ops", "d", "k", "x5c"])
mutations = st.dictionaries(
    members, json_values | st.sampled_from([*ALGORITHMS, "none", "HS256", "RSA", "EC", "OKP", "oct"])
)


@given(
    st.lists(
        st.tuples(st.sampled_from(["ES256", "RS256", "EdDSA"]), st.booleans(), mutations) | json_values, max_size=4
    )
)
@example([("ES256", False, {"crv": ["P-256"]}), ("EdDSA", False, {"crv": {}}), ("RS256", False, {"kty": []})])
def test_whatever_is_in_a_set_the_good_key_is_taken_and_nothing_private(entries):
    keys = []
    for entry in entries:
        if isinstance(entry, tuple):
            algorithm, says_algorithm, changes = entry
            keys.append(without(TokenFactory(algorithm).jwk, *() if says_algorithm else ("alg",)) | changes)
        else:
            keys.append(entry)
    accepted = accept_keys({"keys": [*keys, GOOD.jwk | {"kid": "the good one, whatever comes before it"}]})
    assert "the good one, whatever comes before it" in {key.kid for key in accepted.keys}
    assert len({key.kid for key in accepted.keys}) == len(accepted.keys)
    for key in accepted.keys:
        assert key.algorithm.name in ALGORITHMS
        assert PRIVATE_MEMBERS.isdisjoint(key.public_jwk)
    for entry in accepted.skipped:
        assert entry.kid.isascii()
        assert len(entry.kid) <= 103
        assert "\n" not in entry.reason


@given(json_values)
def test_no_document_does_more_than_be_refused_or_without_a_key(document):
    try:
        accepted = accept_keys(document if isinstance(document, dict) else {"keys": document})
    except UnacceptableDocument:
        return
    assert accepted.keys == ()


# Snapshots shared by workers


def snapshot(**changes):
    values = {
        "issuer": ISSUER,
        "jwks_uri": f"{ISSUER}/keys",
        "metadata_until": NOW + 300.0,
        "etag": 'W/"x"',
        "keys": accept_keys({"keys": [GOOD.jwk, TokenFactory("RS256").jwk, TokenFactory("EdDSA").jwk]}).keys,
        "confirmed_at": float(NOW),
        "fresh_until": NOW + 300.0,
    }
    return IssuerSnapshot(**values | changes)


def read(text, *, now=NOW, algorithms=(), longest=3600):
    return IssuerSnapshot.from_text(
        text, issuer=ISSUER, algorithms=algorithms, loopback_http=False, longest=longest, now=now
    )


def test_snapshot_survives_being_written():
    assert read(snapshot().to_text()) == snapshot()
    assert read(snapshot(etag=None).to_text()) == snapshot(etag=None)
    assert read(snapshot(keys=()).to_text()) == snapshot(keys=())


@pytest.mark.parametrize(
    "changes",
    [
        *({"form": form} for form in (1, 3, "2", None)),
        *({"issuer": issuer} for issuer in (f"{ISSUER}/", None)),
        *({"jwks_uri": uri} for uri in ("http://as.example.com/keys", "http://localhost/keys", "/keys", None, 7)),
        *({"jwk_set": keys} for keys in ([], None, {}, {"keys": None})),
        *(
            {member: value}
            for member in ("confirmed_at", "metadata_until", "fresh_until")
            for value in (None, True, False, "1", [], -1, -0.001, 1e300, 10**400)
        ),
    ],
    ids=lambda changes: "-".join(f"{name} {str(value)[:8]}" for name, value in changes.items()),
)
def test_snapshot_with_a_bad_member_is_refused(changes):
    written = json.loads(snapshot().to_text())
    assert read(json.dumps(written)) == snapshot()
    with pytest.raises(UnacceptableDocument):
        read(json.dumps(written | changes))


def test_snapshot_of_a_development_server_is_read_where_http_is_allowed():
    text = snapshot(jwks_uri="http://localhost:8000/keys").to_text()
    allowed = {"issuer": ISSUER, "algorithms": (), "longest": 3600, "now": NOW}
    assert IssuerSnapshot.from_text(text, loopback_http=True, **allowed).jwks_uri == "http://localhost:8000/keys"


@pytest.mark.parametrize("etag", ["x", '"x"\r\n', 7, ['"x"'], True])
def test_snapshot_with_an_etag_that_cannot_be_sent_has_none(etag):
    assert read(json.dumps(json.loads(snapshot().to_text()) | {"etag": etag})).etag is None


def test_snapshot_of_a_machine_whose_clock_is_a_little_ahead():
    assert read(snapshot().to_text(), now=NOW - 60).confirmed_at == NOW - 60
    with pytest.raises(UnacceptableDocument, match="future"):
        read(snapshot().to_text(), now=NOW - 61)


@pytest.mark.parametrize("member", ["metadata_until", "fresh_until"])
def test_snapshot_is_used_no_longer_than_the_settings_say(member):
    assert read(snapshot(**{member: NOW + 3600.0}).to_text())
    with pytest.raises(UnacceptableDocument, match="future"):
        read(snapshot(**{member: NOW + 3601.0}).to_text())


def test_snapshot_is_renewed_before_it_runs_out_and_used_at_least_until_then():
    assert snapshot().refresh_at == NOW + 240
    assert snapshot().usable_until(0) == NOW + 300
    assert snapshot().usable_until(299) == NOW + 300
    assert snapshot().usable_until(301) == NOW + 301


def test_snapshot_has_only_keys_that_are_accepted_now():
    assert [key.algorithm.name for key in read(snapshot().to_text(), algorithms=("RS256",)).keys] == ["RS256"]


@given(
    st.dictionaries(st.sampled_from([*json.loads(snapshot().to_text())]), json_values, min_size=1)
    | json_values
    | st.text()
)
def test_any_other_text_is_a_snapshot_within_bounds_or_refused(changes):
    written = json.loads(snapshot().to_text())
    text = (
        changes if isinstance(changes, str) else json.dumps(written | changes if isinstance(changes, dict) else changes)
    )
    try:
        got = read(text)
    except UnacceptableDocument:
        return
    assert got.issuer == ISSUER
    assert got.jwks_uri.startswith("https://")
    assert 0 <= got.confirmed_at <= NOW
    assert max(got.metadata_until, got.fresh_until) <= got.confirmed_at + 3600 + 60


def test_lone_surrogate_in_the_cache_does_not_crash():
    with pytest.raises(UnacceptableDocument):
        read("\ud800")
