"""Test tools for an API: an in-memory issuer, a test client with tokens, and tokens that must be rejected.

They need no network, no database and no django-oauth-toolkit. ``django_at_jwt.testing.fixtures`` has pytest fixtures.
"""

from .client import AccessTokenClient
from .hostile import HOSTILE_TOKENS, hostile_token
from .issuer import InMemoryIssuer

__all__ = ["HOSTILE_TOKENS", "AccessTokenClient", "InMemoryIssuer", "hostile_token"]
