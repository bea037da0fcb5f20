"""An issuer of its own on loopback, as another project would run it, that counts its requests and can misbehave."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.core.forge import API, Forge

METADATA = "/.well-known/oauth-authorization-server/o"
OPENID = "/o/.well-known/openid-configuration"
KEYS = "/o/keys"


@dataclass
class Page:
    """What is answered at one path. ``drip`` is a pause before each byte, ``wait`` one before the first."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    wait: float = 0
    drip: float = 0
    drip_headers: bool = False


class RemoteIssuer:
    """The issuer: what it serves may be changed at any time, by path."""

    def __init__(self, port: int) -> None:
        self.root = f"http://127.0.0.1:{port}"
        self.issuer = f"{self.root}/o"
        self.requests: Counter[str] = Counter()
        self.seen: list[dict[str, str]] = []
        self.pages: dict[str, Page] = {}
        self.etag: str | None = None
        self.publish(Forge("ES256"))
        self.describe()

    def describe(self, path: str = METADATA, **changes: Any) -> Page:
        document = {"issuer": self.issuer, "jwks_uri": f"{self.root}{KEYS}", **changes}
        self.pages[path] = Page(
            json.dumps({name: value for name, value in document.items() if value is not None}).encode()
        )
        return self.pages[path]

    def publish(self, *keys: Forge | dict[str, Any], etag: str | None = None, **headers: str) -> Page:
        """Publish a JWK set; keywords are further headers, with underscores for dashes."""
        members = [key.jwk if isinstance(key, Forge) else key for key in keys]
        self.etag = etag
        page = Page(json.dumps({"keys": members}).encode())
        page.headers |= {name.replace("_", "-"): value for name, value in headers.items()}
        if etag is not None:
            page.headers["ETag"] = etag
        self.pages[KEYS] = page
        return page

    @property
    def fetches(self) -> int:
        """How often the JWK set was asked for."""
        return self.requests[KEYS]

    def token(self, forge: Forge | None = None, *, header: Any = None, **claims: Any) -> str:
        """Give a token of this issuer that is good now."""
        forge, now = forge or Forge("ES256"), int(time.time())
        times = {"iat": now, "exp": now + 600}
        return forge.token(header=header, payload=forge.claims(**{"iss": self.issuer, "aud": API, **times, **claims}))

    def settings(self, **options: Any) -> dict[str, Any]:
        """Give what an API writes into its settings for this issuer."""
        return {self.issuer: {"audience": API, **options}}


class _Handler(BaseHTTPRequestHandler):
    issuer: RemoteIssuer

    def do_GET(self) -> None:
        issuer = self.issuer
        issuer.requests[self.path] += 1
        issuer.seen.append({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
        page = issuer.pages.get(self.path, Page(status=404))
        time.sleep(page.wait)
        if issuer.etag and self.headers.get("If-None-Match") == issuer.etag and self.path == KEYS:
            page = Page(status=304, headers={**page.headers, "Content-Length": "0"})
        head = f"HTTP/1.1 {page.status} Status\r\n"
        length = {} if "Content-Length" in page.headers else {"Content-Length": str(len(page.body))}
        head += (
            "".join(f"{name}: {value}\r\n" for name, value in (page.headers | length).items())
            + "Connection: close\r\n\r\n"
        )
        self.close_connection = True
        try:
            self._send(head.encode(), page.drip if page.drip_headers else 0)
            self._send(page.body, page.drip)
        except OSError:
            pass  # Whoever asked has had enough.

    def _send(self, data: bytes, pause: float) -> None:
        if not pause:
            self.wfile.write(data)
            return
        for byte in data:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(pause)

    def log_message(self, *_arguments: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *_arguments: Any) -> None:
        pass


@contextmanager
def running_issuer():
    """Run an issuer until the block ends. Its ``stop()`` and ``start()`` make it unreachable and bring it back."""
    servers: list[_Server] = []

    def start(port: int) -> _Server:
        handler = type("Handler", (_Handler,), {})
        server = _Server(("127.0.0.1", port), handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return server

    def stop() -> None:
        while servers:
            server = servers.pop()
            server.shutdown()
            server.server_close()

    first = start(0)
    issuer = RemoteIssuer(first.server_address[1])
    first.RequestHandlerClass.issuer = issuer
    issuer.stop = stop

    def start_again() -> None:
        start(first.server_address[1]).RequestHandlerClass.issuer = issuer

    issuer.start = start_again
    try:
        yield issuer
    finally:
        stop()
