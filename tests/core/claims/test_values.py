"""Values of each type, and values that never get into a token."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from uuid import UUID

import pytest

from django_at_jwt.core.claims import FailureReason, MapperOutcome, ValueType

from .shorthand import from_source, mapped, rule, step, values


class Colour(StrEnum):
    RED = "red"


class Size(IntEnum):
    BIG = 3


class Text(str):
    __slots__ = ()

    def __str__(self):
        return "another text"

    def __len__(self):
        return 1


@pytest.mark.parametrize(
    ("value_type", "value", "expected"),
    [
        ("string", "é\x00", "é\x00"),
        ("string", Colour.RED, "red"),
        ("string", Text("text"), "text"),
        ("integer", Size.BIG, 3),
        ("integer", -(2**53) + 1, -(2**53) + 1),
        ("number", 1, 1),
        ("number", 1.5, 1.5),
        ("boolean", False, False),
        ("strings", ("a", "b"), ["a", "b"]),
        ("integers", [1], [1]),
        ("numbers", [1, 0.5], [1, 0.5]),
        ("booleans", [True, False], [True, False]),
        ("object", {"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
        ("object", {Colour.RED: Size.BIG}, {"red": 3}),
        ("objects", [{"value": "a"}], [{"value": "a"}]),
    ],
)
def test_value_of_the_type(value_type, value, expected):
    claim, done = from_source(value, value_type)
    assert (done.outcome, claim) == (MapperOutcome.SET, expected)
    assert type(claim) is type(expected)
    # With the name and a comma, as in the token.
    assert done.bytes == len(json.dumps({"x": claim}, separators=(",", ":"), ensure_ascii=False).encode()) - 1


@pytest.mark.parametrize("value_type", list(ValueType))
@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 1, 1, tzinfo=UTC),
        date(2026, 1, 1),
        Decimal("1.5"),
        UUID(int=1),
        b"bytes",
        {"a", "b"},
        frozenset("a"),
        object(),
        iter("ab"),
        1j,
        float("nan"),
        float("inf"),
        [float("-inf")],
        {"a": float("nan")},
        "\ud800",
        ["\udfff"],
        {"\ud800": 1},
        {1: 2},
        {None: 1},
        {"a": {"b": {1, 2}}},
        2**53,
        10**5000,
        [[]],
        [None],
        "x" * 1_000_000,
        ["x" * 100] * 9_999,
        ["x"] * 100_000,
        {"a": "x" * 70_000},
        {str(n): n for n in range(70_000)},
    ],
    ids=lambda value: type(value).__name__,
)
def test_value_that_fits_nothing(value, value_type):
    claim, done = from_source(value, value_type)
    assert claim is None
    assert done.outcome is MapperOutcome.FAILED
    assert done.failure in {FailureReason.WRONG_TYPE, FailureReason.NOT_JSON, FailureReason.TOO_LARGE}
    assert len(done.detail) < 150


def cycle():
    value = {}
    value["again"] = value
    return value


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return {"a": value}


def shared_a_billion_times():
    value = ["x"] * 10
    for _ in range(9):
        value = [value] * 10
    return {"a": value}


@pytest.mark.parametrize("value", [cycle(), nested(20), nested(100_000), shared_a_billion_times()], ids=range(4))
def test_monstrous_object(value):
    claim, done = from_source(value, "object")
    assert (claim, done.outcome, done.failure) == (None, MapperOutcome.FAILED, FailureReason.TOO_LARGE)


@pytest.mark.parametrize(
    ("value", "value_type"),
    [(True, "integer"), (1, "boolean"), ("1", "integer"), (1, "string"), (1.0, "integer"), ("a", "strings")],
)
def test_nothing_is_converted_silently(value, value_type):
    claim, done = from_source(value, value_type)
    assert (claim, done.failure) == (None, FailureReason.WRONG_TYPE)


class Hostile(str):
    __slots__ = ()

    def __eq__(self, other):
        raise RuntimeError("secret text")

    __hash__ = str.__hash__


def test_value_whose_own_methods_raise():
    claim, done = from_source(Hostile("a"))
    assert (claim, done.failure) == (None, FailureReason.SOURCE_FAILED)
    assert done.detail == "the value raised RuntimeError"


def test_source_that_raises_is_told_by_type_and_place_and_not_by_its_text():
    def department():
        raise LookupError("alice@example.com")

    one = rule(source={"kind": "registered", "name": "s"})
    done = step(mapped([one], values(registered={"s": department})))
    assert done.failure is FailureReason.SOURCE_FAILED
    assert "LookupError in" in done.detail
    assert "department, line" in done.detail
    assert "alice" not in done.detail


def test_claim_shares_nothing_with_its_source():
    source = {"list": [1]}
    claim, _ = from_source(source, "object")
    claim["list"].append(2)
    assert source == {"list": [1]}
