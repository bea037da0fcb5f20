"""Whether an algorithm had a signing key throughout a past span."""

from __future__ import annotations

from dataclasses import replace

import pytest

from django_at_jwt.core.key_lifecycle import KeyTimes, signs_throughout

from .key_histories import SECOND, START, days

FIRST = KeyTimes(
    kid="first",
    algorithm="ES256",
    announced_at=START,
    signing_at=START,
    retained_at=START + days(10),
    retired_at=START + days(11),
)
SECOND_KEY = KeyTimes(kid="second", algorithm="ES256", announced_at=START, signing_at=START + days(10))
KEYS = (SECOND_KEY, FIRST)
REVOKED = replace(FIRST, revoked_at=START + days(5))


@pytest.mark.parametrize(
    ("keys", "starts", "ends", "expected"),
    [
        (KEYS, START, START + days(99), True),
        (KEYS, START - SECOND, START + days(1), False),
        (KEYS, START + days(10), START + days(11), True),
        ([FIRST], START, START + days(10), True),
        ([FIRST], START, START + days(10) + SECOND, False),
        ([SECOND_KEY], START + days(9), START + days(20), False),
        # A key that was revoked later did sign until then.
        ([REVOKED], START, START + days(5), True),
        ([REVOKED, SECOND_KEY], START, START + days(20), False),
        ([REVOKED, replace(SECOND_KEY, signing_at=START + days(5))], START, START + days(20), True),
        # A key that was withdrawn before it began did not.
        ([replace(SECOND_KEY, retained_at=START)], START + days(10), START + days(11), False),
        ([replace(FIRST, algorithm="RS256")], START, START + days(1), False),
        ([], START, START + SECOND, False),
    ],
)
def test_whether_an_algorithm_signed_all_the_while(keys, starts, ends, expected):
    assert signs_throughout(keys, "ES256", starts, ends) is expected
