"""pytest fixtures: put ``pytest_plugins = ["django_at_jwt.testing.fixtures"]`` into a ``conftest.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .issuer import TEST_SERVER, InMemoryIssuer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .client import AccessTokenClient


@pytest.fixture
def access_token_issuer() -> Iterator[InMemoryIssuer]:
    """Yield an issuer whose tokens the project accepts during the test. Its other keys are not accepted."""
    with InMemoryIssuer().installed() as issuer:
        yield issuer


@pytest.fixture(scope="session")
def issuing_project() -> Iterator[InMemoryIssuer]:
    """Make the project's own endpoints issue tokens in all tests, with a key in memory, for ``http://testserver/``."""
    with InMemoryIssuer(audience=TEST_SERVER).issuing() as issuer:
        yield issuer


@pytest.fixture
def access_token_client(access_token_issuer: InMemoryIssuer) -> AccessTokenClient:
    """Return a client that sends a token; ``carry(scope="read")`` replaces it."""
    from .client import AccessTokenClient  # noqa: PLC0415 - it needs Django REST framework

    return AccessTokenClient(access_token_issuer)
