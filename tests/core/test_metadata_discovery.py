from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_at_jwt.core.errors import UnacceptableDocument
from django_at_jwt.core.metadata import address_in, is_fetchable, is_remote_issuer, metadata_addresses, read_document
from django_at_jwt.core.quotation import quote

ROOT = "https://as.example.com"


@pytest.mark.parametrize(
    ("issuer", "addresses"),
    [
        (ROOT, ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")),
        (f"{ROOT}/", ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")),
        (f"{ROOT}/o", ("/.well-known/oauth-authorization-server/o", "/o/.well-known/openid-configuration")),
        (f"{ROOT}/o/", ("/.well-known/oauth-authorization-server/o", "/o/.well-known/openid-configuration")),
        (f"{ROOT}/a/b", ("/.well-known/oauth-authorization-server/a/b", "/a/b/.well-known/openid-configuration")),
    ],
)
def test_where_metadata_is(issuer, addresses):
    assert metadata_addresses(issuer) == tuple(f"{ROOT}{address}" for address in addresses)


FETCHABLE = ["https://a", "https://a/", "https://a:8443/b?c=d", "https://[::1]/", "https://10.0.0.1/", "HTTPS://a/"]
LOOPBACK = [
    "http://127.0.0.1/",
    "http://127.1.2.3:8000/o",
    "http://[::1]:80/",
    "http://localhost/",
    "http://LOCALHOST:1",
]
UNFETCHABLE = [
    *(
        "",
        "a",
        "//a/",
        "https:",
        "https://",
        "https:///x",
        "https://a#b",
        "https://a/#",
        "https://u@a/",
        "https://u:p@a/",
    ),
    *(
        "https://a:0/",
        "https://a:99999/",
        "https://a:x/",
        "https://[::1/",
        "https://a b/",
        "https://a/\r\nx",
        "https://a\\b",
    ),
    *(
        "https://é/",
        "https://a/\x00",
        "ftp://a/",
        "file:///etc/passwd",
        "javascript:x",
        "data:,x",
        "https://" + "a" * 3000,
    ),
    *(
        "http://a/",
        "http://127.0.0.1.example.com/",
        "http://localhost.example.com/",
        "http://0x7f000001/",
        "http://2130706433/",
    ),
    *(
        "http://192.168.0.1/",
        "http://169.254.169.254/",
        "http://0.0.0.0/",
        "http://127.0.0.1@a/",
        None,
        5,
        b"https://a",
        ["https://a"],
    ),
]


def test_what_may_be_fetched():
    for address in FETCHABLE:
        assert is_fetchable(address, loopback_http=False), address
    for address in LOOPBACK:
        assert is_fetchable(address, loopback_http=True), address
        assert not is_fetchable(address, loopback_http=False), address
    for address in UNFETCHABLE:
        assert not is_fetchable(address, loopback_http=True), address


def test_an_address_has_at_most_2048_characters():
    address = "https://a/".ljust(2048, "x")
    assert is_fetchable(address, loopback_http=False)
    assert not is_fetchable(f"{address}x", loopback_http=False)


@given(st.text(), st.booleans())
def test_no_text_is_too_much(text, loopback_http):
    for address in (text, f"https://{text}", f"http://127.0.0.1{text}"):
        if is_fetchable(address, loopback_http=loopback_http):
            assert address.isascii()
            assert address.isprintable()
            assert " " not in address
            metadata_addresses(address)


def test_issuer_has_no_query():
    assert is_remote_issuer("https://a/o", loopback_http=False)
    assert not is_remote_issuer("https://a/o?x", loopback_http=False)
    assert not is_remote_issuer(None, loopback_http=False)


def test_metadata_of_this_issuer_alone():
    good = {"issuer": ROOT, "jwks_uri": f"{ROOT}/keys"}
    assert address_in("jwks_uri", good, issuer=ROOT, loopback_http=False) == f"{ROOT}/keys"
    for changes in (
        {"issuer": f"{ROOT}/"},
        {"issuer": ROOT.upper()},
        {"issuer": [ROOT]},
        {"issuer": None},
        {"jwks_uri": "http://localhost/"},
        {"jwks_uri": None},
        {"jwks_uri": [f"{ROOT}/keys"]},
    ):
        with pytest.raises(UnacceptableDocument):
            address_in("jwks_uri", good | changes, issuer=ROOT, loopback_http=False)
    local = good | {"jwks_uri": "http://localhost/keys"}
    assert address_in("jwks_uri", local, issuer=ROOT, loopback_http=True) == "http://localhost/keys"


@given(st.binary())
def test_any_bytes_are_a_document_or_refused(body):
    with suppress(UnacceptableDocument):
        assert type(read_document(body)) is dict


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_what_is_shown_is_short_and_in_one_line(value):
    text = quote(value)
    assert len(text) <= 103
    assert text.isascii()
    assert text.isprintable()
