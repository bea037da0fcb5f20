"""Fixtures of an API that accepts the tokens of a remote issuer."""

from __future__ import annotations

import time

import pytest
from django.core.cache import caches

from tests.resource_server.remote.issuer_process import running_issuer


@pytest.fixture
def issuer():
    with running_issuer() as issuer:
        yield issuer


@pytest.fixture
def api(settings, issuer):
    """Configure this project as an API that accepts only the remote issuer, with a long timeout for slow machines."""
    settings.DEBUG = True
    settings.OAUTH2_PROVIDER = {}
    # A slow machine must not make the issuer or the cache count as slow.
    settings.AT_JWT = {"ISSUERS": issuer.settings(), "ISSUER_TIMEOUT": 60}
    caches["default"].clear()
    yield settings
    caches["default"].clear()


class Clock:
    """Fakes of both clocks of this process, which only advance together."""

    def __init__(self, monkeypatch):
        self.ahead = 0.0
        wall, monotonic = time.time(), time.monotonic()
        monkeypatch.setattr(time, "time", lambda: wall + self.ahead)
        monkeypatch.setattr(time, "monotonic", lambda: monotonic + self.ahead)

    def pass_by(self, seconds):
        self.ahead += seconds


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)
