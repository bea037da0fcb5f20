"""Pairwise subjects: one for each user and sector (OpenID Connect Core section 8.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.core.subjects import (
    AmbiguousSector,
    displayed_host,
    is_on_own_device,
    is_subject,
    pairwise_subject,
    sector_of,
    subject_digest,
)

texts = st.text(max_size=20)
identities = st.tuples(texts, texts, st.binary(min_size=32, max_size=32))


CODE = "authorization-code"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", False),
        ("x", True),
        ("a subject with spaces", True),
        ("x" * 255, True),
        ("x" * 256, False),
        ("line\nbreak", False),
        ("zero\u200bwidth", False),
        ("lone \ud800", False),
    ],
)
def test_a_subject_is_printable_and_has_1_to_255_characters(text, expected):
    assert is_subject(text) is expected


@pytest.mark.parametrize(
    ("redirect_uris", "sector"),
    [
        (["https://a.example.com/callback"], "a.example.com"),
        (["https://a.example.com/one", "https://A.example.com:8443/two"], "a.example.com"),
        ([], "client me"),
    ],
)
def test_sector_is_the_host_of_the_redirect_uris(redirect_uris, sector):
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
    assert all(is_on_own_device(uri) for uri in redirect_uris)


@pytest.mark.parametrize("redirect_uri", ["https://a.example.com/", "http://192.0.2.1/", "https://localhost.example/"])
def test_another_host_is_not_the_own_device(redirect_uri):
    assert not is_on_own_device(redirect_uri)


@pytest.mark.parametrize(
    "redirect_uri", ["https://a.example.com\\@b.example.com/", "https://a.example.com@b.example.com/"]
)
def test_redirect_uri_with_an_ambiguous_host_is_displayed_whole(redirect_uri):
    assert displayed_host(redirect_uri) == redirect_uri


@pytest.mark.parametrize("grant", [CODE, "implicit", "openid-hybrid"])
def test_grants_that_use_redirect_uris_have_their_host_as_sector(grant):
    assert sector_of(iter(["https://a.example.com/"]), client_id="me", grant=grant) == "a.example.com"
    with pytest.raises(AmbiguousSector):
        sector_of(iter(["https://a@a.example.com/"]), client_id="me", grant=grant)


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


def test_a_digest_tells_issuers_and_subjects_apart():
    """It is stored to find a subject's user, so it must never change either."""
    digest = subject_digest("https://as.example.com/o", "42")
    assert digest == "8b113b197f37d7169896e0a49d689fad730768d2324a802789c34f4b08758728"
    others = [
        subject_digest("https://as.example.com/o4", "2"),
        subject_digest("https://as.example.com/O", "42"),
        subject_digest("https://as.example.com/o", "42 "),
        subject_digest("https://as.example.com/o", "\ud800"),
    ]
    assert len({digest, *others}) == 5
