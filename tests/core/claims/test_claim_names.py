from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.core.claims import UnusableRule
from django_at_jwt.core.claims.rules import parse_claim_name, refuse_reserved, write_claim_name
from django_at_jwt.core.profile import RESERVED_CLAIMS


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("department", ("department",)),
        ("address.country", ("address", "country")),
        (r"https://example\.com/tenant", ("https://example.com/tenant",)),
        (r"a\\.b", ("a\\", "b")),
        ("Ünit of 日本", ("Ünit of 日本",)),
        ("not aud.x", ("not aud", "x")),
        ("a" * 255, ("a" * 255,)),
        ("a.b.c.d.e.f.g.h", tuple("abcdefgh")),
    ],
)
def test_name_is_a_path(name, path):
    assert parse_claim_name(name) == path
    assert write_claim_name(path) == name
    refuse_reserved(path)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            None,
            7,
            ".",
            ".a",
            "a.",
            "a..b",
            " a",
            "a ",
            "a. b",
            "a\u00a0",
            "a\n",
            "a\x00b",
            "\u200bsub",
            "s\u00adub",
        ),
        *("\ud800", "a\\", r"a\b", "a" * 256, ".".join("abcdefghi"), "\ufeffsub", "a\u2028b"),
    ],
)
def test_name_that_is_none(name):
    with pytest.raises(UnusableRule) as refused:
        parse_claim_name(name)
    assert [problem.where for problem in refused.value.problems] == ["claim"]
    assert str(refused.value.problems[0])


@pytest.mark.parametrize("claim", sorted(RESERVED_CLAIMS))
def test_reserved_claim_in_any_spelling(claim):
    full_width = "".join(chr(ord(letter) + 0xFEE0) if letter.isalpha() else letter for letter in claim)
    for spelling in (claim, claim.upper(), claim.title(), f"{claim}.x", f"{claim.upper()}.x.y", full_width):
        with pytest.raises(UnusableRule, match="is a protocol claim") as refused:
            refuse_reserved(parse_claim_name(spelling))
        assert [problem.where for problem in refused.value.problems] == ["claim"]


def test_look_alike_is_another_name():
    refuse_reserved(parse_claim_name("s\u0443b"))  # A Cyrillic letter in the middle.
    refuse_reserved(parse_claim_name("x.sub"))
    refuse_reserved(parse_claim_name(r"sub\.x"))


@given(
    st.lists(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1), min_size=1, max_size=8)
)
def test_what_is_written_is_read_as_the_same_path(path):
    name = write_claim_name(tuple(path))
    if len(name) <= 255:
        assert parse_claim_name(name) == tuple(path)
