"""What a release says in several places is the same in each."""

from __future__ import annotations

import re
import tomllib

import django_at_jwt

from .blocks import CHANGELOG, CONTRIBUTING, DOCS, README, ROOT, table_rows

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WORKFLOW = (ROOT / ".github" / "workflows" / "release.yml").read_text()
SUPPORTED = {row[0]: row[1].split(", ") for row in table_rows(DOCS / "reference" / "stability.md", columns=3)}


def classified(prefix):
    pattern = re.compile(rf"{prefix} :: (\d+\.\d+)")
    return [match[1] for each in PYPROJECT["project"]["classifiers"] if (match := pattern.fullmatch(each))]


def test_changelog_and_upgrade_notes_have_a_section_for_the_version():
    released = re.findall(r"^## (\S+) \(\d{4}-\d\d-\d\d\)$", CHANGELOG.read_text(), re.MULTILINE)
    assert released[0] == django_at_jwt.__version__
    notes = (DOCS / "reference" / "upgrade-notes.md").read_text()
    assert re.findall(r"^## (\S+)$", notes, re.MULTILINE) == released


def test_supported_versions_are_the_same_everywhere():
    assert SUPPORTED["Python"] == classified("Programming Language :: Python")
    assert SUPPORTED["Django"] == classified("Framework :: Django")
    pythons, djangos = SUPPORTED["Python"], SUPPORTED["Django"]
    said = f"Requires Python {pythons[0]} to {pythons[-1]}, Django {djangos[0]} to {djangos[-1]},"
    assert said in README.read_text()
    assert PYPROJECT["project"]["requires-python"] == f">={pythons[0]}"


def test_each_supported_version_has_an_environment_and_gets_the_wheel_tested():
    environments = (ROOT / "tox.ini").read_text().partition("skip_missing")[0]
    for python in SUPPORTED["Python"]:
        assert f"py{python.replace('.', '')}-" in environments
    for django in SUPPORTED["Django"]:
        assert django.replace(".", "") in re.findall(r"\d+", environments)
    [tested] = re.findall(r"^for version in (.+); do$", (ROOT / ".ci" / "dist").read_text(), re.MULTILINE)
    assert tested.split() == SUPPORTED["Python"]
    assert re.findall(r"^ {12}(3\.\d+)$", WORKFLOW, re.MULTILINE) == SUPPORTED["Python"]


def test_workflow_uses_no_secret_and_only_the_upload_has_an_identity():
    assert "secrets" not in WORKFLOW
    assert re.search(r"^permissions: \{\}$", WORKFLOW, re.MULTILINE)
    assert WORKFLOW.count("id-token: write") == 1
    build, publish = WORKFLOW.split("\n  publish:\n")
    assert "id-token" not in build
    assert "run:" not in publish
    environment = re.search(r"environment: (\S+)", publish)[1]
    assert f"environment `{environment}`" in CONTRIBUTING.read_text()
