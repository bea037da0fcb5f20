"""A test runner for a project that issues tokens."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ClassVar, Final

import django
from django.conf import settings
from django.test import override_settings
from django.test.runner import DiscoverRunner, ParallelTestSuite

from django_at_jwt.checks.ids import CheckId

from .issuer import TEST_SERVER, InMemoryIssuer

if TYPE_CHECKING:
    import unittest


# Never closed: a worker runs tests until it ends.
_of_worker: Final = ExitStack()


def _install_in_worker(resource: str) -> None:
    """Install the issuer for the rest of a process that was spawned. One that was forked has it already."""
    django.setup()
    _of_worker.enter_context(InMemoryIssuer(audience=resource).issuing())


class _IssuingSuite(ParallelTestSuite):
    process_setup = _install_in_worker


class IssuingRunner(DiscoverRunner):
    """Make the project's own endpoints issue tokens in all tests, with a key in memory.

    Name it in the settings of the tests: ``TEST_RUNNER = "django_at_jwt.testing.IssuingRunner"``.

    With ``--parallel``, a process that is spawned instead of forked, as on macOS, has its own key.

    Attributes:
        issuing_resource: the default resource.
    """

    issuing_resource: ClassVar[str] = TEST_SERVER
    parallel_test_suite = _IssuingSuite

    def run_checks(self, databases: Any) -> None:
        """Run the system checks, without the warning that the test database has no signing key."""
        silenced = [*settings.SILENCED_SYSTEM_CHECKS, CheckId.NO_SIGNING_KEY]
        with override_settings(SILENCED_SYSTEM_CHECKS=silenced):
            super().run_checks(databases)

    def run_suite(self, suite: unittest.TestSuite, **kwargs: Any) -> Any:
        """Run the tests while the issuer is installed."""
        if isinstance(suite, _IssuingSuite):
            suite.process_setup_args = (self.issuing_resource,)
        with InMemoryIssuer(audience=self.issuing_resource).issuing():
            return super().run_suite(suite, **kwargs)
