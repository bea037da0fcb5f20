"""SCIM's multi-valued attributes, used in tokens for roles, groups and entitlements (RFC 7643 section 4.1.2)."""

from __future__ import annotations


def values_of(attribute: object) -> frozenset[str]:
    """Return the values of a claim such as ``roles`` (RFC 9068 section 2.2.3.1).

    The claim is a list of strings, or of objects with the string in ``value``. Anything else has no values: a single
    string is not treated as a list of one, since some issuers join several values in it.
    """
    if not isinstance(attribute, list):
        return frozenset()
    entries = (entry.get("value") if isinstance(entry, dict) else entry for entry in attribute)
    return frozenset(entry for entry in entries if isinstance(entry, str))
