"""For the tests of an API: an issuer in this process, a client that carries its tokens, and tokens to be refused.

It needs no network, no database, no table and no django-oauth-toolkit. ``django_at_jwt.testing.fixtures`` has it as
pytest fixtures.
"""

from .client import AccessTokenClient
from .hostile import HOSTILE_TOKENS, hostile_token
from .issuer import InMemoryIssuer

__all__ = ["HOSTILE_TOKENS", "AccessTokenClient", "InMemoryIssuer", "hostile_token"]
