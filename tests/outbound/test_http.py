"""A request to an issuer over https: trusted certificates, and the deadline in each step."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from django_at_jwt.outbound.http import FetchFailed, fetch
from tests.ports import reserved_port


def certificate(folder, *names):
    """Make a self-signed certificate; return the file with it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "certificate.pem"
    file.write_bytes(built.public_bytes(pem) + private)
    return file


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


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


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
