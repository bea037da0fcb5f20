"""The pages about claim mappers, compared with the code and run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from django_at_jwt import claims
from django_at_jwt.authorization_server.claims import sampling as token_sample
from django_at_jwt.conf import problems_in
from django_at_jwt.core.claims import Conditions, Merge, ValueType, WhenMissing
from django_at_jwt.core.claims.presets import READY_MADE
from django_at_jwt.core.claims.schema import SOURCE_KINDS, TRANSFORM_KINDS
from django_at_jwt.core.profile import RESERVED_CLAIMS
from django_at_jwt.models import ClaimMapper
from django_at_jwt.testing import InMemoryIssuer
from tests.commands import run

from .blocks import CLAIM_MAPPERS, blocks_of, table_rows

TEXT = CLAIM_MAPPERS.read_text()


def names_in(cell):
    return re.findall(r"`(.+?)`", cell)


def section(title):
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows_of(title):
    lines = [line for line in section(title).splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in re.split(r" \| ?|^\| | \|$", line) if cell is not None][1:] for line in lines]


@pytest.mark.parametrize(("title", "kinds"), [("Sources", SOURCE_KINDS), ("Transforms", TRANSFORM_KINDS)])
def test_kinds_and_their_members(title, kinds):
    said = {names_in(row[0])[0]: names_in(row[1]) for row in rows_of(title)}
    assert said == {kind: [*members] for kind, (_, members) in kinds.items()}


def test_conditions():
    assert {names_in(row[0])[0] for row in rows_of("Conditions")} == {each.name for each in fields(Conditions)}


def test_types():
    listed = re.search(r"of the mapper's type: (.+?)\. Nothing", " ".join(TEXT.split()))[1]
    assert set(names_in(listed)) == set(ValueType)


def test_what_happens_without_a_value_and_beside_others():
    said = [(names_in(row[0])[0], names_in(row[1])[0]) for row in rows_of("Missing values and conflicts")]
    assert said == [*(("when_missing", each) for each in WhenMissing), *(("merge", each) for each in Merge)]


def test_ready_made_sets():
    said = {row[0]: names_in(row[1]) for row in table_rows(CLAIM_MAPPERS, columns=3) if row[0] in READY_MADE}
    assert said == {name: [data["claim"] for data in rules] for name, rules in READY_MADE.items()}


def test_reserved_claims():
    listed = re.search(r"cannot be mapped: (.+?)\. The form", " ".join(TEXT.split()))[1]
    assert set(names_in(listed)) == RESERVED_CLAIMS


def test_size_of_the_sample():
    assert token_sample.MOST_USERS == token_sample.MOST_CLIENTS == 5
    assert "five users, five clients and all APIs" in " ".join(TEXT.split())


def test_settings_can_be_used():
    blocks = [block for block in blocks_of(CLAIM_MAPPERS) if block.language == "python"]
    for block in blocks:
        if block.file == "mysite/settings.py":
            values = {"AT_JWT": {"DEFAULT_RESOURCE": "https://www.example.com/"}}
            exec(block.text, values)
            assert list(problems_in(values["AT_JWT"])) == []


def test_function_of_your_own(user, monkeypatch):
    monkeypatch.setattr(claims, "_sources", {})
    [block] = [block for block in blocks_of(CLAIM_MAPPERS) if block.text.startswith("# mysite/tenants.py")]
    exec(block.text, {})
    source = claims.registered_claim_sources()["tenant"]
    context = claims.ClaimContext(user=user, client=None, scopes=(), resource_servers=(), grant="authorization_code")
    assert source.function(context) == "example.com"
    assert not source.is_personal


@pytest.mark.skipif(not shutil.which("bash"), reason="the page's command needs bash")
@pytest.mark.parametrize("length", range(3))
def test_look_into_a_token(length):
    claims = {"sub": "ü" + "x" * length}
    token = InMemoryIssuer(issuer="https://a.example", audience="https://b.example").token(**claims)
    [[command]] = [block.commands for block in blocks_of(CLAIM_MAPPERS) if block.language == "sh"]
    environment = {
        **os.environ,
        "TOKEN": token,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    shown = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=True).stdout
    assert json.loads(shown).items() >= claims.items()


@pytest.mark.django_db
def test_export_and_import(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ClaimMapper.objects.create(name="mail", claim="email", source={"kind": "user", "path": "email"})
    [commands] = [block.commands for block in blocks_of(CLAIM_MAPPERS) if block.language == "console"]
    printed = [run(*command.removeprefix("python manage.py ").split()) for command in commands]
    assert "".join(printed) == "Nothing to do.\n" * 2
