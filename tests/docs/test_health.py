"""The page about health: its URLs, its tables and its probe."""

from __future__ import annotations

import re
import sys
from types import ModuleType

import pytest
import yaml
from django.test import Client
from django.urls import clear_url_caches

from django_at_jwt.authorization_server import health as issuer_health
from django_at_jwt.core.health import HealthStatus
from django_at_jwt.management.commands.signing_key_status import EXIT_STATUSES
from django_at_jwt.resource_server import health as remote_health

from .blocks import HEALTH, ROOT, blocks_of, table_rows

PYTHON = [block for block in blocks_of(HEALTH) if block.language == "python"]


@pytest.fixture
def site(settings, monkeypatch):
    """Run the blocks of the page as modules of a site."""
    monkeypatch.setenv("MONITOR_KEY", "a key of the monitor")
    for name in ("mysite", "mysite.health", "mysite.urls"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["mysite.urls"].urlpatterns = []
    for block in PYTHON:
        exec(block.text, vars(sys.modules[block.file.removesuffix(".py").replace("/", ".")]))
    settings.ROOT_URLCONF = "mysite.urls"
    yield
    clear_url_caches()


@pytest.mark.django_db
@pytest.mark.usefixtures("site", "signing_keys", "keys_made_quickly")
class TestView:
    def test_status_for_all_and_details_for_the_monitor(self, client):
        assert client.get("/health/").json() == {"status": "ok"}
        assert client.get("/monitor/").json() == {"status": "ok"}
        assert client.get("/monitor/", headers={"X-Monitor-Key": "wrong"}).json() == {"status": "ok"}
        assert "problems" in client.get("/monitor/", headers={"X-Monitor-Key": "a key of the monitor"}).json()

    def test_probe_gets_through_the_redirect_to_https(self, settings):
        settings.MIDDLEWARE = ["django.middleware.security.SecurityMiddleware", *settings.MIDDLEWARE]
        settings.SECURE_SSL_REDIRECT = True
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        [text] = [block.text for block in blocks_of(HEALTH) if block.language == "yaml"]
        probe = yaml.safe_load(text)["readinessProbe"]["httpGet"]
        headers = {each["name"]: each["value"] for each in probe["httpHeaders"]}
        assert Client().get(probe["path"]).status_code == 301
        assert Client().get(probe["path"], headers=headers).status_code == 200


def test_exit_statuses():
    rows = {row[1].strip("`"): int(row[0]) for row in table_rows(HEALTH, columns=3) if row[0].isdigit()}
    assert rows == {status.value: code for status, code in EXIT_STATUSES.items()}


def test_names_of_problems():
    sources = "".join((ROOT / module.__file__).read_text() for module in (issuer_health, remote_health))
    known = {}
    for status, name in re.findall(r'status=HealthStatus\.(\w+), name="(\w+)"', sources):
        known.setdefault(name, set()).add(HealthStatus[status].value)
    rows = {row[0].strip("`"): {*row[1].split(", ")} for row in table_rows(HEALTH, columns=3) if row[0][0] == "`"}
    assert rows == known
