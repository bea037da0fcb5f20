"""The compliance page: each requirement, the tests that show it, and their results.

``python -m tests.compliance docs/reference/compliance.md`` runs the tests that are marked with
``@pytest.mark.compliance("9068-24", ...)`` and writes the page in Markdown. It reports failing tests as failed. It
writes no page if a mark has a number that is not in ``compliance_requirements.toml``.
"""

from __future__ import annotations

import argparse
import platform
import sys
import tomllib
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import version
from itertools import compress
from operator import not_
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

ROOT: Final = Path(__file__).parent.parent
REQUIREMENTS: Final = Path(__file__).with_name("compliance_requirements.toml")
MARK: Final = "compliance"
_NO_NUMBER: Final = "(no number)"
_SHOWN_VERSIONS: Final = ("django", "django-oauth-toolkit", "oauthlib", "djangorestframework", "jwcrypto")


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """An entry of ``compliance_requirements.toml``, which describes the fields."""

    number: str
    section: str
    who: str
    level: str
    text: str
    left_out: str = ""


@dataclass(frozen=True, kw_only=True)
class Document:
    """A standard and the requirements taken from it."""

    name: str
    title: str
    requirements: tuple[Requirement, ...]


def read_requirements(path: Path = REQUIREMENTS) -> tuple[Document, ...]:
    """Read the requirements in the order of the file.

    Raises:
        ValueError: a number occurs twice.
    """
    documents = tuple(
        Document(
            name=entry["name"],
            title=entry["title"],
            requirements=tuple(Requirement(**line) for line in entry["requirement"]),
        )
        for entry in tomllib.loads(path.read_text())["document"]
    )
    repeated = [number for number, count in Counter(numbers_of(documents)).items() if count > 1]
    if repeated:
        raise ValueError(f"{path.name} has {', '.join(repeated)} more than once")
    return documents


def numbers_of(documents: Iterable[Document]) -> Iterator[str]:
    """Return the numbers of all requirements."""
    return (requirement.number for document in documents for requirement in document.requirements)


class Outcome(StrEnum):
    """The result of a test, worst first."""

    FAILED = "failed"
    SKIPPED = "skipped"
    PASSED = "passed"


@dataclass(eq=False)
class Run:
    """The results of a run of the marked tests, collected as a pytest plugin of the main process."""

    cases: dict[str, Outcome] = field(default_factory=dict)
    tests_of: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    unreadable: set[str] = field(default_factory=set)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record one phase of one test: the worst phase counts."""
        numbers = dict(report.user_properties).get(MARK)
        if not isinstance(numbers, (list, tuple)):
            return
        for number in numbers:
            self.tests_of[number].add(report.nodeid)
        # An expected failure is reported as skipped, but the requirement is not met.
        expected_to_fail = hasattr(report, "wasxfail")
        outcome = Outcome.FAILED if expected_to_fail else Outcome(report.outcome)
        before = self.cases.get(report.nodeid, Outcome.PASSED)
        self.cases[report.nodeid] = min(before, outcome, key=list(Outcome).index)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record files that could not be imported, whose marks are unknown."""
        if report.failed:
            self.unreadable.add(report.nodeid)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Select the marked tests, and add the numbers to their reports, also in the processes of xdist."""
    add_numbers(items)
    is_marked = [any(name == MARK for name, _ in item.user_properties) for item in items]
    config.hook.pytest_deselected(items=list(compress(items, map(not_, is_marked))))
    items[:] = compress(items, is_marked)


def add_numbers(items: Iterable[pytest.Item]) -> None:
    """Add the numbers of the marks to the reports of the tests."""
    for item in items:
        numbers = [str(number) for mark in item.iter_markers(MARK) for number in mark.args or (_NO_NUMBER,)]
        if numbers:
            item.user_properties.append((MARK, numbers))


def run_marked_tests(paths: Sequence[str] = ()) -> Run:
    """Run the marked tests and return the results.

    Args:
        paths: files and folders with tests; all tests by default.

    Raises:
        RuntimeError: pytest could not run any, and has printed why.
    """
    run = Run()
    options = [
        f"--config-file={ROOT / 'pyproject.toml'}",
        f"--rootdir={ROOT}",
        "--continue-on-collection-errors",
        "--numprocesses=auto",
        "--quiet",
        "--tb=no",
        "-r",
        "N",
        # As a plugin in each process, this module selects the same tests in the same order.
        "-p",
        "tests.compliance",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
    ]
    status = pytest.main([*options, *(paths or [str(ROOT / "tests")])], plugins=[run])
    if not run.cases:
        raise RuntimeError(f"pytest ran no marked test (exit status {int(status)})")
    return run


def problems_in(run: Run, known: Collection[str]) -> list[str]:
    """Return a sentence for each marked number without a requirement."""
    return [
        f"{_without_case(test)} is marked with {number}, which is in no line of {REQUIREMENTS.name}"
        for number in sorted(run.tests_of.keys() - set(known))
        for test in sorted(run.tests_of[number])[:1]
    ]


def result_of(requirement: Requirement, run: Run) -> str:
    """Return the state of a requirement in a word or two."""
    outcomes = {run.cases[case] for case in run.tests_of.get(requirement.number, ())}
    if not outcomes:
        return "left for later" if requirement.left_out else "not yet"
    worst = "failed" if Outcome.FAILED in outcomes else "passed" if Outcome.PASSED in outcomes else "not run here"
    return f"{worst} in part" if worst == "passed" and requirement.left_out else worst


def page(documents: Sequence[Document], run: Run, versions: Mapping[str, str]) -> str:
    """Write the page in Markdown (MyST)."""
    requirements = [requirement for document in documents for requirement in document.requirements]
    counts = Counter(result_of(requirement, run) for requirement in requirements)
    lines = [
        "<!-- Written by: python -m tests.compliance docs/reference/compliance.md -->",
        "",
        "# Compliance",
        "",
        "The requirements of the standards that can be observed from outside, with the tests that show them and their",
        f"results in one run, with {', '.join(f'{name} {number}' for name, number in versions.items())}.",
        "",
        "| Requirements | Count |",
        "| --- | --- |",
        *(f"| {result} | {count} |" for result, count in sorted(counts.items(), key=lambda each: -each[1])),
        "",
        "*Passed in part*: the tests pass, and the text says what they do not cover. *Left for later*: not tested, for",
        "the given reason. *Not yet*: neither tested nor explained.",
        "",
    ]
    if run.unreadable:
        lines += ["```{warning}", "These files could not be read, so their tests are missing:"]
        lines += [f"`{_as_code(name)}`" for name in sorted(run.unreadable)]
        lines += ["```", ""]
    for document in documents:
        lines += [f"## {document.name}: {document.title}", ""]
        for requirement in document.requirements:
            lines += _about(requirement, document, run)
    return "\n".join(lines)


def _about(requirement: Requirement, document: Document, run: Run) -> Iterator[str]:
    duty = f"{requirement.who}, {requirement.level}" if requirement.level else requirement.who
    yield from (f"(requirement-{requirement.number})=", f"### {requirement.number}: {result_of(requirement, run)}", "")
    yield from (f"*{document.name} section {requirement.section}, {duty}.* {requirement.text}", "")
    if requirement.left_out:
        yield from (f"Left for later: {requirement.left_out}", "")
    tests: dict[str, list[str]] = defaultdict(list)
    for case in sorted(run.tests_of.get(requirement.number, ())):
        tests[_without_case(case)].append(case)
    for test, cases in tests.items():
        yield f"- `{_as_code(test)}`: {_said_of(cases, run)}"
        yield from (f"  - `{_as_code(case)}`" for case in cases if run.cases[case] is Outcome.FAILED and case != test)
    if tests:
        yield ""


def _said_of(cases: Sequence[str], run: Run) -> str:
    """Return the results of the cases of one test: ``passed``, ``passed (12 cases)`` or ``11 passed, 1 failed``."""
    counts = Counter(run.cases[case] for case in cases)
    if len(counts) > 1:
        return ", ".join(f"{counts[outcome]} {outcome}" for outcome in reversed(Outcome) if counts[outcome])
    [outcome] = counts
    return f"{outcome} ({len(cases)} cases)" if len(cases) > 1 else outcome.value


def _without_case(node: str) -> str:
    return node.partition("[")[0]


def _as_code(text: str) -> str:
    # The name of a case contains its values, which may be any text. pytest escapes unprintable characters.
    return text.replace("`", "'")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.compliance", description="Write the compliance page.")
    parser.add_argument("page", type=Path, help="the Markdown file to write")
    parser.add_argument("tests", nargs="*", help="files and folders with marked tests; all of tests/ by default")
    options = parser.parse_args(arguments)
    problems = write_page(run_marked_tests(options.tests), options.page)
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    return 1 if problems else 0


def write_page(run: Run, path: Path) -> list[str]:
    """Write the page and print a summary, or return a sentence for each marked number without a requirement."""
    documents = read_requirements()
    problems = problems_in(run, set(numbers_of(documents)))
    if not problems:
        versions = {"Python": platform.python_version(), **{name: version(name) for name in _SHOWN_VERSIONS}}
        path.write_text(page(documents, run, versions))
        results = Counter(result_of(each, run) for document in documents for each in document.requirements)
        sys.stdout.write(f"{path}: {', '.join(f'{count} {result}' for result, count in results.items())}\n")
    return problems


if __name__ == "__main__":
    sys.exit(main())
