"""What an API decides about a token, as one word."""

from __future__ import annotations

from django_at_jwt.core.errors import RevocationUnavailable, TokenRejected
from django_at_jwt.resource_server.verification import verify_token


def verdict_on(token, audience=None):
    """Return ``accepted``, ``unavailable``, or the reason of a rejection."""
    try:
        verify_token(token, audience)
    except TokenRejected as rejected:
        return str(rejected.reason)
    except RevocationUnavailable:
        return "unavailable"
    return "accepted"
