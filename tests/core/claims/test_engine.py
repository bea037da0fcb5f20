"""Merging, conditions, missing values and sizes, in the claims and in the trace."""

from __future__ import annotations

from dataclasses import replace

import pytest

from django_at_jwt.core.claims import (
    ClaimsRefused,
    ConditionName,
    Conditions,
    FailureReason,
    MapperOutcome,
    MapperRule,
    Needs,
    Oversize,
    SizeLimits,
    WhenMissing,
    apply_mappers,
    compile_rules,
)
from django_at_jwt.core.claims.errors import refuse
from django_at_jwt.core.claims.rules import Constant, UserField
from django_at_jwt.core.profile import RESERVED_CLAIMS, encode_json

from .shorthand import FACTS, PROTOCOL, from_source, mapped, rule, step, values


def outcomes(result):
    return {each.key: each.outcome for each in result.trace}


class TestSources:
    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ({"kind": "user", "path": "profile.department.code"}, "R+D"),
            ({"kind": "client", "name": "name"}, "The web client"),
            ({"kind": "resource_server", "name": "identifier"}, "https://api.example.com/"),
            ({"kind": "registered", "name": "tenant"}, "t-1"),
            ({"kind": "claim", "claim": "sub"}, "17"),
            (
                {"kind": "template", "text": "{{{user:profile.department.code}}} {client:name} {claim:iat}"},
                "{R+D} The web client 1",
            ),
            (
                {"kind": "template", "text": "{resource_server:identifier}#{registered:tenant}"},
                "https://api.example.com/#t-1",
            ),
            ({"kind": "user", "path": "email"}, None),
            ({"kind": "claim", "claim": "sub.x"}, None),
            ({"kind": "template", "text": "{user:email} {client:name}"}, None),
        ],
    )
    def test_source_yields_its_value(self, source, expected):
        given = values(
            user={"profile.department.code": "R+D"},
            client={"name": "The web client"},
            resource_server={"identifier": "https://api.example.com/"},
            registered={"tenant": lambda: "t-1"},
        )
        result = mapped([rule(source=source)], given)
        assert result.claims.get("x") == expected
        assert step(result).outcome is (MapperOutcome.NO_VALUE if expected is None else MapperOutcome.SET)

    @pytest.mark.parametrize("kind", ["groups", "permissions"])
    def test_groups_and_permissions_are_lists(self, kind):
        one = rule(source={"kind": kind}, type="strings")
        assert mapped([one], values(**{kind: ("a", "b")})).claims == {"x": ["a", "b"]}

    def test_claim_of_a_mapper_before(self):
        first = rule({"b": ["c"]}, "a", type="object")
        second = rule(source={"kind": "claim", "claim": "a.b"}, type="strings", order=1)
        result = mapped([second, first])
        assert result.claims == {"a": {"b": ["c"]}, "x": ["c"]}
        result.claims["x"].append("d")
        assert result.claims["a"] == {"b": ["c"]}

    def test_registered_source_that_is_not_there(self):
        result = mapped([rule(source={"kind": "registered", "name": "gone"})])
        assert step(result).failure is FailureReason.SOURCE_FAILED
        assert "'gone'" in step(result).detail

    def test_place_of_a_template_takes_texts_and_integers(self):
        for value in (True, 1.5, ["a"], {"a": 1}):
            one = rule(source={"kind": "template", "text": "{user:email}"})
            assert step(mapped([one], values(user={"email": value}))).failure is FailureReason.WRONG_TYPE


class TestConditions:
    @pytest.mark.parametrize(
        ("conditions", "facts", "unmet"),
        [
            ({}, {}, None),
            ({"clients": ["web", "other"]}, {}, None),
            ({"clients": ["other"]}, {}, ConditionName.CLIENT),
            ({"scopes": ["profile", "email"]}, {}, None),
            ({"scopes": ["email"]}, {}, ConditionName.SCOPE),
            ({"scopes": ["profile", "email"], "scopes_match": "all"}, {}, ConditionName.SCOPE),
            ({"scopes": ["profile", "read"], "scopes_match": "all"}, {}, None),
            ({"scopes": ["pro"]}, {}, ConditionName.SCOPE),
            ({"resource_servers": ["https://api.example.com/"]}, {}, None),
            ({"resource_servers": ["https://other.example.com/"]}, {}, ConditionName.RESOURCE_SERVER),
            # The other API would read the claim too.
            (
                {"resource_servers": ["https://api.example.com/"]},
                {"resource_servers": ["https://api.example.com/", "https://other.example.com/"]},
                ConditionName.RESOURCE_SERVER,
            ),
            (
                {"resource_servers": ["https://api.example.com/"]},
                {"resource_servers": []},
                ConditionName.RESOURCE_SERVER,
            ),
            ({"grants": ["authorization_code"]}, {}, None),
            ({"grants": ["authorization_code"]}, {"grant": "refresh_token"}, ConditionName.GRANT),
            ({"tokens_for": "users"}, {}, None),
            ({"tokens_for": "machines"}, {}, ConditionName.TOKENS_FOR),
            ({"tokens_for": "users"}, {"is_machine": True}, ConditionName.TOKENS_FOR),
            ({"groups": ["staff", "y"]}, {}, None),
            ({"groups": ["y"]}, {}, ConditionName.USER_GROUP),
            ({"groups": ["staff"]}, {"is_machine": True}, ConditionName.USER_GROUP),
            # The first that is not met, in the order of display.
            ({"clients": ["other"], "grants": ["x"], "groups": ["y"]}, {}, ConditionName.CLIENT),
        ],
    )
    def test_unmet_condition_skips_the_mapper(self, conditions, facts, unmet):
        result = mapped([rule("v", conditions=conditions)], values(groups=["staff"]), facts=replace(FACTS, **facts))
        assert step(result).condition is unmet
        assert step(result).outcome is (MapperOutcome.SKIPPED if unmet else MapperOutcome.SET)
        assert result.claims == ({} if unmet else {"x": "v"})

    def test_source_of_a_skipped_mapper_is_never_read(self):
        def fail():
            raise AssertionError

        source = {"kind": "registered", "name": "s"}
        rules = [
            rule(source=source, claim="a", conditions={"clients": ["other"]}),
            rule(source=source, claim="b", conditions={"groups": ["other"]}),
            rule(source=source, claim="c", enabled=False),
        ]
        result = mapped(rules, values(registered={"s": fail}))
        assert outcomes(result) == {"a": MapperOutcome.SKIPPED, "b": MapperOutcome.SKIPPED, "c": MapperOutcome.DISABLED}

    def test_parts_of_a_sentence(self):
        one = rule("v", conditions={"groups": ["a"], "clients": ["web"], "tokens_for": "users"})
        assert one.conditions.parts() == (
            (ConditionName.TOKENS_FOR, ("users",)),
            (ConditionName.CLIENT, ("web",)),
            (ConditionName.USER_GROUP, ("a",)),
        )
        assert Conditions().parts() == ()


class TestNeeds:
    RULES = (
        rule(source={"kind": "template", "text": "{user:first_name} {registered:title}"}, claim="a"),
        rule(source={"kind": "groups"}, claim="b", type="strings", conditions={"clients": ["other"]}),
        rule(source={"kind": "permissions"}, claim="c", type="strings", enabled=False),
        rule("v", "d", conditions={"groups": ["staff"], "scopes": ["read"]}),
        rule("v", "e"),
    )

    def test_only_what_this_token_needs(self):
        needs = compile_rules(self.RULES).select(FACTS).needs
        assert needs == Needs(user_fields=frozenset({"first_name"}), groups=True, registered=frozenset({"title"}))

    def test_constants_and_skipped_mappers_need_no_source(self):
        assert compile_rules(self.RULES[4:]).select(FACTS).needs == Needs()
        assert compile_rules([]).select(FACTS).needs == Needs()
        assert compile_rules(self.RULES[1:3]).select(FACTS).needs == Needs()


class TestMerge:
    def test_later_one_overwrites(self):
        rules = [rule("second", "x", name="b"), rule("first", "x", name="a"), rule("third", "x", name="0", order=1)]
        result = mapped(rules)
        assert result.claims == {"x": "third"}
        assert [(each.key, each.outcome, each.lost_to, each.bytes) for each in result.trace] == [
            ("a", MapperOutcome.LOST, "b", 0),
            ("b", MapperOutcome.LOST, "0", 0),
            ("0", MapperOutcome.SET, None, 12),
        ]

    def test_if_absent_loses_to_an_earlier_mapper(self):
        result = mapped([rule("first", "x", name="a"), rule("second", "x", name="b", merge="if_absent")])
        assert result.claims == {"x": "first"}
        assert step(result, "b")[2:5] == (MapperOutcome.LOST, None, "a")
        assert mapped([rule("only", "x", merge="if_absent")]).claims == {"x": "only"}

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (("a", {"b": "v"}, "object"), "a.b"),
            (("a.b", "v", "string"), "a"),
            (("a", {"b": {"c": 1}}, "object"), "a.b.c"),
        ],
    )
    def test_if_absent_sees_what_is_in_objects(self, first, second):
        claim, value, value_type = first
        result = mapped([rule(value, claim, name="1", type=value_type), rule("w", second, name="2", merge="if_absent")])
        assert step(result, "2").lost_to == "1"

    def test_append_adds_new_entries_only(self):
        rules = [
            rule(["a", "b"], "x", name="1", type="strings"),
            rule(["b", "c", "c"], "x", name="2", type="strings", merge="append"),
            rule("d", "x", name="3", merge="append"),
            rule(["a"], "x", name="4", type="strings", merge="append"),
        ]
        result = mapped(rules)
        assert result.claims == {"x": ["a", "b", "c", "d"]}
        assert set(outcomes(result).values()) == {MapperOutcome.SET}
        assert [each.bytes for each in result.trace] == [len('"x":["a","b"],'), len(',"c"'), len(',"d"'), 0]

    def test_append_where_there_is_nothing_makes_a_list(self):
        assert mapped([rule("a", "x.y", merge="append")]).claims == {"x": {"y": ["a"]}}
        assert mapped([rule({"v": 1}, "x", merge="append", type="object")]).claims == {"x": [{"v": 1}]}

    def test_append_tells_true_from_one(self):
        rules = [
            rule([1], "x", name="1", type="integers"),
            rule([True], "x", name="2", type="booleans", merge="append"),
        ]
        assert mapped(rules).claims == {"x": [1, True]}

    def test_objects_are_the_same_whatever_the_order_of_their_members(self):
        one, same = {"a": [1], "b": {}}, {"b": {}, "a": [1]}
        rules = [
            rule([one], "x", name="1", type="objects"),
            rule([same], "x", name="2", type="objects", merge="append"),
        ]
        assert mapped(rules).claims == {"x": [one]}

    def test_objects_with_other_members_or_values_are_different(self):
        first, others = {"a": [1], "b": {}}, [{"a": [2], "b": {}}, {"a": [1]}, {"a": [True], "b": {}}, {}]
        rules = [
            rule([first], "x", name="1", type="objects"),
            rule([*others, first], "x", name="2", type="objects", merge="append"),
        ]
        assert mapped(rules).claims == {"x": [first, *others]}

    def test_append_to_what_is_not_a_list(self):
        result = mapped([rule("text", "x", name="1"), rule("a", "x", name="2", merge="append")])
        assert result.claims == {"x": "text"}
        assert step(result, "2").failure is FailureReason.CONFLICT

    def test_nested_claims_share_an_object(self):
        result = mapped([rule("SE", "address.country"), rule("Umeå", "address.city"), rule(5, "a.b.c", type="integer")])
        assert result.claims == {"address": {"country": "SE", "city": "Umeå"}, "a": {"b": {"c": 5}}}

    def test_nested_claim_goes_into_an_object_that_another_set(self):
        rules = [rule({"country": "NO", "zip": "1"}, "address", type="object"), rule("SE", "address.country")]
        result = mapped(rules)
        assert result.claims == {"address": {"country": "SE", "zip": "1"}}
        assert set(outcomes(result).values()) == {MapperOutcome.SET}

    def test_nested_claim_below_what_is_not_an_object(self):
        result = mapped([rule("text", "a", name="1"), rule("v", "a.b.c", name="2")])
        assert result.claims == {"a": "text"}
        assert step(result, "2").failure is FailureReason.CONFLICT

    def test_whole_object_takes_the_place_of_its_parts(self):
        rules = [rule("1", "a.b"), rule("2", "a.c"), rule({"d": 3}, "a", name="whole", type="object", order=1)]
        result = mapped(rules)
        assert result.claims == {"a": {"d": 3}}
        assert {each.lost_to for each in result.trace} == {"whole", None}

    def test_default_is_not_shared_between_tokens(self):
        rules = [
            rule(
                source={"kind": "user", "path": "p"}, claim="a", type="object", when_missing="default", default={"b": 1}
            ),
            rule("v", "a.c"),
        ]
        compiled = compile_rules(rules)
        for _ in range(2):
            assert mapped(rules).claims == {"a": {"b": 1, "c": "v"}}
        assert next(iter(compiled)).rule.default == {"b": 1}


class TestMissing:
    @pytest.mark.parametrize("nothing", [None, "", [], ()])
    def test_empty_source_counts_as_missing(self, nothing):
        assert from_source(nothing)[1].outcome is MapperOutcome.NO_VALUE
        assert from_source(nothing, when_missing="default", default="d")[0] == "d"
        assert from_source(nothing, when_missing="default", default="")[0] == ""
        assert from_source(nothing, "strings", when_missing="default", default=[])[0] == []
        assert from_source(nothing, when_missing="fail")[1].failure is FailureReason.NO_VALUE

    @pytest.mark.parametrize("value", [0, False, 0.0])
    def test_zero_and_false_are_values(self, value):
        assert from_source(value, "boolean" if value is False else "number")[0] == value

    def test_required_mapper_that_is_disabled_refuses_no_token(self):
        gone = rule(source={"kind": "registered", "name": "gone"}, required=True)
        with pytest.raises(ClaimsRefused, match="the required claim mapper"):
            mapped([gone])
        assert mapped([replace(gone, enabled=False)]).claims == {}

    def test_required_mapper_without_value_leaves_the_claim_out_unless_it_shall_fail(self):
        assert from_source(None, required=True)[1].outcome is MapperOutcome.NO_VALUE
        with pytest.raises(ClaimsRefused, match="the required claim mapper") as failed:
            from_source(None, required=True, when_missing="fail")
        assert failed.value.code == "server_error"
        assert "'x'" in failed.value.detail
        assert "'x'" not in failed.value.description
        assert failed.value.trace[0].failure is FailureReason.NO_VALUE

    def test_optional_failure_does_not_affect_other_mappers(self):
        result = mapped([rule(source={"kind": "registered", "name": "gone"}, claim="a"), rule("v", "b", required=True)])
        assert result.claims == {"b": "v"}
        assert [each.key for each in result.problems] == ["a"]


class TestSizes:
    def test_claim_has_its_own_bound(self):
        limits = SizeLimits(claim_bytes=11, token_bytes=10_000)
        # "x":"1234", has eleven characters.
        assert mapped([rule("1234")], limits=limits).claims == {"x": "1234"}
        result = mapped([rule("12345")], limits=limits)
        assert (result.claims, step(result).failure) == ({}, FailureReason.TOO_LARGE)
        with pytest.raises(ClaimsRefused, match="the required claim mapper"):
            mapped([rule("12345", required=True)], limits=limits)

    @pytest.mark.parametrize(
        ("claim", "text"),
        [("x", '"x":"1234",'), ("x.a", '"x":{"a":"1234",},'), ("x.a.b", '"x":{"a":{"b":"1234",},},')],
    )
    def test_bound_counts_the_objects_of_a_nested_claim_and_a_comma_each(self, claim, text):
        exactly, one_less = (SizeLimits(claim_bytes=size, token_bytes=10_000) for size in (len(text), len(text) - 1))
        assert mapped([rule("1234", claim)], limits=exactly).claims
        assert step(mapped([rule("1234", claim)], limits=one_less), claim).failure is FailureReason.TOO_LARGE

    def test_bound_of_a_claim_holds_for_all_that_is_in_it(self):
        limits = SizeLimits(claim_bytes=30, token_bytes=10_000)
        nested = [rule("1234", f"x.{letter}", name=letter) for letter in "abcdef"]
        appended = [rule("1234", "x", name=letter, merge="append") for letter in "ab"]
        appended += [rule(f"12{letter}", "x", name=letter, merge="append") for letter in "cdef"]
        for rules in (nested, appended):
            result = mapped(rules, limits=limits)
            assert len(encode_json(result.claims)) <= 30
            assert {each.failure for each in result.trace} == {None, FailureReason.TOO_LARGE}

    def test_value_that_replaces_another_may_not_exceed_the_bound_by_one_byte(self):
        limits = SizeLimits(claim_bytes=11, token_bytes=10_000)
        result = mapped([rule("1234", "x", name="1"), rule("12345", "x", name="2")], limits=limits)
        assert result.claims == {"x": "1234"}
        assert step(result, "2").failure is FailureReason.TOO_LARGE

    def test_smaller_value_makes_room(self):
        limits = SizeLimits(claim_bytes=30, token_bytes=10_000)
        rules = [
            rule("1" * 20, "x", name="1"),
            rule("2", "x", name="2"),
            rule({"a": "3" * 15}, "x", name="3", type="object"),
        ]
        assert mapped(rules, limits=limits).claims == {"x": {"a": "3" * 15}}

    def test_token_has_a_bound_with_the_claims_of_the_protocol(self):
        size = len(encode_json({**PROTOCOL, "x": "1234"}))
        exactly, one_less = SizeLimits(token_bytes=size), SizeLimits(token_bytes=size - 1)
        assert mapped([rule("1234")], limits=exactly).claims == {"x": "1234"}
        with pytest.raises(ClaimsRefused, match="mapped claims are") as refused:
            mapped([rule("1234")], limits=one_less)
        assert refused.value.code == "server_error"
        assert "'x' (11 bytes)" in refused.value.detail

    def test_largest_optional_claims_are_dropped_first(self):
        limits = SizeLimits(token_bytes=len(encode_json(PROTOCOL)) + 250, oversize=Oversize.DROP_OPTIONAL)
        rules = [
            rule("1" * 150, "a", required=True),
            rule("1" * 100, "b"),
            rule("1" * 120, "c.d.e"),
            rule("1" * 20, "f"),
        ]
        result = mapped(rules, limits=limits)
        assert result.claims == {"a": "1" * 150, "f": "1" * 20}
        assert {each.key for each in result.problems} == {"b", "c.d.e"}
        assert {each.outcome for each in result.problems} == {MapperOutcome.DROPPED}
        assert len(encode_json({**PROTOCOL, **result.claims})) <= limits.token_bytes

    def test_required_claims_are_never_dropped(self):
        limits = SizeLimits(token_bytes=len(encode_json(PROTOCOL)) + 50, oversize=Oversize.DROP_OPTIONAL)
        with pytest.raises(ClaimsRefused, match="mapped claims are") as refused:
            mapped([rule("1" * 100, "a", required=True), rule("1" * 100, "b")], limits=limits)
        assert {each.key: each.outcome for each in refused.value.trace} == {
            "a": MapperOutcome.SET,
            "b": MapperOutcome.DROPPED,
        }

    def test_what_a_required_mapper_had_a_part_in_stays(self):
        limits = SizeLimits(token_bytes=len(encode_json(PROTOCOL)) + 180, oversize=Oversize.DROP_OPTIONAL)
        rules = [
            rule({"a": "1" * 90}, "whole", type="object"),
            rule("2", "whole.part", required=True),
            rule({"a": "1"}, "other", type="object", required=True),
            rule("3" * 90, "other.a"),
        ]
        with pytest.raises(ClaimsRefused, match="mapped claims are"):
            mapped(rules, limits=limits)

    def test_protocol_alone_is_never_too_large(self):
        assert mapped([], limits=SizeLimits(token_bytes=1)).claims == {}


class TestBrokenRules:
    """Rules that forms reject: rows changed by other means."""

    @pytest.mark.parametrize(
        "claim", [*sorted(RESERVED_CLAIMS), "act.sub", "cnf.jkt", "SUB", " sub", "a..b", "", None, 5]
    )
    def test_claim_that_no_mapper_may_set(self, claim):
        broken = MapperRule(key="x", claim=claim, source=Constant(value="v"))
        result = mapped([broken, rule("w", "fine")])
        assert result.claims == {"fine": "w"}
        assert step(result).failure is FailureReason.UNUSABLE_RULE
        with pytest.raises(ClaimsRefused, match="the required claim mapper"):
            mapped([replace(broken, required=True)])

    @pytest.mark.parametrize(
        "changes",
        [
            {"source": "email"},
            {"source": None},
            {"transforms": ("lower",)},
            {"transforms": None},
            {"value_type": "text"},
            {"conditions": None},
            {
                "when_missing": WhenMissing.DEFAULT,
                "default": 5,
            },
        ],
        ids=str,
    )
    def test_malformed_rule_fails_alone(self, changes):
        broken = replace(MapperRule(key="x", claim="x", source=Constant(value="v")), **changes)
        result = mapped([broken, rule("w", "fine")])
        assert result.claims == {"fine": "w"}
        assert step(result).failure is FailureReason.UNUSABLE_RULE

    def test_conditions_of_a_broken_rule_hold(self):
        broken = MapperRule(
            key="x", claim="sub", source=Constant(value="v"), required=True, conditions=Conditions(clients=("other",))
        )
        assert step(mapped([broken])).outcome is MapperOutcome.SKIPPED

    def test_two_of_one_name_both_fail(self):
        result = mapped([rule("1", "a", name="n"), rule("2", "b", name="n"), rule("3", "c")])
        assert result.claims == {"c": "3"}

    def test_source_that_the_site_does_not_allow(self):
        def refuse_source(source):
            if source == UserField(path="password"):
                raise refuse("source", "not allowed")

        rules = [
            rule(source={"kind": "template", "text": "x {user:password}"}, claim="a"),
            rule(source={"kind": "user", "path": "email"}, claim="b"),
        ]
        compiled = compile_rules(rules, refuse_source=refuse_source)
        selection = compiled.select(FACTS)
        assert selection.needs.user_fields == {"email"}
        given = values(user={"password": "secret", "email": "e"})
        result = apply_mappers(selection, given, limits=SizeLimits())
        assert result.claims == {"b": "e"}
