"""Find the rows of signing keys that are in a state, and let time pass for them."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F
from django.utils import timezone

from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.models import SigningKey


def keys_in(state, now=None):
    now = now or timezone.now()
    return [key for key in SigningKey.objects.order_by("signing_at") if key.state_at(now) is state]


def key_in(state, now=None):
    """Return the first of them."""
    return keys_in(state, now)[0]


def let_time_pass(**duration):
    """Move the instants of all keys into the past."""
    instants = ("announced_at", "signing_at", "retained_at", "retired_at")
    SigningKey.objects.update(**{name: F(name) - timedelta(**duration) for name in instants})
    key_store.forget()
