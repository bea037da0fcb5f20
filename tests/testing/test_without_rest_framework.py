"""``django_at_jwt.testing`` in a site without Django REST framework, which may issue tokens all the same."""

from __future__ import annotations

import subprocess
import sys

import pytest

WITHOUT = """
import sys
sys.modules["rest_framework"] = None
import django_at_jwt.pytest_issuing
from django.conf import settings
settings.configure()
from django_at_jwt.testing import HOSTILE_TOKENS, InMemoryIssuer, IssuingProjectMixin
import django_at_jwt.testing.fixtures
import django_at_jwt.testing
try:
    django_at_jwt.testing.AccessTokenClient
except ImportError as error:
    print(error.name)
"""


def test_only_the_client_needs_it():
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip().startswith("rest_framework")


def test_unknown_name_is_an_attribute_error():
    import django_at_jwt.testing

    with pytest.raises(AttributeError, match="has no attribute 'Client'"):
        django_at_jwt.testing.Client  # noqa: B018
