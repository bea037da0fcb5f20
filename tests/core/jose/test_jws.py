from __future__ import annotations

import base64

import pytest

from django_at_jwt.core.errors import RejectionReason, TokenRejected
from django_at_jwt.core.jose.jws import (
    CompactJws,
    DuplicateMember,
    decode_object,
    decode_segment,
    encode_segment,
    sign_compact,
    unique_members,
)
from django_at_jwt.core.jose.keys import PrivateKey, PublicKey
from tests.core.signing_keys import signing_key
from tests.core.token_factory import ALL_ALGORITHMS, EXPECTED, TokenFactory, b64url, json_of, private_members


def split(token, max_bytes=EXPECTED.max_bytes):
    return CompactJws.split(token, max_bytes=max_bytes)


def reason_of(call, *arguments, **options):
    with pytest.raises(TokenRejected) as rejected:
        call(*arguments, **options)
    return rejected.value.reason


@pytest.mark.parametrize(
    ("data", "segment"),
    [
        # The example vectors of RFC 4648 section 10, and RFC 7515 appendix C.
        (b"", b""),
        (b"f", b"Zg"),
        (b"fo", b"Zm8"),
        (b"foo", b"Zm9v"),
        (b"foob", b"Zm9vYg"),
        (b"\x03\xec\xff\xe0\xc1", b"A-z_4ME"),
    ],
)
def test_a_segment_is_base64url_without_padding(data, segment):
    assert encode_segment(data) == segment
    assert decode_segment(segment) == data


@pytest.mark.compliance("8725-14")
def test_bytes_have_one_spelling():
    characters = [bytes([character]) for character in base64.urlsafe_b64encode(bytes(range(256))) if character != 61]
    for prefix, spelled in ((b"A", 1), (b"AA", 2)):
        accepted = []
        for last in set(characters):
            try:
                accepted.append(decode_segment(prefix + last))
            except TokenRejected as rejected:
                accepted.append(rejected.reason)
        decoded = [each for each in accepted if isinstance(each, bytes)]
        assert len(decoded) == len(set(decoded)) == 4**spelled
        assert set(accepted) - set(decoded) == {RejectionReason.MALFORMED}


@pytest.mark.parametrize("segment", [b"A", b"AAAAA", b"AAAAAAAAA"])
def test_a_length_that_no_bytes_have_is_malformed(segment):
    assert reason_of(decode_segment, segment) is RejectionReason.MALFORMED


NOT_OBJECTS = [
    *(b"", b" ", b"{", b"[]", b"null", b'"x"', b"\xff", b"{}{}", b"{} x", b"\xef\xbb\xbf{}", b"\xc2\xa0{}", b"{}\x0b"),
    *(
        rb'{"a":"\ud800"}',
        rb'{"\udc00":1}',
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":NaN}',
        b'{"a":-Infinity}',
        b"[" * 50_000,
    ),
]


@pytest.mark.compliance("7515-1", "8725-7")
@pytest.mark.parametrize("data", NOT_OBJECTS, ids=lambda data: ascii(data[:12]))
@pytest.mark.parametrize("reason", [RejectionReason.BAD_HEADER, RejectionReason.BAD_CLAIMS])
def test_what_is_not_an_object_is_refused_with_the_given_reason(data, reason):
    assert reason_of(decode_object, data, reason) is reason


def test_the_first_duplicate_member_is_named():
    with pytest.raises(DuplicateMember) as duplicate:
        unique_members([("a", 1), ("b", 2), ("c", 3), ("c", 3), ("b", 4)])
    assert duplicate.value.name == "b"
    # The name is the sender's text.
    assert str(duplicate.value) == "a member occurs twice"
    assert unique_members([("b", 1), ("a", 1)]) == {"b": 1, "a": 1}


def test_an_object_is_read():
    value = decode_object('{"a":[1,2.5,{"b":null}],"é":"🔑"}'.encode(), RejectionReason.BAD_CLAIMS)
    assert value == {"a": [1, 2.5, {"b": None}], "é": "🔑"}
    assert decode_object(rb'{"\u00e9":"\ud83d\udd11"}', RejectionReason.BAD_CLAIMS) == {"é": "🔑"}
    assert decode_object(b' \t\r\n{ "a" : [ 1 ] }\n\n', RejectionReason.BAD_CLAIMS) == {"a": [1]}


@pytest.mark.compliance("8725-14")
def test_a_token_is_taken_apart_without_reading_its_header():
    jws = split("QUFB.QkJC.Q0ND")
    assert jws == (b"QUFB.QkJC", b"QUFB", b"BBB", b"CCC")
    assert reason_of(lambda: jws.header) is RejectionReason.BAD_HEADER


@pytest.mark.parametrize("segment", [b"AA+A", b"AA/A", b"AAA=", b"AA A", b"AA\nA", b"AA\x00A", b"AA.A", b"AA\xe9A"])
def test_other_characters_than_those_of_base64url_are_malformed(segment):
    assert reason_of(decode_segment, segment) is RejectionReason.MALFORMED


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("AAAA.AAAA.AAAA.AAAA.AAAA", RejectionReason.ENCRYPTED),
        ("AAAA..AAAA.AAAA.AAAA", RejectionReason.ENCRYPTED),
        ("AA+A.AAAA.AAAA.AAAA.AAAA", RejectionReason.MALFORMED),
        ("AAAA.AAAA.AAAA.AAAA", RejectionReason.MALFORMED),
        ("AAAA.AAAA.AAAA.AAAA.AAAA.AAAA", RejectionReason.MALFORMED),
        ("AAAA.AAAA", RejectionReason.MALFORMED),
        ("AAAA", RejectionReason.MALFORMED),
        ("", RejectionReason.MALFORMED),
        ("AA+A.AAAA.AAAA", RejectionReason.MALFORMED),
        ("AAA=.AAAA.AAAA", RejectionReason.MALFORMED),
        ("AAAA.AA+A.AAAA", RejectionReason.MALFORMED),
        ("AAAA.AAAA.AA+A", RejectionReason.MALFORMED),
        ("AAA\u00c1.AAAA.AAAA", RejectionReason.MALFORMED),
    ],
)
def test_a_token_has_three_segments_of_base64url(token, reason):
    assert reason_of(split, token) is reason


def test_the_cap_is_on_the_whole_token_and_inclusive():
    assert split("AAAA.AAAA.AAAA", max_bytes=14).payload == b"\0\0\0"
    assert reason_of(split, "AAAA.AAAA.AAAA", max_bytes=13) is RejectionReason.TOO_LARGE


@pytest.mark.compliance("9068-1", "9068-19")
@pytest.mark.parametrize("algorithm", ALL_ALGORITHMS)
def test_what_is_signed_is_framed_as_compact_jws(algorithm):
    factory = TokenFactory(algorithm)
    header, payload = b64url(json_of(factory.header()).encode()), b"any bytes \x00\xff"
    token = sign_compact(signing_key(algorithm), header.encode(), payload)
    jws = split(token)
    assert token == f"{header}.{b64url(payload)}.{b64url(jws.signature)}"
    assert jws.header == factory.header()
    assert jws.payload == payload
    assert PublicKey.from_jwk(factory.jwk).verifies(jws.signing_input, jws.signature)


def test_a_signing_key_and_its_forge_agree():
    # The factory signs with other code; deterministic signatures with the same key are equal.
    for algorithm in ("RS256", "RS384", "RS512", "EdDSA", "Ed25519"):
        key: PrivateKey = signing_key(algorithm)
        assert key.sign(b"data") == TokenFactory(algorithm).sign(b"data")
        assert "d" in private_members(TokenFactory(algorithm).key)
