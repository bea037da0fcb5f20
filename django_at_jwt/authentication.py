"""The public API for sites that record logins themselves (``AT_JWT["AUTHENTICATION_EVENT"]``)."""

from __future__ import annotations

from django_at_jwt.core.login import AuthenticationEvent

__all__ = ["AuthenticationEvent"]
