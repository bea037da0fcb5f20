"""Which IP addresses count as public: those of no special use (RFC 6890)."""

from __future__ import annotations

import pytest

from django_at_jwt.core.addresses import is_loopback_host, is_public_address

SPECIAL = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::7f00:1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.compliance("CIMD-1")
@pytest.mark.parametrize("address", SPECIAL)
def test_special_address_is_not_public(address):
    assert not is_public_address(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "192.0.1.1", "2606:4700::1111", "2a00:1450::1", "64:ff9b::8.8.8.8"])
def test_other_address_is_public(address):
    assert is_public_address(address)


@pytest.mark.parametrize("text", ["", "localhost.example", "8.8.8", "8.8.8.8.", "0x7f000001", "2130706433"])
def test_text_that_is_not_an_address(text):
    assert not is_public_address(text)
    assert not is_loopback_host(text)


def test_loopback_hosts():
    assert is_loopback_host("localhost")
    assert is_loopback_host("127.0.0.1")
    assert is_loopback_host("::1")
    assert not is_loopback_host("10.0.0.1")
