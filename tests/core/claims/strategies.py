"""Strategies for valid and invalid rules, tokens, and values of sources."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from hypothesis import strategies as st

from django_at_jwt.core.claims import (
    Conditions,
    MapperRule,
    Match,
    Merge,
    Oversize,
    SizeLimits,
    SourceValues,
    TokenFacts,
    TokensFor,
    ValueType,
    WhenMissing,
)
from django_at_jwt.core.claims import rules as r
from django_at_jwt.core.profile import RESERVED_CLAIMS

from .shorthand import PROTOCOL

NAMES = ["a", "b", "email", "https://x"]
SEGMENTS = st.sampled_from(["a", "b", "c", "groups"])
GOOD_CLAIMS = st.lists(SEGMENTS, min_size=1, max_size=3).map(".".join)
RESERVED = st.sampled_from(sorted(RESERVED_CLAIMS))
CLAIMS = GOOD_CLAIMS | RESERVED | st.builds("{}.{}".format, RESERVED, SEGMENTS) | RESERVED.map(str.upper) | st.text()

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.text(st.characters(), max_size=3)  # Also surrogates.
    | st.sampled_from(
        ["x" * 300, "y" * 70_000, datetime(2026, 1, 1, tzinfo=UTC), Decimal("1.5"), Decimal("sNaN"), b"b"]
    )
    | st.sampled_from([UUID(int=1), object(), {1}, 10**400, "a,b", "true", "12"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=4),
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text("ab,é", max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=4),
)
NAME = st.sampled_from(NAMES)
TEMPLATES = st.sampled_from(
    ["{user:a} {client:b}", "{claim:sub}/{claim:a}", "{registered:a}{user:email}", "text", "{broken", "{x:y}"]
)
SOURCES = (
    st.builds(r.UserField, path=NAME)
    | st.builds(r.Groups)
    | st.builds(r.Permissions)
    | st.builds(r.ClientField, name=NAME)
    | st.builds(r.ResourceServerField, name=NAME)
    | st.builds(r.Constant, value=VALUES)
    | st.builds(r.Template, text=TEMPLATES)
    | st.builds(r.RegisteredSource, name=NAME)
    | st.builds(r.ExistingClaim, claim=GOOD_CLAIMS | st.sampled_from(["sub", "aud", "exp", "nothing"]))
)
TEXTS = st.text("ab*\\", max_size=4)
TRANSFORMS = (
    st.builds(r.Cast, to=st.sampled_from([ValueType.STRING, ValueType.INTEGER, ValueType.NUMBER, ValueType.BOOLEAN]))
    | st.builds(r.Join, separator=TEXTS)
    | st.builds(r.Split, separator=TEXTS)
    | st.builds(r.Pick, which=st.sampled_from(r.Place))
    | st.builds(r.Filter, patterns=st.lists(TEXTS, max_size=2, unique=True).map(tuple), drop=st.booleans())
    | st.builds(r.Prefix, text=st.sampled_from(["p:", "p" * 200]))
    | st.builds(r.Strip, prefix=TEXTS, suffix=TEXTS)
    | st.builds(r.Rename, table=st.just((("a", "b"),)), others=st.sampled_from(r.Others))
    | st.builds(r.Lower)
    | st.builds(r.Default, value=VALUES)
    | st.builds(r.Hash, key=st.just("the key of this site") | st.just(""), key_name=st.sampled_from(["", "", "a"]))
    | st.builds(r.Wrap, member=st.sampled_from(["value", "\ud800"]))
)
SOME = st.lists(NAME, max_size=2, unique=True).map(tuple)
CONDITIONS = st.just(Conditions()) | st.builds(
    Conditions,
    tokens_for=st.none() | st.sampled_from(TokensFor),
    clients=SOME,
    scopes=SOME,
    scopes_match=st.sampled_from(Match),
    resource_servers=SOME,
    grants=SOME,
    groups=SOME,
)


def rules(claims=CLAIMS, sources=SOURCES, **more):
    return st.builds(
        MapperRule,
        key=st.text("klm", min_size=1, max_size=2),
        claim=claims,
        source=sources,
        transforms=st.lists(TRANSFORMS, max_size=3).map(tuple),
        value_type=st.sampled_from(ValueType),
        conditions=CONDITIONS,
        when_missing=st.sampled_from(WhenMissing),
        default=VALUES,
        merge=st.sampled_from(Merge),
        required=st.booleans(),
        order=st.integers(-1, 1),
        enabled=st.booleans() | st.just(True),
        **more,
    )


# Rules that mostly set something, so that they interact.
CONSTANTS = st.builds(
    lambda value, kind, **members: MapperRule(source=r.Constant(value=value), value_type=kind, **members),
    st.sampled_from(["text", "x" * 40]),
    st.just(ValueType.STRING),
    key=st.text("klm", min_size=1, max_size=2),
    claim=GOOD_CLAIMS,
    merge=st.sampled_from(Merge),
    order=st.integers(-1, 1),
    required=st.booleans(),
)
OBJECTS = st.builds(
    lambda value, **members: MapperRule(source=r.Constant(value=value), value_type=ValueType.OBJECT, **members),
    st.dictionaries(SEGMENTS, st.dictionaries(SEGMENTS, st.sampled_from(["1", ["1"]]), max_size=2), min_size=1),
    key=st.text("klm", min_size=1, max_size=2),
    claim=GOOD_CLAIMS,
    merge=st.sampled_from(Merge),
    order=st.integers(-1, 1),
)
RULE_SETS = st.lists(rules() | rules(GOOD_CLAIMS) | CONSTANTS | OBJECTS, max_size=12)
FACTS = st.builds(TokenFacts, client_id=NAME, scopes=SOME, resource_servers=SOME, grant=NAME, is_machine=st.booleans())


def raising():
    raise RuntimeError


BY_NAME = st.dictionaries(NAME, VALUES)
SOURCE_VALUES = st.builds(
    SourceValues,
    user=BY_NAME,
    groups=SOME,
    permissions=SOME,
    client=BY_NAME,
    resource_server=BY_NAME,
    registered=st.dictionaries(NAME, st.just(raising) | VALUES.map(lambda value: lambda: value)),
    protocol=st.just(PROTOCOL),
)
LIMITS = st.builds(
    SizeLimits,
    claim_bytes=st.integers(1, 400),
    token_bytes=st.integers(1, 800),
    oversize=st.sampled_from(Oversize),
)
