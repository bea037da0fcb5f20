from __future__ import annotations

import hashlib
import hmac
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest

from django_at_jwt.core.claims import FailureReason, MapperOutcome
from django_at_jwt.core.claims.errors import MapperFailure
from django_at_jwt.core.claims.schema import parse_transform
from django_at_jwt.core.claims.transforms import apply_transforms, compile_transform

from .shorthand import from_source, mapped, rule, values
from .shorthand import step as step_of

SCALARS = ["string", "integer", "number", "boolean"]
MIDNIGHT = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))


def cast(to):
    return {"kind": "cast", "to": to}


@pytest.mark.parametrize(
    ("value", "to", "expected"),
    [
        (True, "string", "true"),
        (5, "string", "5"),
        (1.5, "string", "1.5"),
        (Decimal("1.50"), "string", "1.50"),
        (Decimal("1E+2"), "string", "100"),
        (UUID(int=1), "string", "00000000-0000-0000-0000-000000000001"),
        (MIDNIGHT, "string", "2026-01-01T01:00:00+01:00"),
        (date(2026, 1, 1), "string", "2026-01-01"),
        (MIDNIGHT, "integer", 1767225600),
        (" -12 ", "integer", -12),
        (3.0, "integer", 3),
        (Decimal(3), "integer", 3),
        (True, "integer", 1),
        ("1.5", "number", 1.5),
        (Decimal("0.1"), "number", 0.1),
        (MIDNIGHT, "number", 1767225600),
        ("Yes", "boolean", True),
        (" off ", "boolean", False),
        (0, "boolean", False),
        *((word, "boolean", True) for word in ("true", "TRUE", "yes", "on", "1")),
        *((word, "boolean", False) for word in ("false", "False", "no", "off", "0")),
    ],
)
def test_cast_converts_a_value_and_each_entry(value, to, expected):
    claim, done = from_source(value, to, [cast(to)])
    assert (done.outcome, claim) == (MapperOutcome.SET, expected)
    assert type(claim) is type(expected)
    assert from_source([value, value], f"{to}s", [cast(to)])[0] == [expected, expected]


@pytest.mark.parametrize(
    ("most", "patterns"),
    [
        (10_000, [f"group {number}" for number in range(10)]),
        (500, [f"group {number}*" for number in range(100)]),
        (1_000, ["*" + "a*" * 96]),
    ],
)
def test_filter_compares_a_bounded_number_of_pairs(most, patterns):
    step = {"kind": "filter", "patterns": patterns, "drop": True}
    groups = [f"no group {number}" for number in range(most)]
    assert filtered(groups, step) == groups
    assert is_too_much([*groups, *groups], step)


def filtered(value, *steps):
    return apply_transforms([compile_transform(parse_transform(step)) for step in steps], value)


def is_too_much(value, *steps):
    with pytest.raises(MapperFailure) as failed:
        filtered(value, *steps)
    return failed.value.reason is FailureReason.TOO_LARGE


def test_all_filters_of_a_mapper_share_the_bound():
    step = {"kind": "filter", "patterns": [f"group {number}" for number in range(100)], "drop": True}
    groups = [f"no group {number}" for number in range(400)]
    assert filtered(groups, step, step) == groups
    assert is_too_much(groups, step, step, step)
    # The limit is per mapper, and a failure affects only that mapper.
    rules = [
        rule(claim=claim, source={"kind": "groups"}, type="strings", transforms=[step] * filters)
        for claim, filters in (("x", 2), ("y", 2), ("z", 3))
    ]
    result = mapped(rules, values(groups=groups))
    assert result.claims == {"x": groups, "y": groups}
    assert step_of(result, "z").failure is FailureReason.TOO_LARGE


def test_filter_reads_a_bounded_amount_of_text():
    texts = ["a" * 60_000] * 16
    step = {"kind": "filter", "patterns": [f"*b{number}*" for number in range(200)]}
    assert filtered(texts[:2], step) == []
    assert is_too_much(texts, step)
    # A pattern that compares only both ends is not slower for a long text.
    assert filtered(texts, {"kind": "filter", "patterns": [f"b{number}*c" for number in range(200)]}) == []


@pytest.mark.parametrize(
    ("value", "to"),
    [
        ("1.5", "integer"),
        ("1_0", "integer"),
        ("--1", "integer"),
        ("٣", "integer"),
        ("9" * 5000, "integer"),
        ("9" * 5000, "number"),
        (1.5, "integer"),
        (float("nan"), "integer"),
        (float("inf"), "string"),
        (Decimal("NaN"), "integer"),
        (Decimal("NaN"), "string"),
        (Decimal("sNaN"), "number"),
        (Decimal("1E+1000000"), "integer"),
        (Decimal("1E+1000000"), "string"),
        (Decimal("1E+1000000"), "number"),
        (10**5000, "string"),
        (10**5000, "integer"),
        ("nan", "number"),
        ("1e999", "number"),
        ("1_0", "number"),
        ("maybe", "boolean"),
        ("yes" * 100_000, "boolean"),
        (2, "boolean"),
        (datetime(2026, 1, 1), "integer"),  # noqa: DTZ001 - that is what is wrong with it
        (date(2026, 1, 1), "integer"),
        (b"1", "string"),
        (object(), "string"),
        ({"a": 1}, "string"),
        ([["a"]], "string"),
    ],
    ids=lambda value: value if isinstance(value, str) and value in SCALARS else type(value).__name__,
)
def test_what_cannot_be_cast(value, to):
    claim, done = from_source(value, to, [cast(to)])
    assert (claim, done.outcome) == (None, MapperOutcome.FAILED)
    assert done.failure is not FailureReason.SOURCE_FAILED


@pytest.mark.parametrize(
    ("value", "to", "expected"),
    [
        (10**40 - 1, "string", "9" * 40),
        (1 - 10**40, "string", "-" + "9" * 40),
        (Decimal("1E+40"), "string", "1" + "0" * 40),
        (Decimal("1E-40"), "string", "0." + "0" * 39 + "1"),
        ("0" * 39 + "7", "integer", 7),
        ("1." + "0" * 38, "number", 1.0),
    ],
)
def test_the_longest_numbers_that_can_be_cast(value, to, expected):
    assert from_source(value, to, [cast(to)])[0] == expected


@pytest.mark.parametrize(
    ("value", "to", "failure"),
    [
        (10**40, "string", FailureReason.TOO_LARGE),
        (-(10**40), "string", FailureReason.TOO_LARGE),
        (Decimal("1E+41"), "string", FailureReason.TOO_LARGE),
        (Decimal("1E-41"), "string", FailureReason.TOO_LARGE),
        ("0" * 40 + "7", "integer", FailureReason.WRONG_TYPE),
        ("1." + "0" * 39, "number", FailureReason.WRONG_TYPE),
    ],
)
def test_longer_numbers_are_refused(value, to, failure):
    assert from_source(value, to, [cast(to)])[1].failure is failure


@pytest.mark.parametrize(
    ("value", "is_accepted"),
    [
        ("x" * 65_536, True),
        ("x" * 65_537, False),
        (["x"] * 10_000, True),
        (["x"] * 10_001, False),
        (["x" * 65_536] * 16, True),
        (["x" * 65_536] * 16 + ["x"], False),
    ],
    ids=["longest text", "longer text", "most entries", "more entries", "most text", "more text"],
)
def test_the_largest_value_that_can_be_transformed(value, is_accepted):
    drop = {"kind": "filter", "patterns": ["y*"]}
    if is_accepted:
        assert not filtered(value, drop)
    else:
        assert is_too_much(value, drop)


KEY = "a key of the site's own"


@pytest.mark.parametrize(
    ("value", "transform", "expected"),
    [
        (["a", "b"], {"kind": "join", "separator": " "}, "a b"),
        (["a", "b"], {"kind": "join", "separator": ""}, "ab"),
        ("a, b,,c ", {"kind": "split", "separator": ","}, ["a", "b", "c"]),
        (["a", "b"], {"kind": "pick", "which": "first"}, "a"),
        (["a", "b"], {"kind": "pick", "which": "last"}, "b"),
        (["app-a", "b"], {"kind": "filter", "patterns": ["app-*", "x"]}, ["app-a"]),
        (["app-a", "b"], {"kind": "filter", "patterns": ["app-*", "x"], "drop": True}, ["b"]),
        ("b", {"kind": "filter", "patterns": ["app-*"]}, None),
        ("a", {"kind": "prefix", "text": "x:"}, "x:a"),
        (["a", "b"], {"kind": "prefix", "text": "x:"}, ["x:a", "x:b"]),
        ("x:a:y", {"kind": "strip", "prefix": "x:", "suffix": ":y"}, "a"),
        ("a", {"kind": "strip", "prefix": "x:", "suffix": ":y"}, "a"),
        (["a", "b"], {"kind": "rename", "table": {"a": "A"}}, ["A", "b"]),
        (["a", "b"], {"kind": "rename", "table": {"a": "A"}, "others": "drop"}, ["A"]),
        ("ÀB", {"kind": "lower"}, "àb"),
        (None, {"kind": "default", "value": "d"}, "d"),
        ("", {"kind": "default", "value": "d"}, "d"),
        ([], {"kind": "default", "value": ["d"]}, ["d"]),
        ("a", {"kind": "default", "value": "d"}, "a"),
        ("a", {"kind": "hash", "key": KEY}, hmac.new(KEY.encode(), b"a", hashlib.sha256).hexdigest()),
        (["a", "b"], {"kind": "wrap", "member": "value"}, [{"value": "a"}, {"value": "b"}]),
        ("a", {"kind": "wrap", "member": "value"}, {"value": "a"}),
    ],
)
def test_transform_has_the_expected_result(value, transform, expected):
    kind = {str: "string", list: "strings", dict: "object", type(None): "string"}[type(expected)]
    if isinstance(expected, list) and isinstance(expected[0], dict):
        kind = "objects"
    claim, done = from_source(value, kind, [transform])
    assert claim == expected, done
    assert done.outcome is (MapperOutcome.NO_VALUE if expected is None else MapperOutcome.SET)


ALL_BUT_DEFAULT = [
    {"kind": "cast", "to": "integer"},
    {"kind": "join", "separator": " "},
    {"kind": "split", "separator": ","},
    {"kind": "pick", "which": "first"},
    {"kind": "filter", "patterns": ["a"]},
    {"kind": "prefix", "text": "x:"},
    {"kind": "strip", "prefix": "x:"},
    {"kind": "rename", "table": {"a": "A"}},
    {"kind": "lower"},
    {"kind": "hash", "key": KEY},
    {"kind": "wrap", "member": "value"},
]


@pytest.mark.parametrize("transform", ALL_BUT_DEFAULT, ids=lambda transform: transform["kind"])
@pytest.mark.parametrize("nothing", [None, "", [], ()])
def test_what_is_not_a_value_stays_none(nothing, transform):
    assert from_source(nothing, "string", [transform])[1].outcome is MapperOutcome.NO_VALUE


@pytest.mark.parametrize("transform", ALL_BUT_DEFAULT[1:-1], ids=lambda transform: transform["kind"])
@pytest.mark.parametrize("value", [5, {"a": 1}, [5], object()])
def test_value_that_a_transform_of_texts_cannot_work_on(value, transform):
    claim, done = from_source(value, "string", [transform])
    assert (claim, done.failure) == (None, FailureReason.WRONG_TYPE)


def test_transforms_are_applied_in_their_order():
    chain = [
        {"kind": "split", "separator": " "},
        {"kind": "filter", "patterns": ["app-*"]},
        {"kind": "strip", "prefix": "app-"},
        {"kind": "lower"},
        {"kind": "join", "separator": "+"},
    ]
    assert from_source("app-A other app-B", "string", chain)[0] == "a+b"


def test_text_that_grows_step_by_step_is_stopped():
    grow = [{"kind": "prefix", "text": "x" * 200}] * 10
    _, done = from_source(["a" * 100] * 9_000, "strings", grow)
    assert done.failure is FailureReason.TOO_LARGE


def test_half_of_a_surrogate_pair_is_not_hashed():
    assert from_source("\ud800", "string", [{"kind": "hash", "key": KEY}])[1].failure is FailureReason.NOT_JSON
