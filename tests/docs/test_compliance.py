"""The compliance page shows marks and results."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.compliance import (
    Document,
    Outcome,
    Requirement,
    Run,
    main,
    numbers_of,
    page,
    problems_in,
    pytest_collection_modifyitems,
    read_requirements,
    result_of,
)
from tests.compliance_page import PageWriter

from .blocks import ROOT


def requirement(**fields):
    values = {"number": "1-1", "section": "2", "who": "both", "level": "MUST", "text": "A rule."}
    return Requirement(**{**values, **fields})


def run_with(**outcomes):
    run = Run()
    for test, outcome in outcomes.items():
        run.cases[test] = Outcome(outcome)
        run.tests_of["1-1"].add(test)
    return run


class TestRequirements:
    def test_can_be_read(self):
        documents = read_requirements()
        assert [document.name for document in documents][:2] == ["RFC 9068", "RFC 8725"]
        for document in documents:
            for each in document.requirements:
                standard = each.number.partition("-")[0]
                assert document.name in {f"RFC {standard}", standard}
                assert each.who in {"authorization server", "resource server", "both"}
                assert each.level in {"MUST", "SHOULD", ""}
                assert each.text.endswith(".")
                assert not each.left_out or each.left_out.endswith(".")

    def test_number_that_is_there_twice(self, tmp_path):
        line = '[[document.requirement]]\nnumber = "1-1"\nsection = "1"\nwho = "both"\nlevel = ""\ntext = "x"\n'
        (tmp_path / "twice.toml").write_text(f'[[document]]\nname = "RFC 1"\ntitle = "x"\n{line}{line}')
        with pytest.raises(ValueError, match="1-1 more than once"):
            read_requirements(tmp_path / "twice.toml")

    def test_every_mark_of_the_tests_names_one(self):
        known = set(numbers_of(read_requirements()))
        marked = [
            (file.name, node.lineno, ast.literal_eval(argument))
            for file in (ROOT / "tests").rglob("*.py")
            if "mark.compliance" in (text := file.read_text())
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.compliance"
            for argument in node.args
            if isinstance(argument, ast.Constant)
        ]
        assert marked
        assert [mark for mark in marked if mark[2] not in known] == []


class TestResult:
    @pytest.mark.parametrize(
        ("outcomes", "left_out", "result"),
        [
            ({}, "", "not yet"),
            ({}, "a reason", "left for later"),
            ({"a": "passed", "b": "passed"}, "", "passed"),
            ({"a": "passed"}, "a reason", "passed in part"),
            ({"a": "passed", "b": "failed"}, "", "failed"),
            ({"a": "passed", "b": "failed"}, "a reason", "failed"),
            ({"a": "passed", "b": "skipped"}, "", "passed"),
            ({"a": "skipped"}, "", "not run here"),
        ],
    )
    def test_of_a_requirement(self, outcomes, left_out, result):
        assert result_of(requirement(left_out=left_out), run_with(**outcomes)) == result

    @pytest.mark.parametrize("phases", [["passed", "passed", "failed"], ["failed", "passed"], ["passed", "failed"]])
    def test_is_that_of_the_worst_phase(self, phases):
        run = Run()
        for phase in phases:
            run.pytest_runtest_logreport(report(outcome=phase))
        assert run.cases == {"tests/x.py::test_a": Outcome.FAILED}
        assert run.tests_of == {"1-1": {"tests/x.py::test_a"}}

    def test_expected_to_fail_is_not_met(self):
        run = Run()
        run.pytest_runtest_logreport(report(outcome="skipped", wasxfail="not built"))
        assert run.cases == {"tests/x.py::test_a": Outcome.FAILED}

    def test_of_other_tests_is_left_out(self):
        run = Run()
        run.pytest_runtest_logreport(report(outcome="failed", user_properties=[]))
        assert not run.cases


def report(**fields):
    values = {"nodeid": "tests/x.py::test_a", "when": "call", "user_properties": [("compliance", ["1-1"])]}
    return pytest.TestReport(
        **{"location": ("tests/x.py", 1, "test_a"), "keywords": {}, "longrepr": None, **values, **fields}
    )


class TestPage:
    def written(self, run, **fields):
        documents = [Document(name="RFC 1", title="A title", requirements=(requirement(**fields),))]
        return page(documents, run, {"Python": "3.14"})

    def test_shows_the_tests_under_their_requirement(self):
        text = self.written(
            run_with(**{"t.py::test_a": "passed", "t.py::test_b[1]": "passed", "t.py::test_b[`]": "failed"})
        )
        assert "(requirement-1-1)=\n### 1-1: failed\n\n*RFC 1 section 2, both, MUST.* A rule.\n" in text
        assert "- `t.py::test_a`: passed\n- `t.py::test_b`: 1 passed, 1 failed\n  - `t.py::test_b[']`\n" in text
        assert "| failed | 1 |" in text

    def test_says_why_something_is_left_out(self):
        assert "### 1-1: left for later\n" in (text := self.written(Run(), left_out="There is a reason."))
        assert "Left for later: There is a reason.\n" in text

    def test_names_files_that_could_not_be_read(self):
        run = run_with(a="passed")
        assert "could not be read" not in self.written(run)
        run.unreadable.add("tests/broken.py")
        assert "`tests/broken.py`" in self.written(run)


class TestCommand:
    @pytest.mark.ci
    def test_writes_the_page_in_spite_of_failing_and_broken_tests(self, tmp_path):
        (tmp_path / "test_results.py").write_text(
            "import pytest\n"
            "@pytest.mark.compliance('9068-1', '9068-2')\n"
            "def test_good(): pass\n"
            "@pytest.mark.compliance('9068-2')\n"
            "@pytest.mark.parametrize('value', [1, 2])\n"
            "def test_bad(value): assert value == 1\n"
            "def test_unmarked(): raise AssertionError\n"
        )
        (tmp_path / "test_broken.py").write_text("import nothing_like_it\n")
        done = subprocess.run(
            [sys.executable, "-m", "tests.compliance", str(tmp_path / "page.md"), str(tmp_path)],
            cwd=ROOT,
            # One process more is enough for so few tests.
            env=os.environ | {"PYTEST_XDIST_AUTO_NUM_WORKERS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        text = (tmp_path / "page.md").read_text()
        assert "### 9068-1: passed\n" in text
        assert "### 9068-2: failed\n" in text
        assert "test_bad`: 1 passed, 1 failed\n" in text
        assert "test_unmarked" not in text
        assert "test_broken.py`" in text

    def test_refuses_a_number_that_is_not_a_requirement(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(
            "tests.compliance.run_marked_tests", lambda _tests: run_with(**{"t.py::test_a[1]": "passed"})
        )
        assert main([str(tmp_path / "page.md")]) == 1
        assert "t.py::test_a is marked with 1-1, which is in no line of" in capsys.readouterr().err
        assert not (tmp_path / "page.md").exists()

    def test_does_not_write_a_page_of_nothing(self, tmp_path, monkeypatch):
        monkeypatch.setattr(pytest, "main", lambda *_arguments, **_options: pytest.ExitCode.USAGE_ERROR)
        with pytest.raises(RuntimeError, match=r"no marked test .exit status 4"):
            main([str(tmp_path / "page.md")])
        assert not (tmp_path / "page.md").exists()


class TestPageOfAnOrdinaryRun:
    @pytest.mark.ci
    def test_has_the_marked_tests_of_a_run_of_all(self, tmp_path):
        (tmp_path / "test_results.py").write_text(
            "import pytest\n"
            "@pytest.mark.compliance('9068-1')\n"
            "def test_good(): pass\n"
            "def test_unmarked(): raise AssertionError\n"
        )
        plugin = ["-p", "tests.compliance_page", "--compliance-page", str(tmp_path / "page.md")]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "--numprocesses=1", "-p", "no:cacheprovider", *plugin, str(tmp_path)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "1 failed, 1 passed" in done.stdout.splitlines()[-1]
        text = (tmp_path / "page.md").read_text()
        assert "### 9068-1: passed\n" in text
        assert "test_unmarked" not in text

    def test_fails_a_run_with_a_number_that_is_not_a_requirement(self, tmp_path, capsys):
        writer = PageWriter(tmp_path / "page.md")
        writer.cases["t.py::test_a"] = Outcome.PASSED
        writer.tests_of["1-1"].add("t.py::test_a")
        session = SimpleNamespace(exitstatus=pytest.ExitCode.OK)
        writer.pytest_sessionfinish(session)
        assert session.exitstatus == pytest.ExitCode.TESTS_FAILED
        assert "t.py::test_a is marked with 1-1" in capsys.readouterr().out
        assert not (tmp_path / "page.md").exists()


class TestSelection:
    def test_keeps_the_marked_tests_with_their_numbers(self):
        items = [
            SimpleNamespace(iter_markers=lambda _name, marks=marks: iter(marks), user_properties=[])
            for marks in (
                [pytest.mark.compliance("9068-1", "9068-2").mark, pytest.mark.compliance("9068-3").mark],
                [],
                [pytest.mark.compliance.mark],
            )
        ]
        both, unmarked, empty = items
        deselected = []

        def pytest_deselected(items):
            deselected.extend(items)

        hook = SimpleNamespace(pytest_deselected=pytest_deselected)
        pytest_collection_modifyitems(SimpleNamespace(hook=hook), items)
        assert items == [both, empty]
        assert deselected == [unmarked]
        assert both.user_properties == [("compliance", ["9068-1", "9068-2", "9068-3"])]
        # A mark without a number counts as one with an unknown number.
        assert empty.user_properties == [("compliance", ["(no number)"])]


def test_problems_are_named_once_for_each_number():
    run = run_with(**{"t.py::a[1]": "passed", "t.py::a[2]": "passed"})
    assert problems_in(run, {"1-1"}) == []
    assert problems_in(run, set()) == [
        "t.py::a is marked with 1-1, which is in no line of compliance_requirements.toml"
    ]
