"""The facts and blocks of the page about previews."""

from __future__ import annotations

import shlex

import pytest

from django_at_jwt.authorization_server.claims.preview import SIZE_MARKS
from tests.commands import run

from .blocks import PREVIEW, blocks_of, table_rows

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]


@pytest.mark.usefixtures("user")
def test_command_of_the_page(make_client):
    make_client(client_id="webshop")
    [line] = [command for block in blocks_of(PREVIEW) if block.language == "console" for command in block.commands]
    _python, _manage, name, *arguments = shlex.split(line)
    text = run(name, *arguments)
    assert "Audience: https://api.example.com/" in text
    assert "Scopes: read write" in text


def test_marks_of_the_page():
    marks = {row[0] for row in table_rows(PREVIEW, columns=2)}
    assert marks == {"personal", "example", ", ".join(f"over {mark // 1024} KiB" for mark in SIZE_MARKS)}
