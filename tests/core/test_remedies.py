from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from django_at_jwt.core.remedies import (
    NO_REMEDY,
    NOTHING_NEEDED,
    Remedy,
    StepUp,
    both,
    challenge_of,
    either,
    having,
    helpful,
    lacking,
)
from django_at_jwt.core.scim import values_of

SCOPES = "abcd"
ALL_SETS = [frozenset(each) for size in range(5) for each in combinations(SCOPES, size)]

# An expression is ("has", sets of scopes), ("not", e), ("and", e, e) or ("or", e, e).
leaves = st.tuples(st.just("has"), st.lists(st.lists(st.sampled_from(SCOPES), max_size=3), max_size=3))
expressions = st.recursive(
    leaves,
    lambda inner: st.tuples(st.just("not"), inner) | st.tuples(st.sampled_from(["and", "or"]), inner, inner),
    max_leaves=6,
)


def holds(expression, scopes):
    match expression:
        case "has", sets:
            return any(scopes.issuperset(each) for each in sets)
        case "not", inner:
            return not holds(inner, scopes)
        case "and", one, other:
            return holds(one, scopes) and holds(other, scopes)
        case "or", one, other:
            return holds(one, scopes) or holds(other, scopes)


def solved(expression, *, wanted=True):
    match expression:
        case "has", sets:
            return having(sets) if wanted else lacking(sets)
        case "not", inner:
            return solved(inner, wanted=not wanted)
        case kind, one, other:
            join = both if (kind == "and") is wanted else either
            return join(solved(one, wanted=wanted), solved(other, wanted=wanted))


A_AND_NOT_A = ("and", ("has", [["a"]]), ("not", ("has", [["a"]])))


@settings(max_examples=300)
@given(expressions)
@example(A_AND_NOT_A)
def test_each_remedy_is_one_and_each_set_that_holds_has_one(expression):
    remedies = solved(expression)
    for remedy in remedies:
        assert holds(expression, set(remedy.scopes))
    for scopes in ALL_SETS:
        fulfilled = any(scopes >= set(each.scopes) and scopes.isdisjoint(each.without) for each in remedies)
        assert fulfilled == holds(expression, scopes)


@settings(max_examples=300)
@given(expressions, st.sampled_from(ALL_SETS))
@example(A_AND_NOT_A, frozenset())
def test_what_is_told_helps_and_nothing_is_told_where_nothing_helps(expression, granted):
    if holds(expression, granted):
        return
    challenge = challenge_of(solved(expression), granted)
    if challenge is None:
        assert not any(holds(expression, more) for more in ALL_SETS if more > granted)
    else:
        told = set(challenge.scopes)
        assert told - granted
        assert holds(expression, told)
        assert holds(expression, told | granted)


@settings(max_examples=100)
@given(expressions, st.sampled_from(ALL_SETS))
def test_what_is_told_is_the_least(expression, granted):
    ways = helpful(solved(expression), granted)
    missing = [len(set(way.scopes) - granted) for way in ways]
    assert missing == sorted(missing)
    assert not any(one.covers(other) for one in ways for other in ways if one is not other)


def test_scopes_stay_in_the_order_in_which_they_were_asked_for():
    remedies = both(having([["z", "b"]]), having([["a", "b"]]))
    assert str(challenge_of(remedies, frozenset())) == 'Bearer error="insufficient_scope", scope="z b a"'


@pytest.mark.parametrize(
    ("granted", "nearest"), [("", "admin"), ("read", "read write"), ("read write extra", None), ("other", "admin")]
)
def test_the_alternative_nearest_to_what_the_token_has(granted, nearest):
    challenge = challenge_of(having([["admin"], ["read", "write"]]), frozenset(granted.split()))
    assert (challenge and " ".join(challenge.scopes)) == nearest
    if challenge:
        assert set(challenge.description.removeprefix("One of these is enough: ").split("; ")) == {
            "admin",
            "read write",
        }


def test_many_alternatives_are_not_all_told():
    challenge = challenge_of(having([[f"s{number}"] for number in range(1000)]), frozenset())
    assert challenge.scopes == ("s0",)
    assert challenge.description == "One of these is enough: s0; s1; s2; s3; s4; ..."


def test_an_expression_with_countless_remedies_ends():
    pairs = [having([[f"a{number}"], [f"b{number}"]]) for number in range(40)]
    remedies = NOTHING_NEEDED
    for pair in pairs:
        remedies = both(remedies, pair)
    assert len(challenge_of(remedies, frozenset()).scopes) == 40


@pytest.mark.compliance("9470-1")
class TestStepUp:
    one = StepUp(acr_values=("gold", "silver"))
    other = StepUp(acr_values=("bronze", "silver"), max_age=60)

    def test_combined(self):
        assert self.one.combined(self.other) == StepUp(acr_values=("silver",), max_age=60)
        assert self.one.combined(StepUp(acr_values=("bronze",))) is None
        assert StepUp(max_age=9).combined(StepUp(max_age=0)) == StepUp(max_age=0)
        assert StepUp(max_age=9).combined(self.one) == StepUp(acr_values=("gold", "silver"), max_age=9)

    def test_of_two_that_cannot_both_be_there_is_no_remedy(self):
        assert both((Remedy(step_up=self.one),), (Remedy(step_up=StepUp(acr_values=("bronze",))),)) == NO_REMEDY

    def test_says_the_scopes_only_where_they_are_missing_too(self):
        remedies = both((Remedy(step_up=self.other),), having([["write"]]))
        said = 'acr_values="bronze silver", max_age="60"'
        assert str(challenge_of(remedies, {"write"})).endswith(f'log in again, or in a stronger way.", {said}')
        challenge = str(challenge_of(remedies, frozenset()))
        assert challenge.startswith(
            'Bearer error="insufficient_user_authentication", scope="write", error_description='
        )

    def test_is_not_asked_for_where_as_many_scopes_do(self):
        remedies = either(having([["admin"]]), (Remedy(step_up=self.one),))
        assert challenge_of(remedies, frozenset()).error == "insufficient_scope"
        assert challenge_of(remedies, frozenset()).description is None
        assert challenge_of(either(having([["a", "b"]]), (Remedy(step_up=self.one),)), frozenset()).max_age is None


@pytest.mark.compliance("9068-13")
@pytest.mark.parametrize(
    ("attribute", "values"),
    [
        (["a", "b"], {"a", "b"}),
        ([{"value": "a", "display": "A"}, {"value": "b", "primary": True}], {"a", "b"}),
        (["a", {"value": "b"}], {"a", "b"}),
        ([], set()),
        (None, set()),
        ("a b", set()),
        ({"value": "a"}, set()),
        ([{"display": "a"}, {"value": None}, {"value": ["a"]}, 1, None, ["a"], True, {"value": {}}], set()),
    ],
)
def test_values_of_a_multi_valued_attribute(attribute, values):
    assert values_of(attribute) == values


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_whatever_json_says_has_values_that_are_strings(attribute):
    assert all(isinstance(value, str) for value in values_of(attribute))
