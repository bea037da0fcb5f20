"""``python -m example_project.mcp_client``: the Python SDK of the Model Context Protocol, given only an API's URL.

The SDK sends a request to the API, reads the URL of its metadata in the answer, finds the issuer there, and requests a
token for this API. This module provides what the SDK cannot discover: the registered client, and the user's browser.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken

from .http_client import Browser
from .narration import Narration
from .server_process import running_server

if TYPE_CHECKING:
    from collections.abc import Callable

_TIMEOUT: Final = 300


class Storage:
    """The SDK's storage: a client that is already registered, and the tokens that it gets."""

    def __init__(self, registered: OAuthClientInformationFull) -> None:
        self.registered = registered
        self.tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull:
        return self.registered

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        raise AssertionError("The SDK must not register another client.")


class McpClient:
    """A client of the API at a URL. ``agree`` opens a URL in the user's browser and returns the redirect's URL."""

    def __init__(self, address: str, *, client_id: str, redirect_uri: str, agree: Callable[[str], str]) -> None:
        metadata: dict[str, Any] = {"redirect_uris": [redirect_uri], "token_endpoint_auth_method": "none"}
        self.asked: list[dict[str, str]] = []
        self.storage = Storage(OAuthClientInformationFull(client_id=client_id, **metadata))
        self.provider = OAuthClientProvider(
            server_url=address,
            client_metadata=OAuthClientMetadata(client_name="A client", **metadata),
            storage=self.storage,
            redirect_handler=self._open_browser,
            callback_handler=self._wait_for_browser,
        )
        self._agree = agree

    def request(self, method: str, address: str, **options: Any) -> httpx2.Response:
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


def tell(story: Narration, directory: Path) -> None:
    """Run the example, and read and write notes with the client."""
    with running_server(directory) as server:
        description = server.description()
        spa, api = description["clients"]["spa"], description["resource_servers"][0]
        user = next(each for each in description["users"] if not each["is_superuser"])
        browser = Browser(username=user["username"], password=user["password"])
        client = McpClient(
            api["url"], client_id=spa["client_id"], redirect_uri=spa["redirect_uri"], agree=browser.agree
        )
        story.say(f"The client only knows the URL {api['url']} and its client ID, {spa['client_id']}.")
        answer = client.request("GET", api["url"])
        story.check("it reads the notes", holds=answer.is_success, found=answer.status_code)
        story.show("asked", {name: client.asked[0][name] for name in ("resource", "scope")})
        issuer = str(client.provider.context.oauth_metadata.issuer)
        story.check("it has discovered the issuer", holds=issuer == description["issuer"], found=issuer)
        answer = client.request("POST", api["url"], json={"text": "From an MCP client"})
        story.check("it writes a note", holds=answer.is_success, found=answer.status_code)
        story.show("asked again", {"scope": client.asked[-1]["scope"]})


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="django-at-jwt-mcp-") as directory:
        tell(Narration(), Path(directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
