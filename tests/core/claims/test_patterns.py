from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.core.claims import UnusableRule
from django_at_jwt.core.claims.transforms import Pattern


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("app-*", ["app-", "app-x"], ["app", "xapp-", "App-x"]),
        ("*-admin", ["-admin", "x-admin"], ["admin", "x-admin-"]),
        ("a*b*c", ["abc", "axbxc", "abcbc"], ["ac", "acb", "abcd"]),
        ("aba*aba", ["abaaba", "abaxaba"], ["aba", "ababa"]),
        ("exact", ["exact"], ["exactly", "", "Exact"]),
        ("*", ["", "anything\nat all"], []),
        (r"\*\\", ["*\\"], ["x\\", "*"]),
        ("a.c[x]?", ["a.c[x]?"], ["abcx"]),
    ],
)
def test_pattern_matches_only_these_texts(pattern, matching, others):
    compiled = Pattern(pattern)
    assert [text for text in (*matching, *others) if compiled.matches(text)] == matching


def test_pattern_has_at_most_200_characters():
    assert Pattern("x" * 200).matches("x" * 200)


@pytest.mark.parametrize("pattern", ["", None, 1, "x" * 201, "a\\", r"a\b"])
def test_no_pattern(pattern):
    with pytest.raises(UnusableRule):
        Pattern(pattern)


@given(st.text("ab*", min_size=1, max_size=8), st.text("ab", max_size=12))
def test_it_matches_what_the_regular_expression_does(pattern, text):
    expression = ".*".join(map(re.escape, pattern.split("*")))
    assert Pattern(pattern).matches(text) == bool(re.fullmatch(expression, text, re.DOTALL))


@pytest.mark.parametrize(
    "pattern", ["*a" * 100, "a*" * 100, "*" * 200, "*" + "a" * 190 + "b*", ("*" + "a" * 9 + "b") * 18]
)
def test_what_takes_a_regular_expression_for_ever_is_done_at_once(pattern):
    compiled = Pattern(pattern)
    started = time.process_time()
    for text in ("a" * 60_000, "a" * 60_000 + "c"):
        compiled.matches(text)
    # A backtracking matcher would never finish; this takes less than a millisecond.
    assert time.process_time() - started < 1
