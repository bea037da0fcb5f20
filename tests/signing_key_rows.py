"""Find the rows of signing keys that are in a state."""

from __future__ import annotations

from django.utils import timezone

from django_at_jwt.models import SigningKey


def keys_in(state, now=None):
    now = now or timezone.now()
    return [key for key in SigningKey.objects.order_by("signing_at") if key.state_at(now) is state]


def key_in(state, now=None):
    """Return the first of them."""
    return keys_in(state, now)[0]
