"""Lifetimes in words: what is read, and that every language reads what it shows."""

from __future__ import annotations

import pytest
from django.conf.locale import LANG_INFO
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.admin.lifetime import lifetime_in_words, read_lifetime


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1 hour", 3600),
        ("90 minutes", 5400),
        ("300", 300),
        ("1h30m", 5400),
        ("1 hour, 30 min", 5400),
        (" 2  DAYS ", 172800),
        ("45 sec", 45),
        ("01:00:00", 3600),
        ("PT10M", 600),
        ("0", 0),
        ("-5", -5),
    ],
)
def test_words_and_formats_of_django_are_read(text, seconds):
    assert read_lifetime(text) == seconds


@pytest.mark.parametrize("text", ["an hour", "1 fortnight", "1 hourglass", "1 2 hours", "0.5", "PT1.5S", "9" * 40])
def test_others_are_refused(text):
    with pytest.raises(ValueError):
        read_lifetime(text)


@given(st.integers(min_value=0, max_value=10**9))
def test_what_is_shown_is_read_as_the_same_number(seconds):
    assert read_lifetime(lifetime_in_words(seconds)) == seconds


@pytest.mark.parametrize("language", [code for code, info in LANG_INFO.items() if "fallback" not in info])
def test_every_language_reads_what_it_shows(language):
    with translation.override(language):
        for seconds in (1, 60, 61, 120, 300, 3600, 7200, 39600, 86400, 172800, 445506):
            assert read_lifetime(lifetime_in_words(seconds)) == seconds
