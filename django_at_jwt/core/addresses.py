"""Hosts and IP addresses in URLs: loopback, public, or of another special use (RFC 6890)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

# All global unicast addresses.
_UNICAST: Final = IPv6Network("2000::/3")
# Used by IPv6-only networks to reach an IPv4 address, which is in the last 32 bits (RFC 6052).
_NAT64: Final = IPv6Network("64:ff9b::/96")
# Special addresses that some versions of Python report as global. Of these, 6to4 contains an IPv4 address.
_SPECIAL: Final = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("2001::/23"),
    IPv6Network("2002::/16"),
    IPv6Network("3fff::/20"),
)


def is_public_address(text: str) -> bool:
    """Return whether an IP address is public: not private, loopback, link-local or of another special use."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address in _NAT64:
        address = IPv4Address(int(address) & 0xFFFFFFFF)
    if isinstance(address, IPv6Address) and address not in _UNICAST:
        return False
    special = any(address in network for network in _SPECIAL if network.version == address.version)
    return address.is_global and not address.is_multicast and not special


def is_loopback_host(host: str) -> bool:
    """Return whether the host of a URL is ``localhost`` or an IP address of this machine's loopback interface."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
