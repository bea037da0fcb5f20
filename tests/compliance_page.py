"""A pytest plugin that writes the compliance page after a run of all tests, so that none has to run for the page alone.

``pytest -p tests.compliance_page`` writes it to ``docs/reference/compliance.md``, and fails if a mark has a number that
is not in ``compliance_requirements.toml``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .compliance import ROOT, Run, add_numbers, write_page

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "reference" / "compliance.md"


class PageWriter(Run):
    """The results of the run, and the page that they go to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self._page = page

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the page, or report the numbers that are in no line."""
        problems = write_page(self, self._page)
        if problems:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            print("", *problems, sep="\n")  # noqa: T201 - a plugin's way to the terminal


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for another file."""
    parser.addoption("--compliance-page", default=PAGE, help="the Markdown file to write")


def pytest_configure(config: pytest.Config) -> None:
    """Collect the results in the process that has them all."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(PageWriter(ROOT / config.getoption("--compliance-page")))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Add the numbers to the reports, also in the processes of xdist."""
    add_numbers(items)
