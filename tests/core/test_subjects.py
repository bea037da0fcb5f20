"""Pairwise subjects: one for each user and sector (OpenID Connect Core §8.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.core.subjects import AmbiguousSector, pairwise_subject, sector_of

texts = st.text(max_size=20)
identities = st.tuples(texts, texts, st.binary(min_size=32, max_size=32))


CODE = "authorization-code"


@pytest.mark.parametrize(
    ("redirect_uris", "sector"),
    [
        (["https://a.example.com/callback"], "a.example.com"),
        (["https://a.example.com/one", "https://A.example.com:8443/two"], "a.example.com"),
        ([], "client me"),
    ],
)
def test_sector(redirect_uris, sector):
    assert sector_of(redirect_uris, client_id="me", grant=CODE) == sector


@pytest.mark.parametrize(
    "redirect_uris",
    [
        ["com.example.app:/callback"],
        ["app://callback/"],
        ["http://localhost:8000/"],
        ["http://app.localhost/"],
        ["http://127.0.0.1/callback"],
        ["http://[::1]:8000/callback", "com.example.app:/callback"],
    ],
)
def test_what_every_app_may_have_joins_no_two_of_them(redirect_uris):
    assert sector_of(redirect_uris, client_id="me", grant=CODE) == "client me"


@pytest.mark.parametrize("grant", ["password", "client-credentials", "urn:ietf:params:oauth:grant-type:device_code"])
def test_redirect_uri_that_is_never_used_proves_nothing(grant):
    assert sector_of(["https://a.example.com/"], client_id="me", grant=grant) == "client me"


@pytest.mark.parametrize(
    "other", ["https://b.example.com/", "com.example.app:/callback", "app://callback/", "http://127.0.0.1/callback"]
)
def test_sector_that_is_not_clear(other):
    with pytest.raises(AmbiguousSector, match="client me do not have one host"):
        sector_of(["https://a.example.com/", other], client_id="me", grant=CODE)


@pytest.mark.parametrize("address", ["https://b.example.com\\@a.example.com/", "https://b.example.com@a.example.com/"])
def test_ambiguous_host_has_no_sector(address):
    with pytest.raises(AmbiguousSector):
        sector_of([address], client_id="me", grant=CODE)


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
    # The same concatenation, split elsewhere.
    assert len({of(f"{sector}{subject}", "", key), of("", f"{sector}{subject}", key)}) == 1 + bool(subject or sector)


def test_is_what_it_was():
    """It must never change: resource servers store it as the user's identifier."""
    assert (
        pairwise_subject("42", sector="a.example.com", key=bytes(32)) == "5iSvyzkGnMczazx4ElpKeUAkPjHumP3RAqXrqNXM5Lc"
    )
