"""The source of the local issuer's keys: the key store, unless ``LOCAL_KEY_RING`` names another object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.module_loading import import_string

from django_at_jwt.conf import app_settings

if TYPE_CHECKING:
    from django_at_jwt.core.verifier import KeySource


def local_keys() -> KeySource:
    """Return the object whose key ring signs and verifies the local issuer's tokens."""
    source: KeySource = import_string(app_settings().local_key_ring)
    return source
