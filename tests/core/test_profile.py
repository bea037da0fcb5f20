from __future__ import annotations

import json

import pytest

from django_at_jwt.core.errors import RejectionReason, TokenRejected
from django_at_jwt.core.jose.jws import CompactJws
from django_at_jwt.core.profile import (
    REQUIRED_CLAIMS,
    RESERVED_CLAIMS,
    TOKEN_TYPE,
    assemble,
    encode_json,
    header_segment,
    parse_claims,
)

from .signing_keys import signing_key
from .token_factory import ALL_ALGORITHMS, API, CLIENT_ID, ISSUER, NOW, REPORTS, SUBJECT, TokenFactory


def assembled(**changes):
    return assemble(
        **{
            "issuer": ISSUER,
            "subject": SUBJECT,
            "audience": [API],
            "client_id": CLIENT_ID,
            "issued_at": NOW,
            "lifetime": 300,
            "token_id": "token-1",
            "scopes": ["read", "write"],
            **changes,
        }
    )


@pytest.mark.compliance("9068-4", "9068-11")
def test_the_claims_of_a_token():
    assert assembled() == {
        "iss": ISSUER,
        "sub": SUBJECT,
        "aud": API,
        "client_id": CLIENT_ID,
        "iat": NOW,
        "exp": NOW + 300,
        "jti": "token-1",
        "scope": "read write",
    }


@pytest.mark.compliance("9068-14")
@pytest.mark.parametrize(
    ("audience", "aud"), [([API], API), ((API,), API), ([API, REPORTS], [API, REPORTS]), (iter([REPORTS]), REPORTS)]
)
def test_one_audience_is_a_string_and_several_are_a_list(audience, aud):
    assert assembled(audience=audience)["aud"] == aud


@pytest.mark.compliance("9068-11")
@pytest.mark.parametrize(
    ("scopes", "claim"),
    [([], None), ((), None), (["read"], "read"), (["write", "read"], "write read"), (iter(["a", "b"]), "a b")],
)
def test_scope_is_a_string_and_is_left_out_when_there_is_none(scopes, claim):
    assert assembled(scopes=scopes).get("scope") == claim
    assert ("scope" in assembled(scopes=[])) is False


@pytest.mark.compliance("9068-11")
@pytest.mark.parametrize("known", [{}, {"auth_time": 7}, {"auth_time": 7, "acr": "gold", "amr": ["pwd", "otp"]}])
def test_what_is_known_of_the_login_is_added(known):
    assert assembled(authentication=known) == {**assembled(), **known}


def test_mapped_claims_are_added():
    claims = assembled(mapped={"email": "a@example.com", "roles": ["x"], "name": None})
    assert (claims["email"], claims["roles"], claims["name"]) == ("a@example.com", ["x"], None)
    assert claims.keys() == {*assembled(), "email", "roles", "name"}


@pytest.mark.compliance("9068-31")
@pytest.mark.parametrize("name", sorted(RESERVED_CLAIMS))
@pytest.mark.parametrize("value", ["mapped", None, [], 0], ids=str)
def test_a_reserved_claim_is_never_mapped(name, value):
    assert assembled(mapped={name: value, "x": 1}) == {**assembled(), "x": 1}
    assert name not in assembled(mapped={name: value}, scopes=[]).keys() - {*REQUIRED_CLAIMS}


def test_the_reserved_claims_are_those_of_the_protocol():
    assert set(REQUIRED_CLAIMS) == {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"}
    others = {"nbf", "scope", "auth_time", "acr", "amr", "cnf", "act"}
    assert {*REQUIRED_CLAIMS, *others} == RESERVED_CLAIMS


@pytest.mark.compliance("9068-1", "9068-3", "9068-19", "8725-11")
@pytest.mark.parametrize("algorithm", ALL_ALGORITHMS)
def test_the_header_says_what_the_token_is(algorithm):
    key = signing_key(algorithm)
    jws = CompactJws.split(f"{header_segment(key).decode()}..", max_bytes=1000)
    assert jws.header == {"typ": "at+jwt", "alg": algorithm, "kid": TokenFactory(algorithm).kid}
    assert TOKEN_TYPE == "at+jwt"
    assert header_segment(key) is header_segment(key)


@pytest.mark.compliance("8725-7")
def test_json_is_utf_8_without_white_space():
    assert (
        encode_json({"a": ["é", "🔑"], "b": {"c": 1.5, "d": None}})
        == '{"a":["é","🔑"],"b":{"c":1.5,"d":null}}'.encode()
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), "\ud800", b"bytes", {1, 2}], ids=ascii)
def test_what_json_cannot_say_is_not_written(value):
    with pytest.raises((ValueError, TypeError)):
        encode_json({"x": value})
    with pytest.raises((ValueError, TypeError)):
        encode_json({"x": [{"y": value}]})


def test_what_is_assembled_is_parsed():
    raw = json.loads(encode_json(assembled(audience=[API, REPORTS], mapped={"email": "a@example.com"})))
    claims = parse_claims(raw)
    assert (claims.issuer, claims.subject, claims.client_id) == (ISSUER, SUBJECT, CLIENT_ID)
    assert claims.audience == (API, REPORTS)
    assert (claims.issued_at, claims.expires_at, claims.not_before) == (NOW, NOW + 300, None)
    assert (claims.token_id, claims.scope, claims.scopes) == ("token-1", "read write", {"read", "write"})
    assert claims.raw is raw


@pytest.mark.parametrize(
    ("changes", "read"),
    [
        ({"nbf": 5}, {"not_before": 5}),
        ({"nbf": 0.25}, {"not_before": 0.25}),
        ({"iat": 0, "exp": 253402300799}, {"issued_at": 0, "expires_at": 253402300799}),
        ({"exp": 1.5}, {"expires_at": 1.5}),
        ({"scope": ""}, {"scope": "", "scopes": frozenset()}),
        ({"scope": " a  b "}, {"scopes": frozenset({"a", "b"})}),
        ({"aud": [API, API]}, {"audience": (API, API)}),
    ],
)
def test_what_is_read_of_claims(changes, read):
    claims = parse_claims({**assembled(), **changes})
    assert {name: getattr(claims, name) for name in read} == read


def test_without_a_scope_there_is_none():
    assert parse_claims(assembled(scopes=[])).scope == ""
    assert parse_claims(assembled(scopes=[])).scopes == frozenset()


@pytest.mark.compliance("9068-31")
def test_a_client_that_acts_for_itself_is_not_a_user():
    assert parse_claims(assembled(subject=CLIENT_ID)).is_machine
    assert not parse_claims(assembled()).is_machine
    assert not parse_claims(assembled(subject=CLIENT_ID.upper())).is_machine


@pytest.mark.parametrize("name", REQUIRED_CLAIMS)
def test_each_missing_claim_is_named(name):
    with pytest.raises(TokenRejected) as rejected:
        parse_claims({claim: value for claim, value in assembled().items() if claim != name})
    assert rejected.value.reason is RejectionReason.MISSING_CLAIM
    assert rejected.value.detail == name


def test_all_missing_claims_are_named():
    with pytest.raises(TokenRejected) as rejected:
        parse_claims({})
    assert rejected.value.detail == "iss, exp, aud, sub, client_id, iat, jti"


@pytest.mark.parametrize("name", ["iss", "sub", "client_id", "jti", "scope", "exp", "iat", "nbf", "aud"])
def test_a_claim_of_the_wrong_type_is_named(name):
    with pytest.raises(TokenRejected) as rejected:
        parse_claims({**assembled(), name: {}})
    assert rejected.value.reason is RejectionReason.BAD_CLAIM
    assert rejected.value.detail.split()[0] == name
