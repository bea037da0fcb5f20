"""Test tools: an in-memory issuer, a test client with tokens, tokens that must be rejected, and a test case mixin.

They need no network, no database and no django-oauth-toolkit. ``django_at_jwt.testing.fixtures`` has pytest fixtures.
"""

from .client import AccessTokenClient
from .hostile import HOSTILE_TOKENS, hostile_token
from .issuer import InMemoryIssuer
from .test_case import IssuingProjectMixin

__all__ = ["HOSTILE_TOKENS", "AccessTokenClient", "InMemoryIssuer", "IssuingProjectMixin", "hostile_token"]
