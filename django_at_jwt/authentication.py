"""What a site needs that records logins in a way of its own."""

from __future__ import annotations

from django_at_jwt.core.authentication import AuthenticationEvent

__all__ = ["AuthenticationEvent"]
