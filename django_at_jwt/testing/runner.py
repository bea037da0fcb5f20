"""A test runner for a project that issues tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.test.runner import DiscoverRunner

from .issuer import TEST_SERVER, InMemoryIssuer

if TYPE_CHECKING:
    import unittest


class IssuingRunner(DiscoverRunner):
    """Make the project's own endpoints issue tokens in all tests, with a key in memory.

    Name it in the settings of the tests: ``TEST_RUNNER = "django_at_jwt.testing.IssuingRunner"``.

    Attributes:
        issuing_resource: the default resource.
    """

    issuing_resource: ClassVar[str] = TEST_SERVER

    def run_suite(self, suite: unittest.TestSuite, **kwargs: Any) -> Any:
        """Run the tests while the issuer is installed."""
        with InMemoryIssuer(audience=self.issuing_resource).issuing():
            return super().run_suite(suite, **kwargs)
