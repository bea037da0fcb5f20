"""Client ID metadata documents for tests: those that clients publish, and a server of documents over https."""

from __future__ import annotations

import json
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from cryptography import x509
from django.core.cache import caches

from django_at_jwt import oauth2_provider_settings
from django_at_jwt.client_metadata import ClientMetadataFetcher, FetchFailed
from tests.outbound.certificates import LOOPBACK, certificate

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
# The members that matter here of documents that were published in September 2026, by their URLs.
PUBLISHED = {
    "https://vscode.dev/oauth/client-metadata.json": {
        "client_name": "Visual Studio Code",
        "client_uri": "https://vscode.dev/product",
        "application_type": "native",
        "grant_types": ["authorization_code", "refresh_token", DEVICE_CODE],
        "response_types": ["code"],
        "redirect_uris": ["http://127.0.0.1:33418/", "https://vscode.dev/redirect"],
        "token_endpoint_auth_method": "none",
    },
    "https://claude.ai/oauth/claude-code-client-metadata": {
        "client_name": "Claude Code",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "redirect_uris": ["http://localhost/callback", "http://127.0.0.1/callback"],
        "token_endpoint_auth_method": "none",
    },
    "https://claude.ai/oauth/mcp-oauth-client-metadata": {
        "client_name": "Claude",
        "client_uri": "https://claude.ai",
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"],
        "response_types": ["code"],
        "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"],
        "token_endpoint_auth_method": "none",
    },
    "https://chatgpt.com/oauth/client.json": {
        "client_name": "ChatGPT",
        "client_uri": "https://chatgpt.com/",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "redirect_uris": ["https://chatgpt.com/connector_platform_oauth_redirect"],
        "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "token_endpoint_auth_signing_alg": "RS256",
        "jwks_uri": "https://chatgpt.com/oauth/jwks.json",
    },
    "https://chatgpt.com/oauth/codex/client.json": {
        "client_name": "Codex",
        "client_uri": "https://chatgpt.com/codex",
        "application_type": "native",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "redirect_uris": ["http://127.0.0.1/callback", "http://localhost/callback"],
        "token_endpoint_auth_method": "none",
        "token_endpoint_auth_methods_supported": ["none"],
    },
    "https://opencode.ai/oauth/opencode/client.json": {
        "client_name": "opencode",
        "client_uri": "https://opencode.ai",
        "application_type": "native",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "redirect_uris": ["http://127.0.0.1/callback", "http://localhost/callback"],
        "token_endpoint_auth_method": "none",
        "token_endpoint_auth_methods_supported": ["none"],
    },
    "https://cursor.com/oauth/mcp-client.json": {
        "client_name": "Cursor",
        "redirect_uris": ["https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback"],
        "token_endpoint_auth_method": "none",
    },
}


class LibraryFetcher(ClientMetadataFetcher):
    """Takes documents from :data:`documents` instead of fetching them, as a site's own fetcher could."""

    documents: dict[str, dict[str, Any]] = {}

    def retrieve(self, client_id):
        if client_id not in self.documents:
            raise FetchFailed(f"{client_id} is not in the library")
        return self.documents[client_id], 300


@dataclass
class Page:
    """What the server answers."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    drip: float = 0


class DocumentServer:
    """A server of metadata documents over https. ``pages`` can be changed at any time."""

    def __init__(self, port):
        self.root = f"https://localhost:{port}"
        self.pages: dict[str, Page] = {}
        self.requests: list[str] = []
        self.stopped = threading.Event()

    def publish(self, path="/client.json", *, headers=None, **members):
        """Publish a document, and return its URL, which is the client id. ``None`` leaves out a member."""
        url = f"{self.root}{path}"
        document = {
            "client_id": url,
            "client_name": "A client",
            "redirect_uris": ["http://127.0.0.1/callback"],
            **members,
        }
        page = Page(json.dumps({name: value for name, value in document.items() if value is not None}).encode())
        page.headers |= headers or {}
        self.pages[path] = page
        return url

    def handler(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests.append(self.path)
                page = server.pages.get(self.path) or Page(status=404)
                self.send_response(page.status)
                for name, value in page.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                if not page.drip:
                    self.wfile.write(page.body)
                    return
                for byte in page.body:
                    if server.stopped.wait(page.drip):
                        return
                    self.wfile.write(bytes([byte]))

            def log_message(self, *arguments):
                pass

        return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *arguments):
        pass


@contextmanager
def running_document_server(folder):
    """Run a server with its own certificate, and yield it and the file of the certificate."""
    file = certificate(folder, x509.DNSName("localhost"), LOOPBACK)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    http = _Server(("127.0.0.1", 0), BaseHTTPRequestHandler)
    documents = DocumentServer(http.server_address[1])
    http.RequestHandlerClass = documents.handler()
    http.socket = context.wrap_socket(http.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield documents, file
    finally:
        documents.stopped.set()
        http.shutdown()
        http.server_close()


@pytest.fixture
def mcp_site(settings):
    """The settings of a site that accepts MCP clients, without failures that other tests remember."""
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        **oauth2_provider_settings(profile="rfc9700", mcp=True, redirect_schemes=["cursor"]),
        # Not the machine's speed, but the server decides.
        "CIMD_FETCH_TIMEOUT_SECONDS": 60,
    }
    servers = {**settings.AT_JWT["RESOURCE_SERVERS"], settings.API: {"registered_clients": True}}
    settings.AT_JWT = {**settings.AT_JWT, "RESOURCE_SERVERS": servers}
    caches["default"].clear()
    yield settings
    caches["default"].clear()


@pytest.fixture
def documents(mcp_site, tmp_path, monkeypatch):
    """A server of documents on a loopback address that the site may fetch from."""
    mcp_site.AT_JWT = {**mcp_site.AT_JWT, "LOOPBACK_CLIENT_METADATA": True}
    with running_document_server(tmp_path) as (server, file):
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        yield server


@pytest.fixture
def library(mcp_site, monkeypatch):
    """Documents by their URLs, which the site reads instead of fetching anything."""
    found = {url: {"client_id": url, **document} for url, document in PUBLISHED.items()}
    monkeypatch.setattr(LibraryFetcher, "documents", found)
    mcp_site.OAUTH2_PROVIDER = {
        **mcp_site.OAUTH2_PROVIDER,
        "CIMD_METADATA_FETCHER": "tests.client_documents.LibraryFetcher",
    }
    return found
