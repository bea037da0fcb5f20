"""The page on clients that register themselves: its settings, and its table of who may register."""

from __future__ import annotations

import time

import pytest
from django.core.cache import cache
from django.test import Client

from django_at_jwt.authorization_server.views.registration import MOST_BYTES
from django_at_jwt.core.client_metadata import MOST_REDIRECT_URIS

from .blocks import CLIENT_REGISTRATION, blocks_of, table_rows

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("signing_keys")]

(OPEN,) = (block.text for block in blocks_of(CLIENT_REGISTRATION) if block.language == "python")
DOCUMENT = {"redirect_uris": ["http://localhost:8787/callback"], "scope": "read write openid"}


@pytest.fixture
def page(settings):
    """Return a function that runs a block of settings."""

    def run(text):
        values = {"AT_JWT": {**settings.AT_JWT}}
        exec(text, values)
        for name, value in values.items():
            if name.isupper():
                setattr(settings, name, value)

    yield run
    cache.clear()


def register(**extra):
    return Client().post("/o/register/", DOCUMENT, content_type="application/json", **extra)


def test_settings(page, monkeypatch):
    # No day ends during the test.
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    assert register().status_code == 404
    page(OPEN)
    assert register().json()["scope"] == "read write openid"
    assert [register().status_code for _ in range(20)][-2:] == [201, 429]


def test_who_may_register(page, settings):
    page(OPEN)
    answers = {}
    for value, _text in table_rows(CLIENT_REGISTRATION, columns=2)[:4]:
        settings.AT_JWT = {**settings.AT_JWT, "CLIENT_REGISTRATION": eval(value.partition(" (")[0].strip("`"))}
        answers[value] = register().status_code
    assert list(answers.values()) == [404, 401, 201, 404]


def test_limits():
    [path] = CLIENT_REGISTRATION.pages
    assert f"at most {MOST_BYTES // 1024} KiB and {MOST_REDIRECT_URIS} redirect URIs" in path.read_text()
