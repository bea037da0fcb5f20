from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from django_at_jwt.core.key_lifecycle import RotationPolicy

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
# The shortest valid policy: each duration is exactly what the others require.
POLICY = RotationPolicy(
    rotation_interval=timedelta(seconds=3690),
    propagation_time=timedelta(seconds=3690),
    retention=timedelta(seconds=630),
)


def problems(policy, **changes):
    durations = {
        "jwk_set_max_age": HOUR,
        "key_ring_max_age": timedelta(seconds=60),
        "longest_lifetime": timedelta(seconds=600),
        "leeway": timedelta(seconds=30),
        **changes,
    }
    return [str(problem) for problem in policy.problems(**durations)]


def test_a_policy_that_is_just_long_enough_has_no_problem():
    assert problems(POLICY) == []


@pytest.mark.parametrize(
    ("policy", "changes", "begins"),
    [
        (replace(POLICY, propagation_time=POLICY.propagation_time - SECOND), {}, "The propagation time is 1:01:29"),
        (replace(POLICY, retention=POLICY.retention - SECOND), {}, "The retention is 0:10:29"),
        (replace(POLICY, rotation_interval=POLICY.rotation_interval - SECOND), {}, "The rotation interval is 1:01:29"),
        (POLICY, {"jwk_set_max_age": HOUR + SECOND}, "The propagation time is 1:01:30"),
        (POLICY, {"key_ring_max_age": timedelta(seconds=61)}, "The propagation time is 1:01:30"),
        (POLICY, {"longest_lifetime": timedelta(seconds=601)}, "The retention is 0:10:30"),
    ],
)
def test_one_second_less_is_a_problem(policy, changes, begins):
    [problem] = problems(policy, **changes)
    assert problem.startswith(begins)


def test_a_larger_leeway_is_needed_everywhere():
    first, second = problems(POLICY, leeway=timedelta(seconds=31))
    assert first.startswith("The propagation time")
    assert second.startswith("The retention")


def test_all_problems_are_told_at_once():
    nothing = RotationPolicy(rotation_interval=timedelta(0), propagation_time=SECOND, retention=timedelta(0))
    assert [problem.split(" is ")[0] for problem in problems(nothing)] == [
        "The propagation time",
        "The retention",
        "The rotation interval",
    ]
