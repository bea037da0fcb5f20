"""The test kit as pytest fixtures: ``pytest_plugins = ["django_at_jwt.testing.fixtures"]`` in a ``conftest.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .client import AccessTokenClient
from .issuer import InMemoryIssuer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def access_token_issuer() -> Iterator[InMemoryIssuer]:
    """Give an issuer whose tokens the project accepts during the test, and no others of that issuer."""
    with InMemoryIssuer().installed() as issuer:
        yield issuer


@pytest.fixture
def access_token_client(access_token_issuer: InMemoryIssuer) -> AccessTokenClient:
    """Give a client that carries a token; ``carry(scope="read")`` gives it another one."""
    return AccessTokenClient(access_token_issuer)
