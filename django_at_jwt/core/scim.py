"""The multi-valued attributes of SCIM, in which tokens carry roles, groups and entitlements (RFC 7643 §4.1.2)."""

from __future__ import annotations


def values_of(attribute: object) -> frozenset[str]:
    """Give the values of a claim such as ``roles`` (RFC 9068 §2.2.3.1).

    It is a list whose entries are strings, or objects with the string in ``value``. Whatever is not of that shape has
    no values: a single string is not taken for a list of one, since some issuers put several into it.
    """
    if not isinstance(attribute, list):
        return frozenset()
    entries = (entry.get("value") if isinstance(entry, dict) else entry for entry in attribute)
    return frozenset(entry for entry in entries if isinstance(entry, str))
