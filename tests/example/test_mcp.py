"""The Python SDK of the Model Context Protocol as a client that knows only the address of an API."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
import requests

from example_project.server_process import ROOT, environment_for
from tests.conftest import decoded

pytest.importorskip("mcp", reason="the client side is the SDK of MCP, which is not installed")

import httpx2
from mcp.client.auth.utils import extract_resource_metadata_from_www_auth
from mcp.shared.auth import ProtectedResourceMetadata

from example_project.mcp_client import McpClient
from tests.patience import PATIENCE_SECONDS


def client_of(site, address):
    spa = site.description["clients"]["spa"]
    return McpClient(address, client_id=spa["client_id"], redirect_uri=spa["redirect_uri"], agree=site.browser().agree)


@pytest.mark.compliance("9728-1")
def test_it_finds_the_issuer_and_gets_a_token_for_the_api(site):
    client = client_of(site, site.notes["url"])
    answer = client.request("GET", site.notes["url"])
    assert answer.status_code == 200
    assert [note["text"] for note in answer.json()][:2] == ["Water the plants", "Rotate the keys"]

    [asked] = client.asked
    assert asked["resource"] == site.notes["identifier"]
    # No more than this request needs: the scope comes from the challenge.
    assert asked["scope"] == "api:read"
    assert str(client.provider.context.oauth_metadata.issuer) == site.issuer
    header, claims = decoded(client.storage.tokens.access_token)
    assert (header["typ"], claims["aud"], claims["iss"]) == ("at+jwt", site.notes["identifier"], site.issuer)


@pytest.mark.compliance("6750-3", "9728-1")
def test_it_asks_for_the_scope_that_a_refusal_names(site):
    client = client_of(site, site.notes["url"])
    assert client.request("GET", site.notes["url"]).status_code == 200
    answer = client.request("POST", site.notes["url"], json={"text": "From an MCP client"})
    assert answer.status_code == 201
    assert [asked["scope"] for asked in client.asked] == ["api:read", "api:read api:write"]
    assert {asked["resource"] for asked in client.asked} == {site.notes["identifier"]}


@pytest.mark.compliance("9728-1")
@pytest.mark.parametrize("name", ["notes", "reports"])
def test_the_sdk_reads_the_documents(site, name):
    api = getattr(site, name)

    async def document():
        async with httpx2.AsyncClient(timeout=PATIENCE_SECONDS) as client:
            link = extract_resource_metadata_from_www_auth(await client.get(api["url"]))
            return link, await client.get(link)

    link, answer = asyncio.run(document())
    metadata = ProtectedResourceMetadata.model_validate_json(answer.content)
    assert link == f"{site.base_url}/.well-known/oauth-protected-resource{urlsplit(api['identifier']).path}"
    assert str(metadata.resource) == api["identifier"]
    assert [str(each) for each in metadata.authorization_servers] == [site.issuer]
    assert metadata.scopes_supported == api["scopes"]
    assert metadata.bearer_methods_supported == ["header"]


def test_a_client_that_goes_elsewhere_refuses_the_document(site):
    """The document of one API is of no use to lead a client to another."""
    from mcp.client.auth import OAuthFlowError

    client = client_of(site, f"{site.base_url}/elsewhere/")
    with pytest.raises(OAuthFlowError, match="does not match"):
        client.request("GET", site.notes["url"])
    assert not client.asked


def test_nothing_else_is_published(site):
    for path in "", "/", "/api", "/api/notes/", "/elsewhere/":
        address = f"{site.base_url}/.well-known/oauth-protected-resource{path}"
        assert requests.get(address, timeout=PATIENCE_SECONDS).status_code == 404


@pytest.mark.ci
def test_it_is_a_program_too(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "example_project.mcp_client"],
        cwd=ROOT,
        env=environment_for(tmp_path),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("   ok  ") == 2
    assert "asked again scope  notes:read notes:write" in done.stdout
