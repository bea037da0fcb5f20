"""Fixtures of tests with a remote issuer."""

from __future__ import annotations

import pytest

from .published_revocations import Remote


@pytest.fixture
def remote(api, issuer, clock):
    return Remote(issuer, api)
