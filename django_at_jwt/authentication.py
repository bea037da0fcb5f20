"""What a site needs that records logins in a way of its own."""

from __future__ import annotations

from .core.authentication import AuthenticationEvent

__all__ = ["AuthenticationEvent"]
