"""Pairwise subjects: one for each user and sector (OpenID Connect Core §8.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.core.subjects import AmbiguousSector, pairwise_subject, sector_of

texts = st.text(max_size=20)
identities = st.tuples(texts, texts, st.binary(min_size=32, max_size=32))


@pytest.mark.parametrize(
    ("redirect_uris", "sector"),
    [
        (["https://a.example.com/callback"], "a.example.com"),
        (["https://a.example.com/one", "https://A.example.com:8443/two"], "a.example.com"),
        (["com.example.app:/callback"], "client me"),
        ([], "client me"),
    ],
)
def test_sector(redirect_uris, sector):
    assert sector_of(redirect_uris, client_id="me") == sector


def test_sector_of_several_hosts():
    with pytest.raises(AmbiguousSector, match="me have 2 hosts"):
        sector_of(["https://a.example.com/", "https://b.example.com/"], client_id="me")


@pytest.mark.compliance("9068-35")
@given(first=identities, second=identities)
def test_different_users_sectors_and_keys_have_different_identifiers(first, second):
    def of(subject, sector, key):
        return pairwise_subject(subject, sector=sector, key=key)

    assert of(*first) == of(*first)
    assert len(of(*first)) == 43
    assert of(*first).isascii()
    assert (of(*first) == of(*second)) == (first == second)
    subject, sector, key = first
    # The same letters, divided otherwise.
    assert len({of(f"{sector}{subject}", "", key), of("", f"{sector}{subject}", key)}) == 1 + bool(subject or sector)


def test_is_what_it_was():
    """It must never change: resource servers keep what they know of a user under it."""
    assert (
        pairwise_subject("42", sector="a.example.com", key=bytes(32)) == "5iSvyzkGnMczazx4ElpKeUAkPjHumP3RAqXrqNXM5Lc"
    )
