"""Access tokens for WebSockets: a Channels consumer behind a real server, and servers without denial responses."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from types import SimpleNamespace

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, router
from django.utils import timezone

from django_at_jwt.authorization_server.keys.store import key_store
from django_at_jwt.authorization_server.revocation.entries import deny_client
from django_at_jwt.conf import clear_process_caches
from django_at_jwt.core.errors import KeysUnavailable
from django_at_jwt.models import DenyListEntry
from django_at_jwt.resource_server import access_token
from tests.patience import PATIENCE_SECONDS
from tests.ports import reserved_port

from .signed_tokens import bearer, token

pytest.importorskip("channels", reason="Channels is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")
pytest.importorskip("websockets", reason="websockets is not installed")

import uvicorn
import websockets
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.testing import WebsocketCommunicator

from django_at_jwt import channels
from django_at_jwt.channels import AccessTokenMiddleware

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.urls("tests.site.plain_views"),
    pytest.mark.usefixtures("keys_made_quickly", "signing_keys"),
]


class Consumer(AsyncJsonWebsocketConsumer):
    """Says who is connected, and remembers how connections ended."""

    codes: list[int] = []

    async def connect(self):
        await self.accept()
        said = {"user": str(self.scope["user"]), "client": self.scope["access_token"].client_id}
        await self.send_json({**said, "subprotocols": self.scope["subprotocols"]})

    async def receive_json(self, content):
        await self.send_json(content)

    async def disconnect(self, code):
        self.codes.append(code)


@pytest.fixture(autouse=True)
def codes(monkeypatch, settings):
    # As often as a connection may be checked.
    settings.AT_JWT = {**settings.AT_JWT, "REVOCATION_MAX_AGE": 1}
    monkeypatch.setattr(Consumer, "codes", [])
    return Consumer.codes


@asynccontextmanager
async def serving(application):
    """Run an ASGI application in this event loop, and yield its address."""
    with reserved_port() as port:
        config = uvicorn.Config(application, port=port, lifespan="off", log_level="warning", ws="websockets-sansio")
        server = uvicorn.Server(config)
        running = asyncio.ensure_future(server.serve())
        while not server.started:
            assert not running.done(), running
            await asyncio.sleep(0.01)
        try:
            yield f"ws://127.0.0.1:{port}/socket/"
        finally:
            server.should_exit = True
            await running


def connecting(scenario, *, scopes=("read",), **options):
    """Run a scenario with the address of the consumer."""

    async def run():
        application = AccessTokenMiddleware(Consumer.as_asgi(), scopes, **options)
        async with serving(application) as address:
            return await asyncio.wait_for(scenario(address), PATIENCE_SECONDS)

    return async_to_sync(run)()


def connect(address, headers=None, **options):
    return websockets.connect(address, additional_headers=headers, proxy=None, **options)


async def close_code(connection):
    await connection.wait_closed()
    return connection.close_code


def test_token_in_the_header(user):
    headers = bearer("read", sub=str(user.pk))

    async def scenario(address):
        async with connect(address, headers) as connection:
            return await connection.recv()

    assert connecting(scenario) == '{"user": "alice", "client": "a client", "subprotocols": []}'


def test_browser_sends_the_token_as_a_subprotocol():
    offered = ["bearer", token("read"), "chat"]

    async def scenario(address):
        async with connect(address, subprotocols=offered) as connection:
            return connection.subprotocol, await connection.recv()

    chosen, said = connecting(scenario)
    assert chosen == "bearer"
    assert said == '{"user": "client:a client", "client": "a client", "subprotocols": ["bearer", "chat"]}'


def communicator(application, subprotocols):
    headers = [(b"sec-websocket-protocol", ", ".join(subprotocols).encode(errors="replace"))]
    return WebsocketCommunicator(application, "/socket/", headers=headers, subprotocols=subprotocols)


@pytest.mark.parametrize(
    "text", ["\u20ac", "\ud800", "a\r\nb: c", "a\x00b", "", "a b", "a.b.c" * 100_000], ids=lambda text: ascii(text)[:20]
)
def test_hostile_subprotocol_is_refused(text):
    async def scenario():
        application = AccessTokenMiddleware(Consumer.as_asgi(), ["read"])
        return await communicator(application, ["bearer", text]).connect(timeout=PATIENCE_SECONDS)

    accepted, code = async_to_sync(scenario)()
    assert not accepted
    assert code in {3000, 3003}


def test_consumer_does_not_get_the_token_of_the_subprotocol():
    sent, scopes = token("read"), []

    async def application(scope, _receive, _send):
        scopes.append(scope)

    async def scenario():
        guarded = AccessTokenMiddleware(application, ["read"])
        await guarded(communicator(application, ["bearer", sent]).scope, None, None)

    async_to_sync(scenario)()
    [scope] = scopes
    assert sent not in repr({name: value for name, value in scope.items() if name != "access_token"})


REFUSED = {
    "nothing": lambda: ({}, ""),
    "another scheme": lambda: ({"Authorization": "Basic YTpi"}, ""),
    "scope is missing": lambda: (bearer("other"), ""),
    "bad token": lambda: ({"Authorization": "Bearer a.b.c"}, ""),
    "two tokens": lambda: ({"Authorization": "Bearer a b"}, ""),
    "token in the query": lambda: ({}, f"?access_token={token('read')}"),
    "token in the query too": lambda: (bearer("read"), "?access_token=x"),
}


@pytest.mark.compliance("6750-1", "6750-3")
@pytest.mark.parametrize("request_of", REFUSED.values(), ids=REFUSED)
def test_handshake_is_refused_as_a_request_to_a_view(request_of, client, codes):
    headers, query = request_of()

    async def scenario(address):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(address + query, headers)
        return refused.value.response

    refused = connecting(scenario)
    expected = client.get(f"/framework/{query}", headers={"Accept": "application/json", **headers})
    assert (refused.status_code, refused.body) == (expected.status_code, expected.content)
    assert refused.headers["WWW-Authenticate"] == expected["WWW-Authenticate"]
    assert codes == []


def test_tokens_in_both_the_header_and_a_subprotocol_are_refused():
    headers, offered = bearer("read"), ["bearer", token("read")]

    async def scenario(address):
        with pytest.raises(websockets.InvalidStatus) as refused:
            await connect(address, headers, subprotocols=offered)
        return refused.value.response.status_code

    assert connecting(scenario) in {400, 401}


def test_connection_is_closed_when_the_token_expires(codes, monkeypatch):
    headers = bearer("read")
    later = SimpleNamespace(time=lambda: time.time() + 3600)

    async def scenario(address):
        async with connect(address, headers) as connection:
            await connection.recv()
            monkeypatch.setattr(access_token, "time", later)
            return await close_code(connection)

    assert connecting(scenario) == 3000
    assert codes == [3000]


def test_expired_token_that_the_leeway_still_accepts_opens_no_connection_for_long(codes):
    headers = bearer("read", exp=int(time.time()) - 1)

    async def scenario(address):
        # The connection is closed before or after the consumer accepts it.
        with suppress(websockets.InvalidStatus):
            async with connect(address, headers) as connection:
                await close_code(connection)

    connecting(scenario)
    assert codes in ([], [3000])


def test_connection_stays_open_while_the_token_is_accepted(monkeypatch):
    headers, checks = bearer("read"), asyncio.Semaphore(0)
    check = channels.refusal_in_event_loop

    async def counted(*arguments):
        refusal = await check(*arguments)
        checks.release()
        return refusal

    monkeypatch.setattr(channels, "refusal_in_event_loop", counted)

    async def scenario(address):
        async with connect(address, headers) as connection:
            await connection.recv()
            for _check in range(3):
                await checks.acquire()
            await connection.send('{"say": "again"}')
            return await connection.recv()

    assert connecting(scenario) == '{"say": "again"}'


@pytest.mark.skipif(
    connection.vendor != "sqlite", reason="another connection does not see the rows of this test's transaction"
)
def test_connection_is_closed_after_a_revocation(codes, django_capture_on_commit_callbacks):
    headers = bearer("read")

    def revoke():
        now = timezone.now()
        using = router.db_for_write(DenyListEntry)
        with django_capture_on_commit_callbacks(using=using, execute=True):
            deny_client("a client", issued_until=now, expires_at=now + timedelta(hours=1), reason="test")

    async def scenario(address):
        async with connect(address, headers) as connection:
            await connection.recv()
            await sync_to_async(revoke)()
            return await close_code(connection)

    assert connecting(scenario) == 3000
    assert codes == [3000]


def test_connection_is_closed_when_the_keys_are_unavailable(codes, monkeypatch):
    headers = bearer("read")

    def unavailable():
        raise KeysUnavailable("no database")

    async def scenario(address):
        async with connect(address, headers) as connection:
            await connection.recv()
            clear_process_caches()
            monkeypatch.setattr(key_store, "current", unavailable)
            return await close_code(connection)

    assert connecting(scenario) == 1013


def test_connection_is_closed_when_its_check_fails(codes, monkeypatch, caplog):
    headers = bearer("read")

    async def scenario(address):
        async with connect(address, headers) as connection:
            await connection.recv()
            monkeypatch.setattr(channels, "refusal_in_event_loop", None)
            return await close_code(connection)

    assert connecting(scenario) == 1011
    assert "The check of an open WebSocket failed." in caplog.text


def test_client_that_leaves_ends_the_application(codes):
    headers = bearer("read")

    async def scenario(address):
        async with connect(address, headers) as connection:
            await connection.recv()

    connecting(scenario)
    assert codes == [1000]


def test_server_without_denial_responses_gets_a_close_code(codes):
    async def scenario():
        communicator = WebsocketCommunicator(AccessTokenMiddleware(Consumer.as_asgi(), ["read"]), "/socket/")
        return await communicator.connect()

    assert async_to_sync(scenario)() == (False, 3000)
    assert codes == []


def test_other_connections_are_not_checked():
    seen = []

    async def application(scope, receive, send):
        seen.append(scope["type"])

    async_to_sync(AccessTokenMiddleware(application, ["read"]))({"type": "http"}, None, None)
    assert seen == ["http"]


def test_scopes_are_required():
    with pytest.raises(ImproperlyConfigured, match="AccessTokenMiddleware needs scopes or a permission"):
        AccessTokenMiddleware(Consumer.as_asgi())
