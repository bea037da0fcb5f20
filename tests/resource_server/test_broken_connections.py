"""A database connection that the server has closed, in a thread in which no request of Django begins or ends."""

from __future__ import annotations

import pytest
from asgiref.sync import async_to_sync
from django.db import connection

from django_at_jwt import RevocationUnavailable, averify

from .signed_tokens import bearer, token

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("keys_made_quickly", "signing_keys"),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="there is no connection to a server"),
]


def end_session():
    """End this thread's session on the server, as a restart of the server does."""
    identify, end = {
        "postgresql": ("SELECT pg_backend_pid()", "SELECT pg_terminate_backend({}, 10000)"),
        "mysql": ("SELECT CONNECTION_ID()", "KILL {}"),
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(identify)
        [session] = cursor.fetchone()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute(end.format(session))
    other.close()


def test_averify_connects_again(user):
    signed = token("read", sub=str(user.pk))
    verify = async_to_sync(averify)
    end_session()
    with pytest.raises(RevocationUnavailable):
        verify(signed)
    assert verify(signed).user == user


def test_websocket_is_accepted_again(user):
    pytest.importorskip("channels", reason="Channels is not installed")
    from channels.generic.websocket import AsyncWebsocketConsumer
    from channels.testing import WebsocketCommunicator

    from django_at_jwt.channels import AccessTokenMiddleware

    application = AccessTokenMiddleware(AsyncWebsocketConsumer.as_asgi(), ["read"])
    headers = [(name.lower().encode(), value.encode()) for name, value in bearer("read", sub=str(user.pk)).items()]

    async def handshake():
        communicator = WebsocketCommunicator(application, "/", headers=headers)
        accepted, code = await communicator.connect()
        await communicator.disconnect()
        return accepted or code

    connect = async_to_sync(handshake)
    end_session()
    assert [connect(), connect()] == [1013, True]
