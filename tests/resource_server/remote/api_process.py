"""This process as an API: requests to its view, why it rejects a token, and its memory."""

from __future__ import annotations

import pytest
from django.core.cache import caches

from django_at_jwt.conf import clear_process_caches
from django_at_jwt.core.errors import TokenRejected
from django_at_jwt.resource_server.verification import verify_token


def reason(token, **options):
    """Return why a token is rejected; fail if it is accepted."""
    with pytest.raises(TokenRejected) as rejected:
        verify_token(token, **options)
    return rejected.value.reason


def new_worker():
    """Clear this process's memory but not the shared cache, as in another process."""
    clear_process_caches()


def get(client, token, address="/whoami/"):
    """Return the response to a request with a token."""
    return client.get(address, headers={"Authorization": f"Bearer {token}"})


def cache_keys():
    """Return the names of the entries in the shared cache, without Django's prefix."""
    return [key.split(":", 2)[2] for key in caches["default"]._cache]
