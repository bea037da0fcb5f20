"""Three packages that the tests have anyway, through the runner that makes docs/reference/works-with.md."""

from __future__ import annotations

import shutil
import sys
from contextlib import contextmanager

import pytest

from example_project.server_process import ROOT

from .catalog import ANY_TYP, CONSUMERS
from .installation import version_of
from .issuer import running_issuer
from .runs import DEFAULT, NAMED, Result, running, try_tokens

# What each accepts of the algorithms, and which invalid tokens.
INSTALLED = {
    "pyjwt": ({"RS256": NAMED, "EdDSA": NAMED}, [ANY_TYP]),
    "joserfc": ({"RS256": DEFAULT, "EdDSA": NAMED}, [ANY_TYP]),
    "authlib": ({"RS256": DEFAULT, "EdDSA": "refused"}, []),
}


@contextmanager
def new_issuer(migrated_example, folder):
    with running_issuer(shutil.copytree(migrated_example, folder, dirs_exist_ok=True)) as issuer:
        yield issuer


@pytest.fixture(scope="module")
def issuer(migrated_example, tmp_path_factory):
    with new_issuer(migrated_example, tmp_path_factory.mktemp("issuer")) as issuer:
        yield issuer


@pytest.fixture(scope="module")
def tokens(issuer):
    return issuer.tokens()


@pytest.fixture(scope="module")
def invalid(issuer, tokens):
    return issuer.invalid_tokens(tokens)


def installed(package):
    consumer = next(each for each in CONSUMERS if each.package == package)
    version = version_of(consumer, python=sys.executable)
    if version is None:
        pytest.skip(f"{package} is not installed")
    return Result(consumer=consumer, version=version)


@pytest.mark.ci
@pytest.mark.parametrize("package", INSTALLED)
def test_a_package_accepts_the_algorithms_that_it_knows_and_refuses_invalid_tokens(
    issuer, tokens, invalid, package, tmp_path
):
    result = installed(package)
    accepts, wrongly = INSTALLED[package]
    try_tokens(result, issuer, tokens, invalid, tmp_path, algorithms=list(accepts), python=sys.executable)
    words = {algorithm: how if how in {DEFAULT, NAMED} else how.split()[0] for algorithm, how in result.accepts.items()}
    assert (words, result.wrongly_accepts) == (accepts, wrongly), result.accepts


@pytest.mark.ci
def test_the_replacement_of_the_keys_publishes_a_key_that_no_consumer_has_seen(migrated_example, tmp_path):
    result = installed("joserfc")
    # Not the shared issuer: the tokens of the other tests would lose their key.
    with (
        new_issuer(migrated_example, tmp_path / "issuer") as issuer,
        running(result.consumer, issuer, "RS256", tmp_path, named=False, python=sys.executable) as before,
        issuer.operation("replace", "RS256") as operation,
    ):
        old = issuer.token("RS256")
        operation.communicate("now\n")
        new = issuer.token_of_another_key("RS256", old)
        with running(result.consumer, issuer, "RS256", tmp_path, named=False, python=sys.executable) as after:
            answers = [(process.refusal(old), process.refusal(new)) for process in (before, after)]
    accepted = [tuple(refusal is None for refusal in answer) for answer in answers]
    assert accepted == [(True, False), (False, True)], answers


def test_the_page_has_all_packages_of_the_catalogue():
    page = (ROOT / "docs/reference/works-with.md").read_text()
    assert [each.package for each in CONSUMERS if f"| {each.package} " not in page] == []
