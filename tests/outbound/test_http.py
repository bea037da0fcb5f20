"""A request to an issuer over https: trusted certificates, and the deadline in each step."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509

from django_at_jwt.outbound.http import FetchFailed, fetch
from tests.outbound.certificates import LOOPBACK, certificate
from tests.ports import reserved_port


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"path": self.path, "host": self.headers["Host"]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/jwk-set+json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, *arguments):
        pass


@pytest.fixture
def serve(tmp_path):
    servers = []

    def serve(*names):
        file = certificate(tmp_path, *names)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        server = Server(("127.0.0.1", 0), Handler)
        # The handshake runs in the request's thread, so that a client that aborts it does not stop the server.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return server.server_address[1], file

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def get(address, *, seconds=60.0):
    return fetch(address, etag=None, loopback_http=False, deadline=time.monotonic() + seconds)


def test_certificate_that_is_trusted(serve, monkeypatch):
    port, file = serve(LOOPBACK, x509.DNSName("localhost"))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    for host in ("127.0.0.1", "localhost"):
        answer = get(f"https://{host}:{port}/a?b=c")
        assert answer.document == {"path": "/a?b=c", "host": f"{host}:{port}"}


def test_certificate_that_is_not_trusted(serve):
    port, _ = serve(LOOPBACK)
    with pytest.raises(FetchFailed, match="certificate verify failed"):
        get(f"https://127.0.0.1:{port}/")


def test_certificate_of_another_host(serve, monkeypatch):
    port, file = serve(x509.DNSName("as.example.com"))
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(FetchFailed, match="certificate verify failed"):
        get(f"https://127.0.0.1:{port}/")


@pytest.fixture
def silent_port():
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_handshake_that_never_completes(silent_port):
    # Without the deadline, this would wait until the port is closed.
    with pytest.raises(FetchFailed, match="TimeoutError"):
        get(f"https://127.0.0.1:{silent_port}/", seconds=0.5)


def test_deadline_that_has_passed(silent_port):
    with pytest.raises(FetchFailed, match="timed out"):
        get(f"https://127.0.0.1:{silent_port}/", seconds=-1)


def test_no_server():
    with reserved_port() as port, pytest.raises(FetchFailed, match="ConnectionRefusedError"):
        get(f"https://127.0.0.1:{port}/")


def test_unknown_host():
    with pytest.raises(FetchFailed, match="cannot be fetched"):
        get("https://no-such-host.invalid/")


@pytest.mark.parametrize("address", ["http://127.0.0.1/", "file:///etc/passwd", "https://a/\r\nX: y"])
def test_address_that_is_not_allowed(address):
    with pytest.raises(FetchFailed, match="is not an https URL"):
        get(address)


class TestAllowedAddresses:
    def get(self, port, *, allows, **options):
        deadline = time.monotonic() + 60
        address = f"https://localhost:{port}/"
        return fetch(address, etag=None, loopback_http=False, deadline=deadline, allows=allows, **options)

    def test_host_with_a_refused_address_is_not_connected_to(self, monkeypatch):
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 443)) for each in ("8.8.8.8", "10.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
        monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("connected"))
        with pytest.raises(FetchFailed, match=r"requests to 10\.0\.0\.1 are not allowed"):
            self.get(443, allows=lambda address: address == "8.8.8.8")

    def test_host_is_resolved_once(self, serve, monkeypatch):
        """A second lookup could lead to another address than the one that was checked (DNS rebinding)."""
        port, file = serve(x509.DNSName("localhost"))
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        lookups = []

        def resolve(host, *_args, **_options):
            lookups.append(host)
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1" if len(lookups) == 1 else "10.0.0.1", port))
            ]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        asked = []
        assert self.get(port, allows=lambda address: not asked.append(address)).document["path"] == "/"
        assert (lookups, asked) == (["localhost"], ["127.0.0.1"])

    def test_body_over_a_smaller_limit(self, serve, monkeypatch):
        port, file = serve(x509.DNSName("localhost"))
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        with pytest.raises(FetchFailed, match="it is longer than 20 bytes"):
            self.get(port, allows=None, max_bytes=20)
