"""Preset mappers as data, to be added and then adapted by the site.

The claims of ``profile`` and ``email`` have their registered names and are sent with the scopes of OpenID Connect Core
section 5.4. ``groups``, ``roles`` and ``entitlements`` follow RFC 7643 section 4.1.2 (RFC 9068 section 2.2.3.1).
"""

from __future__ import annotations

from typing import Any, Final

_FOR_PROFILE: Final = {"tokens_for": "users", "scopes": ["profile"]}
_FOR_EMAIL: Final = {"tokens_for": "users", "scopes": ["email"]}
_FOR_USERS: Final = {"tokens_for": "users"}
_AS_VALUES: Final = {"kind": "wrap", "member": "value"}

READY_MADE: Final[dict[str, tuple[dict[str, Any], ...]]] = {
    "profile": (
        {
            "name": "profile: name",
            "claim": "name",
            "source": {"kind": "template", "text": "{user:first_name} {user:last_name}"},
            "conditions": _FOR_PROFILE,
        },
        {
            "name": "profile: given name",
            "claim": "given_name",
            "source": {"kind": "user", "path": "first_name"},
            "conditions": _FOR_PROFILE,
        },
        {
            "name": "profile: family name",
            "claim": "family_name",
            "source": {"kind": "user", "path": "last_name"},
            "conditions": _FOR_PROFILE,
        },
    ),
    "email": (
        {
            "name": "email",
            "claim": "email",
            "source": {"kind": "user", "path": "email"},
            "conditions": _FOR_EMAIL,
        },
    ),
    "groups": (
        {
            "name": "groups",
            "claim": "groups",
            "source": {"kind": "groups"},
            "transforms": [_AS_VALUES],
            "type": "objects",
            "conditions": _FOR_USERS,
        },
    ),
    # Django has no roles; many sites use groups with a naming convention instead.
    "roles": (
        {
            "name": "roles",
            "claim": "roles",
            "source": {"kind": "groups"},
            "transforms": [
                {"kind": "filter", "patterns": ["role-*"]},
                {"kind": "strip", "prefix": "role-"},
                _AS_VALUES,
            ],
            "type": "objects",
            "conditions": _FOR_USERS,
        },
    ),
    "entitlements": (
        {
            "name": "entitlements",
            "claim": "entitlements",
            "source": {"kind": "permissions"},
            "transforms": [_AS_VALUES],
            "type": "objects",
            "conditions": _FOR_USERS,
        },
    ),
}
