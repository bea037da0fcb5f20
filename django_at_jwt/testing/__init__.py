"""Test tools: an in-memory issuer, a client with tokens, tokens that must be rejected, a test case mixin and a runner.

They need no network, no database and no django-oauth-toolkit. ``django_at_jwt.testing.fixtures`` has pytest fixtures.
"""

from typing import TYPE_CHECKING, Any

from .hostile import HOSTILE_TOKENS, hostile_token
from .issuer import InMemoryIssuer
from .runner import IssuingRunner
from .test_case import IssuingProjectMixin

if TYPE_CHECKING:
    from .client import AccessTokenClient

__all__ = [
    "HOSTILE_TOKENS",
    "AccessTokenClient",
    "InMemoryIssuer",
    "IssuingProjectMixin",
    "IssuingRunner",
    "hostile_token",
]


def __getattr__(name: str) -> Any:
    # The client needs Django REST framework, which a site that only issues tokens may not have.
    if name == "AccessTokenClient":
        from .client import AccessTokenClient  # noqa: PLC0415

        return AccessTokenClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
