"""Export and import of claim mappers as a file."""

from __future__ import annotations

import io
import json
import re
from itertools import chain

import pytest
from django.core.management import CommandError, call_command

from django_at_jwt.authorization_server.claims.registry import claim_mappers
from django_at_jwt.core.claims.presets import READY_MADE
from django_at_jwt.models import ClaimMapper
from tests.commands import run

pytestmark = pytest.mark.django_db
EMAIL = {"kind": "user", "path": "email"}


def exported(**options):
    return run("export_claim_mappers", **options)


def imported(tmp_path, text, *options):
    file = tmp_path / "mappers.json"
    file.write_text(text if isinstance(text, str) else json.dumps(text))
    return run("import_claim_mappers", str(file), *options)


def stored():
    return list(ClaimMapper.objects.order_by("name").values())


@pytest.fixture
def ready_made():
    for number, data in enumerate(chain.from_iterable(READY_MADE.values())):
        ClaimMapper.objects.create(**data, order=number, note="Größe" if number == 2 else "")


def test_export_is_sorted_and_omits_defaults():
    ClaimMapper.objects.create(name="b", claim="email", source=EMAIL, order=-1, note="For Zoë.")
    ClaimMapper.objects.create(name="a", claim="c", source={"kind": "groups"}, type="strings", required=True)
    assert exported() == (
        "[\n"
        '  {\n    "name": "a",\n    "claim": "c",\n    "source": {\n      "kind": "groups"\n    },\n'
        '    "type": "strings",\n    "required": true\n  },\n'
        '  {\n    "name": "b",\n    "claim": "email",\n    "source": {\n      "kind": "user",\n      "path": "email"\n'
        '    },\n    "order": -1,\n    "note": "For Zoë."\n  }\n'
        "]\n"
    )


@pytest.mark.usefixtures("ready_made")
def test_import_of_an_export_restores_it_and_is_idempotent(tmp_path):
    before, text = stored(), exported()
    assert imported(tmp_path, text) == "Nothing to do.\n"
    ClaimMapper.objects.all().delete()
    assert imported(tmp_path, text).count("Added ") == len(before)
    assert [{**row, "id": 0} for row in stored()] == [{**row, "id": 0} for row in before]
    assert exported() == text
    exported(output=tmp_path / "out.json")
    assert (tmp_path / "out.json").read_text() == text


@pytest.mark.usefixtures("ready_made")
def test_file_can_be_declared_in_the_settings(settings):
    data = [{name: value for name, value in each.items() if name != "note"} for each in json.loads(exported())]
    before = [mapper.rule for mapper in claim_mappers.current()]
    ClaimMapper.objects.all().delete()
    settings.AT_JWT = {**settings.AT_JWT, "CLAIM_MAPPERS": data}
    assert [mapper.rule for mapper in claim_mappers.current()] == before


def test_dry_run_reports_changes_without_making_them(tmp_path):
    row = ClaimMapper.objects.create(name="a", claim="c", source=EMAIL, order=3)
    ClaimMapper.objects.create(name="gone", claim="c", source=EMAIL)
    file = [{"name": "a", "claim": "d", "source": EMAIL}, {"name": "new", "claim": "e", "source": EMAIL}]
    before = stored()
    assert imported(tmp_path, file, "--dry-run", "--delete-others") == (
        'Would change a\n  - claim: "c"\n  + claim: "d"\n  - order: 3\nWould delete gone\n'
        'Would add new\n  + claim: "e"\n  + name: "new"\n  + source: {"kind": "user", "path": "email"}\n'
        "Affects tokens of up to 0 of 0 clients.\nNo token was sampled: there are no users and clients yet.\n"
    )
    assert stored() == before
    assert "gone" not in imported(tmp_path, file)
    assert ClaimMapper.objects.get(name="a").pk == row.pk
    assert [each["name"] for each in stored()] == ["a", "gone", "new"]
    assert imported(tmp_path, file, "--delete-others") == "Deleted gone\n"
    assert [mapper.rule.claim for mapper in claim_mappers.current()] == ["d", "e"]


@pytest.mark.usefixtures("web", "keys_made_quickly")
def test_dry_run_shows_the_impact_on_sampled_tokens(tmp_path, user, signing_keys):
    optional = {"name": "a", "claim": "c", "source": EMAIL}
    text = imported(tmp_path, [optional], "--dry-run")
    assert "Affects tokens of up to 1 of 1 clients.\nSampled tokens that change: " in text
    assert "Claims that change: c.\nAdditional personal data may be sent: c.\n" in text
    assert "refused" not in text
    assert user.email not in text
    required = {**optional, "source": {"kind": "claim", "claim": "absent"}, "when_missing": "fail", "required": True}
    assert re.search(r"Sampled tokens that would be refused: [1-9]", imported(tmp_path, [required], "--dry-run"))
    assert not ClaimMapper.objects.exists()


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ({}, "must be a list"),
        ([5], "mapper 1: name: A mapper must be an object"),
        ([{"name": "x"}], "x: claim: This is required"),
        ([{"name": "x", "claim": "sub", "source": EMAIL}], "x: claim: “sub” is a protocol claim"),
        ([{"name": "x", "claim": "c", "source": {"kind": "user", "path": "password"}}], "MAPPABLE_USER_FIELDS"),
        ([{"name": "x", "claim": "c", "source": EMAIL, "note": 5}], "x: note"),
        ([{"name": "x", "claim": "c", "source": EMAIL, "notes": ""}], "x: notes: “notes” is not a member"),
        ([{"name": "x", "claim": "c", "source": EMAIL, "note": "a\0b"}], "x: note"),
        ([{"name": "x", "claim": "c", "source": {"kind": "constant", "value": ["\0"]}}], "x: source: Texts must not"),
        ([{"name": "x", "claim": "c", "source": EMAIL}] * 2, "x: defined twice"),
        ('[{"name": "x", "claim": "c", "claim": "d"}]', "The file: “claim” occurs twice in one object"),
    ],
)
def test_one_invalid_mapper_prevents_the_whole_import(tmp_path, file, says):
    if isinstance(file, list):
        file = [{"name": "good", "claim": "good", "source": EMAIL}, *file]
        says = says.replace("mapper 1", "mapper 2")
    with pytest.raises(CommandError, match="Nothing was imported") as refused:
        imported(tmp_path, file)
    assert says in str(refused.value)
    assert stored() == []


def test_review_shows_escapes_in_place_of_control_characters(tmp_path):
    # A terminal could hide the lines before them.
    mapper = {"name": "\x1b[2J\x9bB\u202ex", "claim": "x", "source": {"kind": "constant", "value": "\x9bA"}}
    text = imported(tmp_path, [mapper], "--dry-run")
    assert text.startswith("Would add \\x1b[2J\\x9bB\\u202ex\n")
    assert '"value": "\\x9bA"' in text
    with pytest.raises(CommandError) as error:
        imported(tmp_path, [{**mapper, "\x1b[2J": 1}])
    assert "“\\x1b[2J” is not a member" in str(error.value)


def test_file_that_cannot_be_read(tmp_path):
    with pytest.raises(CommandError, match="Cannot read the file"):
        call_command("import_claim_mappers", str(tmp_path / "nothing.json"))


def test_standard_input(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps([{"name": "x", "claim": "c", "source": EMAIL}])))
    call_command("import_claim_mappers", "-")
    assert capsys.readouterr().out.startswith("Added x\n")


def test_failed_import_is_rolled_back(tmp_path, monkeypatch):
    file = [{"name": name, "claim": "c", "source": EMAIL} for name in "ab"]
    save = ClaimMapper.save

    def fail(self, **kwargs):
        if self.name == "b":
            raise RuntimeError
        save(self, **kwargs)

    monkeypatch.setattr(ClaimMapper, "save", fail)
    with pytest.raises(RuntimeError):
        imported(tmp_path, file)
    assert stored() == []


def test_broken_row_cannot_be_exported_and_is_replaced(tmp_path):
    row = ClaimMapper.objects.create(name="x", claim="sub", source=EMAIL)
    with pytest.raises(CommandError, match="x: claim: “sub” is a protocol claim"):
        exported()
    imported(tmp_path, [{"name": "x", "claim": "c", "source": EMAIL}])
    row.refresh_from_db()
    assert row.claim == "c"
