"""Which mappers' claims contain personal data."""

from __future__ import annotations

import pytest

from django_at_jwt.core.claims import MapperRule, parse_rule, personal_mappers, personal_protocol_claims
from django_at_jwt.core.claims.rules import Template

OF_A_USER = personal_protocol_claims(is_machine=False, is_pairwise=False)


def rule(key, source, **fields):
    value_type = "strings" if source["kind"] in {"groups", "permissions"} else "string"
    return parse_rule({"name": key, "claim": key, "source": source, "type": value_type, **fields})


def personal(*rules, protocol=OF_A_USER):
    return personal_mappers(rules, protocol=protocol, is_personal_source=lambda name: name == "about_people")


@pytest.mark.compliance("9068-34")
@pytest.mark.parametrize(
    ("source", "is_personal"),
    [
        ({"kind": "user", "path": "email"}, True),
        ({"kind": "groups"}, True),
        ({"kind": "permissions"}, True),
        ({"kind": "registered", "name": "about_people"}, True),
        ({"kind": "registered", "name": "about_weather"}, False),
        ({"kind": "constant", "value": "a"}, False),
        ({"kind": "client", "name": "name"}, False),
        ({"kind": "template", "text": "{client:name} of {user:email}"}, True),
        ({"kind": "template", "text": "{client:name}"}, False),
        ({"kind": "template", "text": "{claim:sub}"}, True),
        ({"kind": "claim", "claim": "auth_time"}, True),
        ({"kind": "claim", "claim": "aud"}, False),
    ],
)
def test_source_is_personal_or_not(source, is_personal):
    assert personal(rule("x", source)) == ({"x"} if is_personal else set())


def test_a_hash_and_a_condition_on_groups_tell_something_too():
    hashed = rule("x", {"kind": "user", "path": "email"}, transforms=[{"kind": "hash", "key": "k" * 32}])
    member = rule("y", {"kind": "constant", "value": "yes"}, conditions={"groups": ["staff"]})
    assert personal(hashed, member) == {"x", "y"}


def test_what_repeats_a_claim_is_as_personal():
    first = rule("a.b", {"kind": "user", "path": "email"})
    whole, member, other = (
        rule(key, {"kind": "claim", "claim": claim}) for key, claim in (("x", "a"), ("y", "a.b.c"), ("z", "a.d"))
    )
    assert personal(first, whole, member, other) == {"a.b", "x", "y"}
    # The claim was not set yet.
    assert personal(whole, first) == {"a.b"}


@pytest.mark.parametrize(
    ("is_machine", "is_pairwise", "has_sub"), [(False, True, False), (True, False, False), (False, False, True)]
)
@pytest.mark.compliance("9068-35")
def test_subject_is_personal_unless_pairwise_or_a_machine(is_machine, is_pairwise, has_sub):
    claims = personal_protocol_claims(is_machine=is_machine, is_pairwise=is_pairwise)
    assert ("sub" in claims) is has_sub
    assert ("auth_time" in claims) is not is_machine
    assert personal(rule("x", {"kind": "claim", "claim": "sub"}), protocol=claims) == ({"x"} if has_sub else set())


def test_rule_that_cannot_be_read_sets_nothing():
    assert personal(MapperRule(key="x", claim="x", source=Template(text="{"))) == set()
