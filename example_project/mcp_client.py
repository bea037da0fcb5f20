"""``python -m example_project.mcp_client``: the Python SDK of the Model Context Protocol, given only a server's URL.

The SDK sends a request to the server, reads the URL of its metadata in the answer, finds the issuer there, registers
itself, and requests a token for this server. This module provides the rest: the user's browser, and where the SDK
stores what it gets.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from .http_client import Browser
from .narration import Narration
from .server_process import free_port, running_mcp_server, running_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_TIMEOUT: Final = 300
# Native clients listen at a free port; no server needs to listen here, since the browser below does not follow it.
_REDIRECT_URI: Final = "http://127.0.0.1:33333/callback"


class Storage:
    """The SDK's storage: the registered client, and its tokens."""

    def __init__(self, registered: OAuthClientInformationFull | None = None) -> None:
        self.registered = registered
        self.tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.registered

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.registered = client_info


class McpClient:
    """A client of the server at a URL.

    ``agree`` opens a URL in the user's browser and returns the redirect's URL. Without ``client_id``, the client
    registers itself.
    """

    def __init__(
        self,
        address: str,
        *,
        agree: Callable[[str], str],
        client_id: str | None = None,
        redirect_uri: str = _REDIRECT_URI,
    ) -> None:
        metadata: dict[str, Any] = {"redirect_uris": [redirect_uri], "token_endpoint_auth_method": "none"}
        self.address = address
        self.asked: list[dict[str, str]] = []
        self.storage = Storage(client_id and OAuthClientInformationFull(client_id=client_id, **metadata))
        self.provider = OAuthClientProvider(
            server_url=address,
            client_metadata=OAuthClientMetadata(client_name="Example assistant", **metadata),
            storage=self.storage,
            redirect_handler=self._open_browser,
            callback_handler=self._wait_for_browser,
        )
        self._agree = agree

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Client]:
        """Connect to an MCP server."""
        async with (
            httpx2.AsyncClient(auth=self.provider, timeout=_TIMEOUT) as http,
            Client(streamable_http_client(self.address, http_client=http)) as client,
        ):
            yield client

    def request(self, method: str, address: str, **options: Any) -> httpx2.Response:
        """Send a request to an API that is not an MCP server."""

        async def send() -> httpx2.Response:
            async with httpx2.AsyncClient(auth=self.provider, timeout=_TIMEOUT) as client:
                return await client.request(method, address, **options)

        return asyncio.run(send())

    async def _open_browser(self, address: str) -> None:
        self.asked.append(_query(address))
        self._redirected = await asyncio.to_thread(self._agree, address)

    async def _wait_for_browser(self) -> AuthorizationCodeResult:
        answer = _query(self._redirected)
        return AuthorizationCodeResult(code=answer["code"], state=answer["state"], iss=answer["iss"])


def _query(address: str) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(urlsplit(address).query).items()}


async def tell(story: Narration, client: McpClient) -> None:
    """Read and write notes with a client."""
    story.say(f"The client only knows the URL {client.address}.")
    async with client.connected() as connected:
        found = await connected.call_tool("read_notes")
        notes = found.structured_content["result"]
        story.check("it reads the notes", holds="Water the plants" in notes, found=notes)
        story.say(f"It has discovered the issuer, {client.provider.context.oauth_metadata.issuer}, and registered.")
        story.show("asked", {name: client.asked[0][name] for name in ("client_id", "resource", "scope")})
        found = await connected.call_tool("write_note", {"text": "From an MCP client"})
        story.check("it writes a note", holds=not found.is_error, found=found.structured_content["result"])
        story.show("asked again", {"scope": client.asked[-1]["scope"]})


def main() -> int:
    url = f"http://127.0.0.1:{free_port()}/mcp"
    with (
        tempfile.TemporaryDirectory(prefix="django-at-jwt-mcp-") as directory,
        running_server(Path(directory), EXAMPLE_MCP_URL=url) as site,
        running_mcp_server(site),
    ):
        user = next(each for each in site.description()["users"] if not each["is_superuser"])
        browser = Browser(username=user["username"], password=user["password"])
        asyncio.run(tell(Narration(), McpClient(url, agree=browser.agree)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
