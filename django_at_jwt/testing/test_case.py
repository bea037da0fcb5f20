"""A mixin for test cases of a project that issues tokens."""

from __future__ import annotations

import unittest
from typing import ClassVar

from .issuer import TEST_SERVER, InMemoryIssuer


class IssuingProjectMixin(unittest.TestCase):
    """Make the project's own endpoints issue tokens in the tests of a class, with a key in memory.

    Put it before Django's class: ``class OrdersTest(IssuingProjectMixin, TestCase)``.

    Attributes:
        issuer: the issuer of the tokens.
        issuing_resource: the default resource.
    """

    issuer: ClassVar[InMemoryIssuer]
    issuing_resource: ClassVar[str] = TEST_SERVER

    @classmethod
    def setUpClass(cls) -> None:
        """Install the issuer before ``setUpTestData()``."""
        cls.issuer = cls.enterClassContext(InMemoryIssuer(audience=cls.issuing_resource).issuing())
        super().setUpClass()
