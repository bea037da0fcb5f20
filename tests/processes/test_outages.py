"""Real servers whose database hangs, refuses connections or is read-only: APIs and key sets go on from memory."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from urllib.parse import quote, urlsplit

import pytest
import requests

from tests.patience import PATIENCE_SECONDS

from .databases import CLIENT
from .servers import gunicorn

pytestmark = pytest.mark.ci

# The keys and the deny list are read again with nearly every request.
POLICY = '{"KEY_RING_MAX_AGE": 0.001, "REVOCATION_MAX_AGE": 0.001}'
# Far more than an answer takes, on any machine; the database hangs for as long as the test.
READ_ONLY = {
    "postgresql": f"options={quote('-c default_transaction_read_only=on')}",
    "mysql": f"init_command={quote('SET SESSION TRANSACTION READ ONLY')}",
}


class Proxy:
    """A way to a database that can be closed, or left open without an answer."""

    def __init__(self, host, port):
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._flows = threading.Event()
        self._flows.set()
        self._open, self._is_over = [], False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(near)
            threading.Thread(target=self._connect, args=[near], daemon=True).start()

    def _connect(self, near):
        self._flows.wait()
        if self._is_over:
            return
        far = socket.create_connection(self._target)
        self._open.append(far)
        for one, other in ((near, far), (far, near)):
            threading.Thread(target=self._pass_on, args=[one, other], daemon=True).start()

    def _pass_on(self, one, other):
        try:
            while data := one.recv(65536):
                self._flows.wait()
                other.sendall(data)
        except OSError:
            pass
        for each in (one, other):
            each.close()

    def hang(self):
        self._flows.clear()

    def refuse(self):
        if self._is_over:
            return
        self._is_over = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._open:
            each.close()
        self._flows.set()


@pytest.fixture(params=["postgresql", "mysql"])
def kind(request):
    return request.param


@pytest.fixture
def database_url(kind, prepared_databases, tmp_path):
    with prepared_databases.copy(kind, tmp_path) as url:
        yield url


@contextmanager
def proxied(url):
    parts = urlsplit(url)
    proxy = Proxy(parts.hostname, parts.port)
    user = parts.netloc.rpartition("@")[0]
    try:
        yield proxy, parts._replace(netloc=f"{user}@127.0.0.1:{proxy.port}").geturl()
    finally:
        proxy.refuse()


def token(address):
    data = {"grant_type": "client_credentials", **CLIENT}
    return requests.post(f"{address}/o/token/", data=data, timeout=PATIENCE_SECONDS)


def key_set(address):
    return requests.get(f"{address}/o/.well-known/jwks.json", timeout=PATIENCE_SECONDS)


def api(address, access_token):
    header = {"Authorization": f"Bearer {access_token}"}
    return requests.get(f"{address}/whoami/", headers=header, timeout=PATIENCE_SECONDS)


def health(address):
    return requests.get(f"{address}/health/", timeout=PATIENCE_SECONDS)


def assert_unavailable(answer):
    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/json"), answer.text
    assert int(answer.headers["Retry-After"]) > 0


def test_database_that_hangs_and_is_then_away(database_url, tmp_path):
    with proxied(database_url) as (proxy, url), gunicorn(url, tmp_path / "log", threads=16, TEST_POLICY=POLICY) as at:
        access_token = token(at).json()["access_token"]
        assert api(at, access_token).status_code == key_set(at).status_code == 200
        proxy.hang()
        for _ in range(3):
            assert api(at, access_token).status_code == key_set(at).status_code == 200
        with gunicorn(url, tmp_path / "log-of-the-other", TEST_POLICY=POLICY) as never_read:
            assert_unavailable(key_set(never_read))
            assert_unavailable(api(never_read, access_token))
            assert (health(at).status_code, health(never_read).status_code) == (200, 503)
        proxy.refuse()
        assert health(at).status_code == 200
        assert api(at, access_token).status_code == key_set(at).status_code == 200
        assert_unavailable(token(at))
        for path in ("revoke_token/", "introspect/", "device-authorization/"):
            data = {**CLIENT, "token": access_token}
            assert_unavailable(requests.post(f"{at}/o/{path}", data=data, timeout=PATIENCE_SECONDS))
        session = {"sessionid": "x" * 32}
        assert_unavailable(requests.get(f"{at}/o/authorize/", cookies=session, timeout=PATIENCE_SECONDS))


def test_read_only_database(kind, database_url, tmp_path):
    with gunicorn(f"{database_url}?{READ_ONLY[kind]}", tmp_path / "log", TEST_POLICY=POLICY) as address:
        assert_unavailable(token(address))
        assert key_set(address).status_code == 200
        # A client that is not known needs no write.
        data = {"grant_type": "client_credentials", "client_id": "unknown", "client_secret": "x"}
        assert requests.post(f"{address}/o/token/", data=data, timeout=PATIENCE_SECONDS).status_code == 401
