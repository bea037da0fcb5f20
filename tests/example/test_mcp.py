"""The Python SDK of the Model Context Protocol as a client that knows nothing but the address of an API."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.conftest import decoded

pytest.importorskip("mcp", reason="the client side is the SDK of MCP, which is not installed")

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.utils import extract_resource_metadata_from_www_auth
from mcp.shared.auth import (
    AuthorizationCodeResult,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    ProtectedResourceMetadata,
)

TIMEOUT = 60


class Storage:
    """The client is registered beforehand, and has no token yet."""

    def __init__(self, registered):
        self.registered = registered
        self.tokens = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.registered

    async def set_client_info(self, client_info):
        raise AssertionError("The SDK registers another client.")


class McpClient:
    def __init__(self, site, address):
        described = site.description["clients"]["spa"]
        metadata = {"redirect_uris": [described["redirect_uri"]], "token_endpoint_auth_method": "none"}
        self.site = site
        self.asked = []
        self.storage = Storage(OAuthClientInformationFull(client_id=described["client_id"], **metadata))
        self.provider = OAuthClientProvider(
            server_url=address,
            client_metadata=OAuthClientMetadata(client_name="A client", **metadata),
            storage=self.storage,
            redirect_handler=self.open_browser,
            callback_handler=self.wait_for_browser,
        )

    async def open_browser(self, address):
        self.asked.append({name: values[-1] for name, values in parse_qs(urlsplit(address).query).items()})
        self.redirected = await asyncio.to_thread(self.site.browser().agree, address)

    async def wait_for_browser(self):
        answer = {name: values[0] for name, values in parse_qs(urlsplit(self.redirected).query).items()}
        return AuthorizationCodeResult(code=answer["code"], state=answer["state"], iss=answer["iss"])

    def request(self, method, address, **options):
        async def send():
            async with httpx2.AsyncClient(auth=self.provider, timeout=TIMEOUT) as client:
                return await client.request(method, address, **options)

        return asyncio.run(send())


@pytest.mark.compliance("9728-1")
def test_it_finds_the_issuer_and_gets_a_token_for_the_api(site):
    client = McpClient(site, site.notes["url"])
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
    client = McpClient(site, site.notes["url"])
    assert client.request("GET", site.notes["url"]).status_code == 200
    answer = client.request("POST", site.notes["url"], json={"text": "From a client of MCP"})
    assert answer.status_code == 201
    assert [asked["scope"] for asked in client.asked] == ["api:read", "api:read api:write"]
    assert {asked["resource"] for asked in client.asked} == {site.notes["identifier"]}


@pytest.mark.compliance("9728-1")
@pytest.mark.parametrize("name", ["notes", "reports"])
def test_the_sdk_reads_the_documents(site, name):
    api = getattr(site, name)

    async def document():
        async with httpx2.AsyncClient(timeout=TIMEOUT) as client:
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

    client = McpClient(site, f"{site.base_url}/elsewhere/")
    with pytest.raises(OAuthFlowError, match="does not match"):
        client.request("GET", site.notes["url"])
    assert not client.asked


def test_nothing_else_is_published(site):
    for path in "", "/", "/api", "/api/notes/", "/elsewhere/":
        address = f"{site.base_url}/.well-known/oauth-protected-resource{path}"
        assert requests.get(address, timeout=TIMEOUT).status_code == 404
