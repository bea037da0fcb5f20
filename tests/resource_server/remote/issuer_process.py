"""A remote issuer on a loopback address that counts its requests and can misbehave."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.core.token_factory import API, TokenFactory
from tests.ports import reserved_port

if TYPE_CHECKING:
    from collections.abc import Iterator

METADATA = "/.well-known/oauth-authorization-server/o"
OPENID = "/o/.well-known/openid-configuration"
KEYS = "/o/keys"


@dataclass
class Page:
    """The response of a path. ``drip`` is a pause in seconds before each byte, ``wait`` one before the first.

    ``asked`` is set when a request arrives; it is answered once ``released`` is set. Stopping the server ends ``wait``
    and ``drip``.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    wait: float = 0
    drip: float = 0
    drip_headers: bool = False
    asked: threading.Event = field(default_factory=threading.Event)
    released: threading.Event | None = None


HTML = Page(b"<html>", headers={"Content-Type": "text/html; charset=utf-8"})


class RemoteIssuer:
    """The issuer. The pages that it serves can be changed at any time."""

    def __init__(self, port: int) -> None:
        self.root = f"http://127.0.0.1:{port}"
        self.issuer = f"{self.root}/o"
        self.requests: Counter[str] = Counter()
        self.seen: list[dict[str, str]] = []
        self.pages: dict[str, Page] = {}
        self.etag: str | None = None
        self.stopped = threading.Event()
        self.publish(TokenFactory("ES256"))
        self.describe()

    def describe(self, path: str = METADATA, **changes: Any) -> Page:
        document = {"issuer": self.issuer, "jwks_uri": f"{self.root}{KEYS}", **changes}
        self.pages[path] = Page(
            json.dumps({name: value for name, value in document.items() if value is not None}).encode()
        )
        return self.pages[path]

    def publish(self, *keys: TokenFactory | dict[str, Any], etag: str | None = None, **headers: str) -> Page:
        """Publish a JWK set; keyword arguments are headers, with underscores for dashes."""
        members = [key.jwk if isinstance(key, TokenFactory) else key for key in keys]
        self.etag = etag
        page = Page(json.dumps({"keys": members}).encode())
        page.headers |= {name.replace("_", "-"): value for name, value in headers.items()}
        if etag is not None:
            page.headers["ETag"] = etag
        self.pages[KEYS] = page
        return page

    @contextmanager
    def holding(self, path: str) -> Iterator[threading.Event]:
        """Hold all requests for a path until the block ends; yield an event that is set when one arrives."""
        released = threading.Event()
        page = self.pages[path] = replace(self.pages[path], asked=threading.Event(), released=released)
        try:
            yield page.asked
        finally:
            released.set()

    @property
    def fetches(self) -> int:
        """The number of requests for the JWK set."""
        return self.requests[KEYS]

    def token(self, factory: TokenFactory | None = None, *, header: Any = None, **claims: Any) -> str:
        """Return a valid token of this issuer."""
        factory, now = factory or TokenFactory("ES256"), int(time.time())
        times = {"iat": now, "exp": now + 600}
        return factory.token(
            header=header, payload=factory.claims(**{"iss": self.issuer, "aud": API, **times, **claims})
        )

    def settings(self, **options: Any) -> dict[str, Any]:
        """Return the entry of this issuer in ``AT_JWT["ISSUERS"]``."""
        return {self.issuer: {"audience": API, **options}}


class _Handler(BaseHTTPRequestHandler):
    issuer: RemoteIssuer

    def do_GET(self) -> None:
        issuer = self.issuer
        issuer.requests[self.path] += 1
        headers = {name.lower(): value for name, value in self.headers.items()}
        form = {"body": self.rfile.read(int(headers["content-length"])).decode()} if "content-length" in headers else {}
        issuer.seen.append({"path": self.path, **headers, **form})
        page = issuer.pages.get(self.path, Page(status=404))
        page.asked.set()
        if page.released is not None:
            page.released.wait()
        issuer.stopped.wait(page.wait)
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
            pass  # The client has closed the connection.

    def do_POST(self) -> None:
        self.do_GET()

    def _send(self, data: bytes, pause: float) -> None:
        if not pause:
            self.wfile.write(data)
            return
        for byte in data:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.issuer.stopped.wait(pause):
                return

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
    with reserved_port() as port:
        issuer = RemoteIssuer(port)
        handler = type("Handler", (_Handler,), {"issuer": issuer})

        def start() -> None:
            issuer.stopped.clear()
            server = _Server(("127.0.0.1", port), handler)
            servers.append(server)
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

        def stop() -> None:
            issuer.stopped.set()
            while servers:
                server = servers.pop()
                server.shutdown()
                server.server_close()

        issuer.start, issuer.stop = start, stop
        start()
        try:
            yield issuer
        finally:
            stop()
