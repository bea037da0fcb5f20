"""Properties of every set of mappers, every token and every source value."""

from __future__ import annotations

import copy
import json
import random

from hypothesis import example, given
from hypothesis import strategies as st

from django_at_jwt.core.claims import (
    ClaimsRefused,
    MapperOutcome,
    Oversize,
    UnusableRule,
    apply_mappers,
    compile_rules,
    parse_rule,
    write_rule,
)
from django_at_jwt.core.profile import RESERVED_CLAIMS, encode_json

from . import shorthand
from .shorthand import PROTOCOL
from .strategies import FACTS, JSON_VALUES, LIMITS, RULE_SETS, SOURCE_VALUES, VALUES, rules


def outcome(rule_set, facts, values, limits):
    """Return the claims or the refusal, and the trace, for comparison."""
    try:
        result = apply_mappers(compile_rules(rule_set).select(facts), values, limits=limits)
    except ClaimsRefused as refused:
        return type(refused), refused.detail, refused.trace
    return json.dumps(result.claims), None, result.trace


def assert_the_claims_are_allowed(rule_set, facts, values, limits):
    """Reserved claims, bounds and JSON hold, and only a refusal is raised."""
    selection = compile_rules(rule_set).select(facts)
    try:
        result = apply_mappers(selection, values, limits=limits)
    except ClaimsRefused:
        return
    assert RESERVED_CLAIMS.isdisjoint(name.casefold().strip() for name in result.claims)
    assert json.loads(encode_json(result.claims)) == result.claims
    for name, value in result.claims.items():
        assert len(encode_json({name: value})) - 1 <= limits.claim_bytes
    if result.claims:
        assert len(encode_json({**values.protocol, **result.claims})) <= limits.token_bytes
    assert len(result.trace) == len(rule_set)
    assert all((step.bytes > 0) <= (step.outcome is MapperOutcome.SET) for step in result.trace)
    if limits.oversize is Oversize.REFUSE:
        assert all(step.outcome is not MapperOutcome.DROPPED for step in result.trace)
    for mapper, step in zip(compile_rules(rule_set), result.trace, strict=True):
        assert not mapper.rule.required or step.outcome not in {MapperOutcome.FAILED, MapperOutcome.DROPPED}


def assert_the_order_of_the_rows_does_not_matter(rule_set, facts, values, limits, dice: random.Random):
    # Two with the same name both fail, in any order.
    one_of_each = list({rule.key: rule for rule in rule_set}.values())
    shuffled = dice.sample(one_of_each, len(one_of_each))
    assert outcome(one_of_each, facts, values, limits) == outcome(shuffled, facts, values, limits)


def assert_applying_twice_gives_the_same_and_changes_nothing(rule_set, facts, values, limits):
    compiled = compile_rules(rule_set)
    before = [json.dumps(write_rule(mapper.rule), default=repr) for mapper in compiled]
    protocol = copy.deepcopy(PROTOCOL)
    assert outcome(rule_set, facts, values, limits) == outcome(rule_set, facts, values, limits)
    assert [json.dumps(write_rule(mapper.rule), default=repr) for mapper in compiled] == before
    assert protocol == PROTOCOL


def assert_the_trace_names_who_set_each_claim(rule_set, facts, values, limits):
    try:
        result = apply_mappers(compile_rules(rule_set).select(facts), values, limits=limits)
    except ClaimsRefused:
        return
    set_by = {step.claim.partition(".")[0] for step in result.trace if step.outcome is MapperOutcome.SET}
    assert set(result.claims) == set_by
    keys = {step.key for step in result.trace}
    for step in result.trace:
        assert (step.outcome is MapperOutcome.SKIPPED) == (step.condition is not None)
        assert (step.outcome is MapperOutcome.LOST) == (step.lost_to in keys)
        assert (step.outcome is MapperOutcome.FAILED) == (step.failure is not None)


# Drawing a set of rules takes longer than the properties, so they share what is drawn.
@given(RULE_SETS, FACTS, SOURCE_VALUES, LIMITS, st.randoms(use_true_random=False))
# Few sets of rules have one that displaces another's claim.
@example(
    [shorthand.rule("first", name="a"), shorthand.rule("second", name="b")],
    shorthand.FACTS,
    shorthand.values(),
    shorthand.ROOMY,
    random.Random(0),
)
def test_whatever_is_mapped(rule_set, facts, values, limits, dice):
    assert_the_claims_are_allowed(rule_set, facts, values, limits)
    assert_the_order_of_the_rows_does_not_matter(rule_set, facts, values, limits, dice)
    assert_applying_twice_gives_the_same_and_changes_nothing(rule_set, facts, values, limits)
    assert_the_trace_names_who_set_each_claim(rule_set, facts, values, limits)


@given(rules())
def test_a_rule_that_is_written_is_read_as_itself_or_refused(rule):
    try:
        data = json.loads(json.dumps(write_rule(rule), allow_nan=False))
    except (TypeError, ValueError):
        return
    if data != write_rule(rule):
        return  # JSON makes texts of the numbers that Python takes for names of members.
    try:
        read = parse_rule(data)
    except UnusableRule:
        return
    assert read == rule


@given(
    st.dictionaries(st.sampled_from(["name", "claim", "source", "transforms", "conditions", "type", "x"]), VALUES)
    | VALUES
)
def test_any_data_at_all_is_read_or_refused(data):
    problems = ()
    try:
        parse_rule(data)
    except UnusableRule as refused:
        problems = refused.problems
    assert all(str(problem) for problem in problems)


@given(JSON_VALUES)
def test_any_json_object_is_mapped_as_it_is(value):
    rule = parse_rule(
        {"name": "x", "claim": "x", "type": "object", "source": {"kind": "constant", "value": {"v": value}}}
    )
    assert rule.source.value == {"v": value}
