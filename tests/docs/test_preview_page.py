"""The facts and blocks of the page about previews."""

from __future__ import annotations

import io
import shlex

import pytest
from django.core.management import call_command
from django.template import engines
from django.urls import reverse

from django_at_jwt.authorization_server.claims.preview import SIZE_MARKS

from .blocks import PREVIEW, blocks_of, table_rows

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]


@pytest.mark.usefixtures("user")
def test_command_of_the_page(make_client):
    make_client(client_id="webshop")
    [line] = [command for block in blocks_of(PREVIEW) if block.language == "console" for command in block.commands]
    _python, _manage, name, *arguments = shlex.split(line)
    out = io.StringIO()
    call_command(name, *arguments, stdout=out)
    assert "Audience: https://api.example.com/" in out.getvalue()
    assert "Scopes: read write" in out.getvalue()


@pytest.mark.parametrize("template", ["user_tools", "client_tools"])
def test_template_of_the_page_adds_the_link(template, admin_user, user, rf):
    [block] = [block for block in blocks_of(PREVIEW) if block.language == "html+django"]
    text = block.text.replace("user_tools", template)
    request = rf.get("/")
    request.user = admin_user
    context = {"opts": user._meta, "original": user, "has_absolute_url": False}
    link = f"{reverse('admin:django_at_jwt_preview')}?{template.partition('_')[0]}={user.pk}"
    assert link in engines["django"].from_string(text).render(context, request)


def test_marks_of_the_page():
    marks = {row[0] for row in table_rows(PREVIEW, columns=2)}
    assert marks == {"personal", "example", ", ".join(f"over {mark // 1024} KiB" for mark in SIZE_MARKS)}
