"""The diagnosis agrees with the verifier about every hostile token, and shows neither token nor signature."""

from __future__ import annotations

from dataclasses import replace

import pytest

from django_at_jwt.core.diagnosis import RuleOutcome, diagnose
from django_at_jwt.core.errors import RejectionReason

from .test_hostile_tokens import ACCEPTED, ROWS, good_token, quotations
from .token_factory import API, EXPECTED, NOW, TokenFactory


def outcomes(results):
    return {result.rule: result.outcome for result in results}


def failed(results):
    return {result.rule: result.reason for result in results if result.outcome is RuleOutcome.FAILED}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.threat}-{ascii(row.name)[1:-1]}")
def test_hostile_token(row):
    factory = TokenFactory("ES256" if "ES256" in row.algorithms else row.algorithms[0])
    token = row.change(factory)
    results = diagnose(token, key_ring=factory.ring(), expected=row.expected, now=NOW)
    assert row.reason in failed(results).values()
    signature = token.rpartition(".")[2]
    for result in results:
        for text in (result.expected, result.found, result.detail):
            assert text.isprintable()
            assert len(text) < 1000
            assert not signature or len(signature) < 10 or quotations(text, signature) == []
            assert not any(segment[:40] in text for segment in token[:20_000].split(".") if len(segment) > 40)


@pytest.mark.parametrize("change", ACCEPTED.values(), ids=map(ascii, ACCEPTED))
def test_good_token(change):
    factory = TokenFactory("ES256")
    results = diagnose(change(factory), key_ring=factory.ring(), expected=EXPECTED, now=NOW)
    assert {result.outcome for result in results} == {RuleOutcome.PASSED}


def test_every_rule_that_fails_is_named():
    factory = TokenFactory("ES256")
    expected = replace(EXPECTED, required_claims=("tenant",))
    token = factory.with_claims(iss="https://x.example/", aud="y", exp=1, iat=NOW + 999)
    results = diagnose(token, key_ring=factory.ring(), expected=expected, now=NOW)
    assert failed(results) == {
        "iss": RejectionReason.WRONG_ISSUER,
        "aud": RejectionReason.WRONG_AUDIENCE,
        "exp": RejectionReason.EXPIRED,
        "iat, nbf": RejectionReason.NOT_YET_VALID,
        "claims of the settings": RejectionReason.MISSING_CLAIM,
    }
    found = {result.rule: (result.expected, result.found) for result in results}
    assert found["aud"] == (API, "'y'")
    assert found["iss"] == (EXPECTED.issuer, "'https://x.example/'")


TYPE = RejectionReason.UNEXPECTED_TYPE
ENVELOPES = {
    "a signature by another key": ({"typ": "JWT"}, {"typ": TYPE, "signature": RejectionReason.BAD_SIGNATURE}, set()),
    "an unknown key": (
        {"typ": "JWT", "kid": "x"},
        {"typ": TYPE, "kid": RejectionReason.UNKNOWN_KEY},
        {"alg", "signature"},
    ),
    "no key": (
        {"typ": "JWT", "kid": 1},
        {"key reference": RejectionReason.BAD_HEADER, "typ": TYPE},
        {"kid", "alg", "signature"},
    ),
    "no algorithm": ({"alg": None}, {"key reference": RejectionReason.BAD_HEADER}, {"kid", "alg", "signature"}),
    "another algorithm": (
        {"typ": "JWT", "alg": "RS256"},
        {"typ": TYPE, "alg": RejectionReason.ALGORITHM_MISMATCH},
        {"signature"},
    ),
    "all at once": (
        {"typ": "JWT", "crit": ["b64"], "b64": False, "alg": "none", "kid": "x"},
        {
            "key reference": RejectionReason.BAD_HEADER,
            "typ": TYPE,
            "crit": RejectionReason.CRITICAL_HEADER,
        },
        {"kid", "alg", "signature"},
    ),
}


@pytest.mark.parametrize("name", ENVELOPES)
def test_every_rule_of_the_envelope_that_fails_is_named(name):
    changes, reasons, untried = ENVELOPES[name]
    factory = TokenFactory("ES256")
    signer = TokenFactory("ES256", "another key") if "signature" in reasons else factory
    token = signer.token(header=factory.header(**changes))
    results = diagnose(token, key_ring=factory.ring(), expected=EXPECTED, now=NOW)
    assert failed(results) == reasons
    assert {rule for rule, outcome in outcomes(results).items() if outcome is RuleOutcome.NOT_REACHED} == untried


@pytest.mark.parametrize("typ", ["JWT", "at+jwt"])
def test_good_signature_is_told_to_be_so_behind_a_rule_that_failed(typ):
    factory = TokenFactory("ES256")
    expected = replace(EXPECTED, algorithms=frozenset({"RS256"}))
    results = diagnose(factory.with_header(typ=typ), key_ring=factory.ring(), expected=expected, now=NOW)
    type_failed = {} if typ == "at+jwt" else {"typ": TYPE}
    assert failed(results) == type_failed | {"alg": RejectionReason.ALGORITHM_MISMATCH}
    assert {outcomes(results)[rule] for rule in ("header", "crit", "kid", "signature")} == {RuleOutcome.PASSED}


def test_unverified_claims_are_shown():
    factory = TokenFactory("ES256")
    results = diagnose(factory.token(signature=bytes(64)), key_ring=factory.ring(), expected=EXPECTED, now=NOW)
    assert failed(results) == {"signature": RejectionReason.BAD_SIGNATURE}
    assert outcomes(results)["aud"] is RuleOutcome.PASSED


@pytest.mark.parametrize(
    ("exp", "shown"),
    [
        (NOW, f"{NOW} (2027-01-15 08:00:00 UTC)"),
        (NOW + 0.5, f"{NOW}.5 (2027-01-15 08:00:00 UTC)"),
        (10**30, str(10**30)),
        (True, "True"),
        ("soon", "'soon'"),
        (None, "missing"),
    ],
    ids=str,
)
def test_times_have_a_date(exp, shown):
    factory = TokenFactory("ES256")
    results = diagnose(factory.with_claims(exp=exp), key_ring=factory.ring(), expected=EXPECTED, now=NOW)
    [rule] = [result for result in results if result.rule == "exp"]
    assert rule.expected == f"after {NOW} (2027-01-15 08:00:00 UTC), with 30 s of leeway"
    assert rule.found == shown


def test_without_keys_the_rules_that_need_them_are_not_reached():
    factory = TokenFactory("ES256")
    results = outcomes(diagnose(factory.token(), key_ring=None, expected=EXPECTED, now=NOW))
    assert {rule for rule, outcome in results.items() if outcome is RuleOutcome.NOT_REACHED} == {
        "kid",
        "alg",
        "signature",
    }
    wrong = diagnose(factory.with_header(typ="JWT"), key_ring=None, expected=EXPECTED, now=NOW)
    assert failed(wrong) == {"typ": RejectionReason.UNEXPECTED_TYPE}


def test_no_jwt_at_all():
    results = outcomes(diagnose("opaque", key_ring=TokenFactory("ES256").ring(), expected=EXPECTED, now=NOW))
    assert results["length"] is RuleOutcome.PASSED
    assert results["form"] is RuleOutcome.FAILED
    assert {outcome for rule, outcome in results.items() if rule not in {"length", "form"}} == {RuleOutcome.NOT_REACHED}


def test_diagnosing_remembers_only_what_verifying_does():
    factory = TokenFactory("ES256")
    ring = factory.ring()
    good_token(factory)
    diagnose(factory.token(signature=bytes(64)), key_ring=ring, expected=EXPECTED, now=NOW)
    assert ring.known_headers == {}
