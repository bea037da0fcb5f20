"""Fixtures of tests that run commands."""

from __future__ import annotations

import threading

import pytest
from django.db import connections


@pytest.fixture
def connection_of_the_test(monkeypatch):
    # A command closes the connections at its end, and with them the transaction of the test. Threads close their own.
    close_all, tests = connections.close_all, threading.current_thread()
    monkeypatch.setattr(connections, "close_all", lambda: threading.current_thread() is tests or close_all())
