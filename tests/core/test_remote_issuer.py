from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.core.remote_issuer import CacheBounds, IssuerSnapshot, entity_tag, max_age

BOUNDS = CacheBounds(min=60, max=3600, default=300)
headers = st.none() | st.text() | st.from_regex(r"(public, )?max-age=-?[0-9]{1,30}(, no-cache)?", fullmatch=True)


@given(headers, headers)
def test_whatever_a_response_says_it_is_used_within_the_bounds(cache_control, age):
    lifetime = BOUNDS.lifetime(cache_control, age)
    assert 60 <= lifetime <= 3600
    snapshot = IssuerSnapshot(
        issuer="", jwks_uri="", metadata_until=0, etag=None, keys=(), confirmed_at=1000, fresh_until=1000 + lifetime
    )
    assert 1000 < snapshot.refresh_at < snapshot.fresh_until


@given(st.integers(0, 10**9 - 1), st.integers(0, 10**9 - 1))
def test_max_age_less_the_age(seconds, age):
    assert BOUNDS.lifetime(f"max-age={seconds}", str(age)) == min(max(seconds - age, 60), 3600)


@pytest.mark.parametrize(("default", "lifetime"), [(10, 60), (60, 60), (300, 300), (3600, 3600), (9999, 3600)])
def test_the_default_is_within_the_bounds_too(default, lifetime):
    bounds = CacheBounds(min=60, max=3600, default=default)
    assert bounds.lifetime(None, None) == bounds.lifetime("public", "100") == lifetime


@pytest.mark.parametrize("age", [None, "", "x", "-1", "1.5", "\u0665", "1" * 10])
def test_an_age_that_is_not_a_number_of_seconds_is_ignored(age):
    assert BOUNDS.lifetime("max-age=600", age) == 600


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("public", None),
        ("max-age=5", 5),
        ("MAX-AGE=5", 5),
        ("private,max-age=5 , immutable", 5),
        ('max-age="5"', 5),
        ("x-max-age=5", None),
        ("max-age", 0),
        ("max-age=", 0),
        ("max-age=999999999", 999_999_999),
        ("max-age=1000000000", 0),
        ("max-age=5.5", 0),
        ("max-age=\u0665", 0),
        ("max-age=5, no-store", 0),
        ('no-cache="set-cookie", max-age=5', 0),
        ('community="max-age=7", max-age=5', 5),
    ],
)
def test_cache_control(header, seconds):
    assert max_age(header) == seconds


@given(st.none() | st.text())
def test_an_entity_tag_can_be_sent_back(value):
    tag = entity_tag(value)
    assert tag is None or (tag == value and tag.isascii() and tag.isprintable() and " " not in tag)


def test_entity_tags():
    for tag in ('""', '"x"', 'W/"x"', '"a-b/c=="'):
        assert entity_tag(tag) == tag
    for tag in (None, "x", '"x', 'w/"x"', '"x"\r\n', '"' + "x" * 257 + '"'):
        assert entity_tag(tag) is None
