"""Rules as JSON: parsed, written, and rejected with a message that says what to do."""

from __future__ import annotations

import json
from operator import itemgetter

import pytest

from django_at_jwt.core.claims import MapperRule, UnusableRule, ValueType, parse_rule, write_rule
from django_at_jwt.core.claims.presets import READY_MADE
from django_at_jwt.core.claims.rules import Constant

SMALLEST = {"name": "department", "claim": "department", "source": {"kind": "user", "path": "profile.department.code"}}
LARGEST = {
    "name": "groups of the reports",
    "claim": r"https://example\.com/groups.names",
    "source": {"kind": "groups"},
    "transforms": [
        {"kind": "filter", "patterns": ["app-*"], "drop": True},
        {"kind": "rename", "table": {"a": "b", "c": "d"}, "others": "drop"},
        {"kind": "strip", "suffix": "x"},
        {"kind": "cast", "to": "string"},
        {"kind": "default", "value": ["none"]},
        {"kind": "wrap", "member": "value"},
    ],
    "type": "objects",
    "conditions": {
        "tokens_for": "users",
        "clients": ["web", "service"],
        "scopes": ["profile"],
        "scopes_match": "all",
        "resource_servers": ["https://reports.example.com/"],
        "grants": ["authorization_code"],
        "groups": ["staff"],
    },
    "when_missing": "default",
    "default": [{"value": "nobody"}],
    "merge": "append",
    "required": True,
    "order": -5,
    "enabled": False,
}


@pytest.mark.parametrize("data", [SMALLEST, LARGEST], ids=["smallest", "largest"])
def test_what_is_read_is_written_again(data):
    rule = parse_rule(data)
    assert write_rule(rule) == data
    assert parse_rule(json.loads(json.dumps(write_rule(rule)))) == rule


def test_what_is_left_out_is_as_it_is_by_default():
    rule = parse_rule(SMALLEST)
    assert (rule.value_type, rule.enabled, rule.required, rule.order) == (ValueType.STRING, True, False, 0)


def refusal(**changes):
    data = {**SMALLEST, **changes}
    with pytest.raises(UnusableRule) as refused:
        parse_rule({name: value for name, value in data.items() if value is not ...})
    told: dict[str, str] = {}
    for problem in refused.value.problems:
        told[problem.where] = f"{told.get(problem.where, '')} {problem}"
    return told


@pytest.mark.parametrize(
    ("changes", "where", "says"),
    [
        ({"name": ...}, "name", "required"),
        ({"name": ""}, "name", "1 to 100"),
        ({"name": "\ud800"}, "name", "text"),
        ({"source": {"kind": "constant", "value": "a\0b"}}, "source", "NUL"),
        ({"source": {"kind": "constant", "value": {"a": [{"b\0": 1}]}}, "type": "object"}, "source", "NUL"),
        ({"source": {"kind": "template", "text": "a\0{user:email}"}}, "source", "NUL"),
        ({"source": {"kind": "template", "text": "\ud800"}}, "source", "surrogate"),
        ({"transforms": [{"kind": "default", "value": "\0"}]}, "transforms", "NUL"),
        ({"transforms": [{"kind": "prefix", "text": "\0"}]}, "transforms", "text"),
        ({"transforms": [{"kind": "rename", "table": {"a": "\0"}}]}, "transforms", "text"),
        ({"conditions": {"groups": ["\0"]}}, "conditions", "text"),
        ({"when_missing": "default", "default": "\0"}, "default", "NUL"),
        ({"claim": ...}, "claim", "required"),
        ({"claim": "sub"}, "claim", "is a protocol claim"),
        ({"claim": "aud.x"}, "claim", "Choose another name"),
        ({"claim": "a..b"}, "claim", "dots"),
        ({"source": ...}, "source", "required"),
        ({"source": "email"}, "source", "“kind” must be one of user, groups"),
        ({"source": {"kind": ["user"]}}, "source", "“kind” must be one of user, groups"),
        ({"source": {"kind": "user"}}, "source", "“path” is missing"),
        ({"source": {"kind": "user", "pth": "email"}}, "source", "“pth” is not a member. Use path"),
        ({"source": {"kind": "user", "path": "x" * 256}}, "source", "1 to 255"),
        ({"source": {"kind": "groups", "path": "x"}}, "source", "“path” is not a member"),
        ({"source": {"kind": "constant", "value": ""}}, "source", "must have a value"),
        ({"source": {"kind": "constant", "value": None}}, "source", "must have a value"),
        ({"source": {"kind": "constant", "value": float("nan")}}, "source", "Not a JSON value"),
        ({"source": {"kind": "constant", "value": {1, 2}}}, "source", "type set"),
        ({"source": {"kind": "constant", "value": 5}}, "source", "is not of type “string”"),
        ({"source": {"kind": "template", "text": ""}}, "source", "1 to 1000"),
        ({"source": {"kind": "template", "text": "{email}"}}, "source", "“{email}” is not a source"),
        ({"source": {"kind": "template", "text": "{user:}"}}, "source", "is not a source"),
        ({"source": {"kind": "template", "text": "{user:email"}}, "source", "A brace is unmatched"),
        ({"source": {"kind": "template", "text": "email}"}}, "source", "A brace is unmatched"),
        ({"source": {"kind": "template", "text": "{claim:a..b}"}}, "source", "dots"),
        ({"source": {"kind": "template", "text": "{user:a}" * 21}}, "source", "at most 20 placeholders"),
        ({"source": {"kind": "template", "text": "{user:email!r}{0.__class__}"}}, "source", "is not a source"),
        ({"source": {"kind": "claim", "claim": ""}}, "source", "name"),
        ({"source": {"kind": "groups"}}, "type", "choose “strings”"),
        ({"transforms": {}}, "transforms", "a list of at most 10"),
        ({"transforms": [{"kind": "lower"}] * 11}, "transforms", "a list of at most 10"),
        ({"transforms": [{"kind": "eval"}]}, "transforms", "“kind” must be one of cast"),
        ({"transforms": [{"kind": "cast", "to": "object"}]}, "transforms", "string, integer, number, boolean"),
        ({"transforms": [{"kind": "split", "separator": ""}]}, "transforms", "1 to 100"),
        ({"transforms": [{"kind": "filter", "patterns": []}]}, "transforms", "at least one pattern"),
        ({"transforms": [{"kind": "filter", "patterns": "app-*"}]}, "transforms", "list of at most 200"),
        ({"transforms": [{"kind": "filter", "patterns": ["a\\"]}]}, "transforms", "backslash"),
        ({"transforms": [{"kind": "filter", "patterns": ["a"], "drop": 1}]}, "transforms", "true or false"),
        ({"transforms": [{"kind": "rename", "table": {}}]}, "transforms", "1 to 200 pairs"),
        ({"transforms": [{"kind": "rename", "table": {"a": 1}}]}, "transforms", "must be a text"),
        ({"transforms": [{"kind": "hash", "key": "short"}]}, "transforms", "16 to 200"),
        ({"transforms": [{"kind": "hash"}]}, "transforms", "either a “key” or a “key_name”"),
        ({"transforms": [{"kind": "hash", "key": "k" * 16, "key_name": "a"}]}, "transforms", "either a “key” or"),
        ({"type": "text"}, "type", "string, integer"),
        ({"type": None}, "type", "string, integer"),
        ({"conditions": []}, "conditions", "must be an object"),
        ({"conditions": {"client": ["web"]}}, "conditions", "“client” is not a member. Use clients"),
        ({"conditions": {"clients": "web"}}, "conditions", "list of at most"),
        ({"conditions": {"tokens_for": "all"}}, "conditions", "users, machines"),
        ({"conditions": {"tokens_for": "machines", "groups": ["a"]}}, "conditions", "never match"),
        ({"when_missing": "default"}, "default", "is not of type “string”"),
        ({"when_missing": "default", "default": 5}, "default", "is not of type “string”"),
        ({"default": object()}, "default", "Not a JSON value"),
        ({"merge": "deep"}, "merge", "overwrite, append, if_absent"),
        ({"required": "yes"}, "required", "true or false"),
        ({"order": 1.5}, "order", "must be an integer"),
        ({"order": 2**31}, "order", "must be an integer"),
        ({"order": True}, "order", "must be an integer"),
        ({"enabled": None}, "enabled", "true or false"),
        ({"claims": "x"}, "claims", "“claims” is not a member. Use claim"),
    ],
)
def test_invalid_rule_names_the_member_and_the_reason(changes, where, says):
    assert says in refusal(**changes)[where]


def test_all_problems_are_told_at_once():
    assert set(refusal(claim="sub", type="x", order="1")) == {"claim", "type", "order"}


@pytest.mark.parametrize("data", [None, [], "x", 5])
def test_what_is_not_an_object(data):
    with pytest.raises(UnusableRule, match="object with members"):
        parse_rule(data)


def test_error_speaks_for_itself():
    with pytest.raises(UnusableRule, match=r"claim: .*protocol.*; order: .*integer"):
        parse_rule({**SMALLEST, "claim": "sub", "order": "x"})


def test_key_of_a_hash_is_in_no_repr():
    rule = parse_rule({**SMALLEST, "transforms": [{"kind": "hash", "key": "a secret of the site"}]})
    assert "a secret" not in repr(rule)


def test_hash_of_a_constant_by_a_key_that_is_looked_for_later():
    data = {**SMALLEST, "source": {"kind": "constant", "value": "c"}}
    data["transforms"] = [{"kind": "hash", "key_name": "any"}]
    assert write_rule(parse_rule(data)) == data


def test_rule_made_in_python_is_written_too():
    rule = MapperRule(key="a", claim="b", source=Constant(value="c"))
    assert write_rule(rule) == {"name": "a", "claim": "b", "source": {"kind": "constant", "value": "c"}}


@pytest.mark.parametrize("data", [data for one_set in READY_MADE.values() for data in one_set], ids=itemgetter("name"))
def test_ready_made_rule_is_one(data):
    assert write_rule(parse_rule(data)) == data


def test_ready_made_rules_have_names_of_their_own():
    names = [data["name"] for one_set in READY_MADE.values() for data in one_set]
    assert len(set(names)) == len(names)
