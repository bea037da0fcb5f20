"""The page on clients with metadata documents: its settings, its fetcher and the facts that it states."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from django.core.cache import caches
from oauth2_provider.settings import DEFAULTS, oauth2_settings

from django_at_jwt.authorization_server.client_metadata import CIMDError
from django_at_jwt.conf import MCP_PROFILE
from tests.client_documents import PUBLISHED

from .blocks import CLIENT_METADATA, blocks_of, table_rows

# The page names the permission class where DOT 3.4 has it.
pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore:oauth2_provider.cimd has moved")]

FIRST, HOSTS, FETCHER = (block for block in blocks_of(CLIENT_METADATA) if block.language == "python")
VSCODE = "https://vscode.dev/oauth/client-metadata.json"


@pytest.fixture
def documented(settings, monkeypatch):
    """The settings of the page, with its fetcher."""
    values: dict[str, dict] = {}
    exec(FIRST.text, values)
    exec(HOSTS.text, values)
    module = ModuleType("mysite.client_metadata")
    exec(FETCHER.text, vars(module))
    monkeypatch.setitem(sys.modules, "mysite", ModuleType("mysite"))
    monkeypatch.setitem(sys.modules, "mysite.client_metadata", module)
    settings.OAUTH2_PROVIDER = {
        **values["OAUTH2_PROVIDER"],
        "CIMD_METADATA_FETCHER": "mysite.client_metadata.SiteFetcher",
        "ALWAYS_RELOAD_OAUTHLIB_CORE": True,
    }
    caches["default"].clear()
    yield module
    caches["default"].clear()


def test_fetcher_of_the_page(documented):
    asked = []

    def ask_the_proxy(client_id):
        asked.append(client_id)
        return PUBLISHED.get(client_id) and {"client_id": client_id, **PUBLISHED[client_id]}, 600

    documented.ask_the_proxy = ask_the_proxy
    fetcher = oauth2_settings.CIMD_METADATA_FETCHER()
    document, seconds = fetcher.fetch(VSCODE)
    assert (document["client_name"], document["grant_types"], seconds) == (
        "Visual Studio Code",
        ["authorization_code", "refresh_token"],
        600,
    )
    for client_id, reason in (("https://client.example.com/a", "no answer"), ("https://client.example.com", "no path")):
        with pytest.raises(CIMDError, match=reason):
            fetcher.fetch(client_id)
    assert asked == [VSCODE, "https://client.example.com/a"]


def test_hosts_of_the_page(documented, client, user):
    documented.ask_the_proxy = lambda client_id: pytest.fail("asked")
    client.force_login(user)
    query = {"response_type": "code", "client_id": "https://client.example.com/a", "redirect_uri": "http://127.0.0.1/"}
    assert client.get("/o/authorize/", query).status_code == 400


def test_settings_of_the_table():
    assert {row[0].strip("`") for row in table_rows(CLIENT_METADATA, columns=3)} >= set(MCP_PROFILE)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("CIMD_FETCH_TIMEOUT_SECONDS", "(5)"),
        ("CIMD_MAX_DOCUMENT_SIZE", "(16 KiB)"),
        ("CIMD_MAX_CONCURRENT_FETCHES", "(10 a process)"),
        ("CIMD_FAILURE_BACKOFF_SECONDS", "(60)"),
        ("CIMD_METADATA_MIN_AGE_SECONDS", "(300)"),
        ("CIMD_METADATA_MAX_AGE_SECONDS", "(86400)"),
    ],
)
def test_defaults_of_the_page(name, shown):
    value = DEFAULTS[name]
    assert shown.strip("()").split()[0] in {str(value), str(value // 1024)}
    assert f"`{name}` {shown}" in " ".join(CLIENT_METADATA.read_text().split())
