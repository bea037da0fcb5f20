"""SCIM's multi-valued attributes: roles, groups and entitlements."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.core.scim import values_of


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
