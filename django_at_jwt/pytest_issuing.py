"""A pytest plugin for a project that issues tokens: ``-p django_at_jwt.pytest_issuing`` applies it to all tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .testing import InMemoryIssuer


@pytest.fixture(scope="session", autouse=True)
def issuing_project() -> Iterator[InMemoryIssuer]:
    """Make the project's own endpoints issue tokens in all tests, with a key in memory, for ``http://testserver/``."""
    # pytest loads plugins before the settings are configured.
    from .testing.issuer import TEST_SERVER, InMemoryIssuer  # noqa: PLC0415

    with InMemoryIssuer(audience=TEST_SERVER).issuing() as issuer:
        yield issuer
