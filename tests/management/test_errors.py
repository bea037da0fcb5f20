"""Commands with an unusable file, database or argument: one line, and exit status 1."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from django_at_jwt.management.commands import export_claim_mappers


def test_export_to_a_place_that_cannot_be_written(db, tmp_path):
    with pytest.raises(CommandError, match="Cannot write the file") as refused:
        call_command("export_claim_mappers", "--output", str(tmp_path / "nowhere" / "mappers.json"))
    assert "\n" not in str(refused.value)


def test_export_without_tables(db, monkeypatch):
    def fail(_rows):
        raise OperationalError("no such table:\nclaimmapper")

    monkeypatch.setattr(export_claim_mappers, "export_mappers", fail)
    with pytest.raises(CommandError) as refused:
        call_command("export_claim_mappers")
    assert str(refused.value) == "Nothing was exported: no such table: claimmapper."


def test_password_in_bytes_that_are_no_text(db, monkeypatch, tmp_path):
    monkeypatch.setenv("KEY_PASSWORD", "\udcff")
    file = tmp_path / "key.pem"
    file.write_text("no key")
    with pytest.raises(CommandError, match="Not a PEM or JWK private key"):
        call_command("import_signing_key", str(file), "--password-variable", "KEY_PASSWORD")


@pytest.mark.parametrize("named", [{"client": "\udcff"}, {"client": "a client", "user": "\udcff"}])
def test_preview_of_a_name_that_is_not_text(named, db, make_client):
    make_client(client_id="a client")
    with pytest.raises(CommandError) as refused:
        call_command("preview_access_token", **named)
    str(refused.value).encode()
