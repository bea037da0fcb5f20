"""Requests of MCP clients, as public sources show them, from the first refusal to a call of a tool.

The sources are in ``recorded_mcp_clients.toml``.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from example_project.server_process import running_mcp_server
from tests.conftest import decoded
from tests.patience import PATIENCE_SECONDS
from tests.ports import reserved_port

from .conftest import Site

pytest.importorskip("mcp", reason="the SDK of MCP is not installed")

RECORDED = tomllib.loads(Path(__file__).with_name("recorded_mcp_clients.toml").read_text())
AT_A_PATH = [name for name, recorded in RECORDED.items() if recorded["resource"] != "/"]
AT_THE_ROOT = ["vscode-document", "claude-code-slash", "claude-document"]


@dataclass
class RecordedClient:
    """A client that behaves as recorded, and knows the URL of a server."""

    url: str
    recorded: dict[str, Any]
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    def call(self, tool, token=None, **arguments):
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        headers = {"Accept": "application/json, text/event-stream", "Mcp-Protocol-Version": "2025-06-18"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        return requests.post(self.url, json=message, headers=headers, timeout=PATIENCE_SECONDS)

    def discover(self):
        """Find the issuer's metadata by the challenge (RFC 9728, RFC 8414)."""
        refused = self.call("read_notes")
        assert refused.status_code == 401
        [link] = re.findall(r'resource_metadata="([^"]+)"', refused.headers["WWW-Authenticate"])
        self.resource_metadata = requests.get(link, timeout=PATIENCE_SECONDS).json()
        # VS Code and Claude Code compare these.
        assert self.resource_metadata["resource"] == self.url
        [issuer] = self.resource_metadata["authorization_servers"]
        parts = urlsplit(issuer)
        address = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server{parts.path}"
        self.metadata = requests.get(address, timeout=PATIENCE_SECONDS).json()
        assert self.metadata["issuer"] == issuer

    def identify(self):
        """Register, or use the URL of the document."""
        if document := self.recorded.get("document"):
            assert self.metadata["client_id_metadata_document_supported"] is True
            # Claude looks here before it uses its document.
            assert "none" in self.metadata["token_endpoint_auth_methods_supported"]
            self.client = {"client_id": document}
            return
        body = {**self.recorded["registration"]}
        if self.recorded["registration"]["client_name"] == "Visual Studio Code":
            body["grant_types"] = [
                each for each in body["grant_types"] if each in self.metadata["grant_types_supported"]
            ]
        answer = requests.post(self.metadata["registration_endpoint"], json=body, timeout=PATIENCE_SECONDS)
        assert answer.status_code == 201, answer.text
        self.client = answer.json()
        assert self.client["client_name"] == body["client_name"]
        assert set(self.client["redirect_uris"]) <= set(body["redirect_uris"])

    @property
    def resource(self):
        added = {"exact": self.url, "/": f"{self.url}/", "": None}[self.recorded["resource"]]
        return {} if added is None else {"resource": added}

    def authorize(self, browser, scopes):
        """Let the user agree, and return the parameters of the redirect."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        # The base64 of VS Code's state is padded.
        state = base64.b64encode(secrets.token_bytes(16)).decode()
        query = {
            "client_id": self.client["client_id"],
            "response_type": "code",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "scope": " ".join(scopes),
            **self.resource,
            "redirect_uri": self.recorded["redirect_uri"],
            "state": state,
        }
        redirected = browser.agree(f"{self.metadata['authorization_endpoint']}?{urlencode(query)}")
        assert redirected.startswith(f"{self.recorded['redirect_uri']}?")
        answer = {name: value for name, [value] in parse_qs(urlsplit(redirected).query).items()}
        assert (answer["state"], answer["iss"]) == (state, self.metadata["issuer"])
        return answer

    def exchange(self, **parameters):
        body = {"client_id": self.client["client_id"], **parameters}
        if parameters["grant_type"] == "authorization_code" or self.recorded.get("resource_in_refresh", True):
            body |= self.resource
        if "client_secret" in self.client:
            assert self.client["token_endpoint_auth_method"] == "client_secret_post"
            body["client_secret"] = self.client["client_secret"]
        answer = requests.post(self.metadata["token_endpoint"], data=body, timeout=PATIENCE_SECONDS)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def log_in(self, browser, scopes=None):
        metadata = self.metadata if self.recorded.get("scopes") == "issuer" else self.resource_metadata
        answer = self.authorize(browser, scopes or metadata["scopes_supported"])
        return self.exchange(
            grant_type="authorization_code",
            code=answer["code"],
            redirect_uri=self.recorded["redirect_uri"],
            code_verifier=self.verifier,
        )


def recorded(name, url):
    found = RECORDED[name]
    if other := found.get("registration_of"):
        found = {**found, "registration": RECORDED[other]["registration"]}
    client = RecordedClient(url, found)
    client.discover()
    client.identify()
    return client


def server_of(running_example, folder, path):
    """Run the example and its MCP server at a path, and yield the site and the URL."""
    with reserved_port() as port:
        variables = {
            "DJANGO_SETTINGS_MODULE": "tests.example.recorded_settings",
            "EXAMPLE_MCP_URL": f"http://127.0.0.1:{port}{path}",
        }
        with running_example(folder, **variables) as server, running_mcp_server(server) as url:
            yield Site(server), url


@pytest.fixture(scope="module")
def server(running_example, tmp_path_factory):
    yield from server_of(running_example, tmp_path_factory.mktemp("recorded"), "/mcp")


@pytest.fixture(scope="module")
def server_at_the_root(running_example, tmp_path_factory):
    yield from server_of(running_example, tmp_path_factory.mktemp("recorded"), "")


def is_served(site, client):
    """Let a client log in, read, refresh and write, and return the claims of its first token."""
    tokens = client.log_in(site.browser())
    read = client.call("read_notes", tokens["access_token"])
    assert read.json()["result"]["structuredContent"]["result"][:2] == ["Water the plants", "Rotate the keys"]
    tokens = client.exchange(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    written = client.call("write_note", tokens["access_token"], text=client.client["client_id"][:100])
    if "notes:write" not in tokens["scope"].split():
        assert written.status_code == 403
        [scopes] = re.findall(r'scope="([^"]+)"', written.headers["WWW-Authenticate"])
        more = client.log_in(site.browser(), scopes.split())
        written = client.call("write_note", more["access_token"], text=client.client["client_id"][:100])
    assert written.status_code == 200
    return decoded(tokens["access_token"])[1]


@pytest.mark.ci
@pytest.mark.parametrize("name", AT_A_PATH)
def test_registers_logs_in_and_calls_tools(name, server):
    site, url = server
    client = recorded(name, url)
    claims = is_served(site, client)
    assert (claims["aud"], claims["iss"]) == (url, site.issuer)
    # A client that requests all scopes of the issuer gets no scope of another API, and no ID token.
    every = {"notes:read", "notes:write", "email", "profile"}
    assert set(claims["scope"].split()) - {"introspection"} == (
        every if "scopes" in client.recorded else {"notes:read"}
    )
    assert claims["client_id"] == client.client["client_id"]


@pytest.mark.ci
@pytest.mark.parametrize("name", AT_THE_ROOT)
def test_a_slash_after_a_url_without_a_path_is_the_same_resource(name, server_at_the_root):
    site, url = server_at_the_root
    client = recorded(name, url)
    assert is_served(site, client)["aud"] == url


def test_each_says_where_it_was_seen():
    assert all(each["sources"] for each in RECORDED.values())
