"""The parser never crashes on any input, and a token has exactly one spelling."""

from __future__ import annotations

import base64
import json
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from django_at_jwt.core.errors import RejectionReason, TokenRejected
from django_at_jwt.core.jose.jws import CompactJws, decode_object, decode_segment, encode_segment
from django_at_jwt.core.profile import REQUIRED_CLAIMS, encode_json
from tests.core.test_hostile_tokens import accept
from tests.core.token_factory import EVERY_KIND, EXPECTED, SUBJECT, TokenFactory, b64url

BASE64URL = string.ascii_letters + string.digits + "-_"

TOKENS = {algorithm: TokenFactory(algorithm).token() for algorithm in EVERY_KIND}
algorithms = st.sampled_from(EVERY_KIND)


def outcome(token, algorithm, *, expected=EXPECTED):
    """Verify with a new ring, then with one that remembers a valid header; only TokenRejected may be raised."""
    answers = []
    remembering = TokenFactory(algorithm).ring()
    accept(TOKENS[algorithm], remembering)
    for ring in (TokenFactory(algorithm).ring(), remembering):
        try:
            answers.append(accept(token, ring, expected=expected))
        except TokenRejected as rejected:
            answers.append(rejected.reason)
    assert answers[0] == answers[1]
    return answers[0]


@given(algorithms, st.text() | st.text(alphabet=BASE64URL + "."))
@example("RS256", "")
@example("ES256", "..")
@example("EdDSA", "....")
@example("EdDSA", "\ud800")
def test_text_is_refused(algorithm, text):
    assert isinstance(outcome(text, algorithm), RejectionReason)


@given(algorithms, st.binary(max_size=200), st.sampled_from(["latin-1", "surrogateescape"]))
def test_bytes_are_refused_as_servers_hand_them_over(algorithm, data, how):
    text = data.decode("latin-1") if how == "latin-1" else data.decode("utf-8", "surrogateescape")
    assert isinstance(outcome(text, algorithm), RejectionReason)
    assert isinstance(outcome(f"{TOKENS[algorithm]}{text}", algorithm), RejectionReason) or not text


@given(algorithms, st.lists(st.binary(max_size=60).map(b64url), min_size=1, max_size=6))
def test_segments_of_any_bytes_are_refused(algorithm, segments):
    assert isinstance(outcome(".".join(segments), algorithm), RejectionReason)


@st.composite
def mutations(draw):
    """Change a valid token in one to three places: replace, insert, delete, move or double a character."""
    algorithm = draw(algorithms)
    token = TOKENS[algorithm]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(token) - 1, 0)))
        to = min(at + draw(st.integers(1, 8)), len(token))
        piece = draw(st.text(alphabet=BASE64URL + ".=+/ \n", max_size=4) | st.text(max_size=2))
        token = draw(
            st.sampled_from(
                [
                    token[:at] + piece + token[at + 1 :],
                    token[:at] + piece + token[at:],
                    token[:at] + token[to:],
                    token[:at] + token[at:to] * 2 + token[to:],
                    token[:at] + token[at:to].swapcase() + token[to:],
                    token[:at],
                    token[to:] + token[:to],
                    ".".join(reversed(token.split("."))),
                ]
            )
        )
    return algorithm, token


@pytest.mark.compliance("8725-14", "9068-25")
@given(mutations())
def test_an_accepted_mutation_changes_nothing(mutation):
    algorithm, token = mutation
    if not isinstance(outcome(token, algorithm), RejectionReason):
        assert token == TOKENS[algorithm]


@pytest.mark.compliance("8725-14")
@pytest.mark.parametrize("algorithm", EVERY_KIND)
def test_no_other_last_character_of_a_segment_is_accepted(algorithm):
    token = TOKENS[algorithm]
    ends = [token.index("."), token.rindex("."), len(token)]
    for end in ends:
        for character in BASE64URL:
            other = token[: end - 1] + character + token[end:]
            assert isinstance(outcome(other, algorithm), RejectionReason) == (other != token)


@given(algorithms, st.integers(0, 2), st.data())
def test_no_flipped_bit_is_accepted(algorithm, which, data):
    segments = [base64.urlsafe_b64decode(segment + "==") for segment in TOKENS[algorithm].split(".")]
    changed = bytearray(segments[which])
    bit = data.draw(st.integers(0, 8 * len(changed) - 1))
    changed[bit // 8] ^= 1 << bit % 8
    segments[which] = bytes(changed)
    assert isinstance(outcome(".".join(map(b64url, segments)), algorithm), RejectionReason)


# What the issuer itself might sign

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
claim_names = st.sampled_from([*REQUIRED_CLAIMS, "nbf", "scope", "cnf", "x"])


@given(algorithms, st.dictionaries(claim_names, json_values, min_size=1, max_size=3))
def test_signed_claims_are_accepted_with_the_right_types_or_refused(algorithm, changes):
    factory = TokenFactory(algorithm)
    claims = outcome(factory.with_claims(**changes), algorithm)
    if isinstance(claims, RejectionReason):
        return
    texts = (claims.issuer, claims.subject, claims.client_id, claims.token_id, *claims.audience)
    assert all(type(text) is str and text for text in texts)
    assert type(claims.scope) is str
    instants = (claims.issued_at, claims.expires_at, 0 if claims.not_before is None else claims.not_before)
    assert all(type(instant) in {int, float} and 0 <= instant < 10**12 for instant in instants)
    assert "cnf" not in claims.raw
    assert claims.raw.keys() >= {*REQUIRED_CLAIMS}


@given(algorithms, st.dictionaries(st.sampled_from(["typ", "alg", "kid", "crit", "b64", "jwk", "x"]), json_values))
def test_signed_headers_are_accepted_or_refused(algorithm, changes):
    factory = TokenFactory(algorithm)
    answer = outcome(factory.with_header(**changes), algorithm)
    if {"typ", "alg", "kid", "crit", "b64"}.isdisjoint(changes):
        # NaN is the only value here that is not JSON.
        assert answer is RejectionReason.BAD_HEADER or answer.subject == SUBJECT
    else:
        assert isinstance(answer, RejectionReason)


@given(algorithms, st.binary(max_size=100), st.booleans())
def test_signed_bytes_are_refused(algorithm, data, in_header):
    factory = TokenFactory(algorithm)
    token = factory.token(header=data) if in_header else factory.token(payload=data)
    assert isinstance(outcome(token, algorithm), RejectionReason)


# Encoding and decoding


@pytest.mark.compliance("8725-14")
@given(st.binary())
def test_bytes_survive_a_round_trip(data):
    segment = encode_segment(data)
    assert segment == base64.urlsafe_b64encode(data).rstrip(b"=")
    assert decode_segment(segment) == data


@pytest.mark.compliance("8725-14")
@given(st.text(alphabet=BASE64URL).map(str.encode))
def test_text_that_decodes_is_what_its_bytes_encode_to(segment):
    try:
        data = decode_segment(segment)
    except TokenRejected as rejected:
        assert rejected.reason is RejectionReason.MALFORMED  # noqa: PT017 - either outcome will do
        return
    assert encode_segment(data) == segment


@pytest.mark.compliance("8725-14")
@given(st.text(alphabet=BASE64URL, max_size=12), st.integers(0, 12), st.integers(0, 255))
@example("AAA", 3, ord("="))
@example("AAA", 1, ord("+"))
@example("AAA", 1, ord("/"))
def test_no_other_character_is_passed_over(segment, place, character):
    # By default the standard library's decoder skips unknown characters, and it accepts "+", "/" and "=".
    odd = segment[:place].encode() + bytes([character]) + segment[place:].encode()
    if chr(character) in BASE64URL:
        return
    with pytest.raises(TokenRejected):
        decode_segment(odd)
    with pytest.raises(TokenRejected):
        CompactJws.split(f"e30.{odd.decode('latin-1')}.AA", max_bytes=1000)


finite_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=6), finite_json, max_size=4))
def test_members_survive_a_round_trip(members):
    try:
        written = encode_json(members)
    except UnicodeEncodeError:
        # A lone surrogate cannot be encoded as UTF-8.
        assert any(0xD800 <= ord(character) <= 0xDFFF for character in repr_of(members))
        return
    assert decode_object(written, RejectionReason.BAD_CLAIMS) == members
    assert json.loads(written) == members


def repr_of(members):
    return json.dumps(members, ensure_ascii=False)


@given(st.binary())
def test_json_is_an_object_or_refused_for_the_reason_given(data):
    try:
        value = decode_object(data, RejectionReason.BAD_HEADER)
    except TokenRejected as rejected:
        assert rejected.reason is RejectionReason.BAD_HEADER  # noqa: PT017 - either outcome will do
        return
    assert type(value) is dict
    assert value == json.loads(data)


@given(st.text(alphabet=BASE64URL + ".\u00e9= "), st.integers(0, 40))
def test_what_is_split_is_put_together_again(text, max_bytes):
    try:
        jws = CompactJws.split(text, max_bytes=max_bytes)
    except TokenRejected as rejected:
        too_long = len(text) > max_bytes
        assert (rejected.reason is RejectionReason.TOO_LARGE) == too_long  # noqa: PT017 - either outcome will do
        return
    assert len(text) <= max_bytes
    segments = (jws.header_segment, encode_segment(jws.payload), encode_segment(jws.signature))
    assert b".".join(segments).decode() == text
    assert jws.signing_input == b".".join(segments[:2])
