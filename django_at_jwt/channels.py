"""Access tokens for WebSockets in ASGI applications such as Channels: ``pip install django-at-jwt[channels]``."""

from __future__ import annotations

import asyncio
import logging
import time
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse

from .conf import app_settings
from .views import make_guard, refusal_in_event_loop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from django.http import HttpResponseBase

    from .resource_server.access_token import AccessToken

    Message = dict[str, Any]
    Scope = dict[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    # Servers and frameworks differ in the types of the arguments.
    Application = Callable[[Any, Any, Any], Awaitable[None]]

__all__ = ["AccessTokenMiddleware"]

_SUBPROTOCOL: Final = "bearer"
_SUBPROTOCOL_HEADER: Final = b"sec-websocket-protocol"
# Registered close codes (RFC 6455 section 11.7) for what HTTP says by a status.
_UNAUTHORIZED: Final = 3000
_FORBIDDEN: Final = 3003
_INTERNAL_ERROR: Final = 1011
_TRY_AGAIN_LATER: Final = 1013
_SHORTEST_INTERVAL: Final = 1.0

logger = logging.getLogger("django_at_jwt")


class AccessTokenMiddleware:
    """Require an access token for the WebSockets of an ASGI application.

    The consumer finds the token in ``scope["access_token"]``, an :class:`~django_at_jwt.rest_framework.AccessToken`,
    and its user or principal in ``scope["user"]``.

    A client sends the token in the ``Authorization`` header. A browser, which cannot set headers, offers the two
    subprotocols ``bearer`` and the token; the middleware accepts ``bearer`` and does not pass the token on. A token in
    the query is not accepted (RFC 9700 section 4.3.2).

    The handshake is refused as a request to a view would be, if the server supports denial responses; otherwise with
    status 403. An open connection is checked again at the interval of ``AT_JWT["REVOCATION_MAX_AGE"]``, at least every
    second, and is closed at ``exp`` (code 3000), after a revocation (3000), if the permission is gone (3003), and if
    the keys or the deny list have been unavailable for too long, or the user cannot be read (1013).

    Args:
        application: the ASGI application.
        scopes: the scopes that the token must have, all of them. An empty list accepts any token.
        permission, audience, revocation: as for :func:`~django_at_jwt.views.access_token_required`.

    Raises:
        ImproperlyConfigured: neither scopes nor a permission are given, or ``revocation`` is unknown.

    Not checked: connections that are not WebSockets, and the ``Origin`` of a handshake. The token does not come from a
    cookie, so a page of another origin cannot open a connection without having one.
    """

    def __init__(
        self,
        application: Application,
        scopes: Sequence[str] | None = None,
        *,
        permission: Any = None,
        audience: str | Sequence[str] | None = None,
        revocation: str | None = None,
    ) -> None:
        self._application: Final = application
        self._guard: Final = make_guard(permission, scopes, audience, revocation, name=type(self).__name__)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application for a connection whose access token is accepted."""
        if scope["type"] != "websocket":
            await self._application(scope, receive, send)
            return
        offered = list(scope.get("subprotocols") or ())
        token = offered[1] if len(offered) > 1 and offered[0] == _SUBPROTOCOL else None
        request = _request(scope, token)
        refusal = await self._refusal(request)
        if refusal is not None:
            await receive()  # websocket.connect
            await _deny(scope, send, refusal)
            return
        connection = _Connection(receive, send, subprotocol=None if token is None else _SUBPROTOCOL)
        watching = asyncio.ensure_future(self._close_when_refused(connection, scope, token, request.access_token))
        try:
            allowed = {**scope, "user": request.user, "access_token": request.access_token}
            if token is not None:
                allowed["subprotocols"] = [_SUBPROTOCOL, *offered[2:]]
                # Programs that report errors mask the header Authorization, but not this one.
                allowed["headers"] = [each for each in scope["headers"] if each[0].lower() != _SUBPROTOCOL_HEADER]
            await self._application(allowed, connection.receive, connection.send)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _close_when_refused(
        self, connection: _Connection, scope: Scope, token: str | None, verified: AccessToken
    ) -> None:
        try:
            code = await self._code_of_refusal(scope, token, verified)
        except Exception:
            # Without its check, the connection would stay open.
            logger.exception("The check of an open WebSocket failed.")
            code = _INTERNAL_ERROR
        await connection.close(code)

    async def _code_of_refusal(self, scope: Scope, token: str | None, verified: AccessToken) -> int:
        """Return the close code once the token is no longer accepted."""
        while not verified.is_expired():
            interval = max(app_settings().revocation_max_age, _SHORTEST_INTERVAL)
            await asyncio.sleep(min(verified.claims.expires_at - time.time(), interval))
            refusal = None if verified.is_expired() else await self._refusal(_request(scope, token))
            if refusal is not None:
                return _close_code(refusal)
        return _UNAUTHORIZED

    async def _refusal(self, request: Any) -> HttpResponseBase | None:
        return await refusal_in_event_loop(self._guard, request)


class _Connection:
    """An accepted connection that can be closed while the application uses it."""

    def __init__(self, receive: Receive, send: Send, *, subprotocol: str | None) -> None:
        self._receive: Final = receive
        self._send: Final = send
        self._subprotocol: Final = subprotocol
        self._closed: Final[asyncio.Future[int]] = asyncio.get_running_loop().create_future()

    async def receive(self) -> Message:
        """Return the next message of the client, or a disconnect message once the connection is closed."""
        received = asyncio.ensure_future(self._receive())
        waited: set[asyncio.Future[Any]] = {received, self._closed}
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if self._closed.done():
                return {"type": "websocket.disconnect", "code": self._closed.result()}
            return received.result()
        finally:
            received.cancel()

    async def send(self, message: Message) -> None:
        """Send a message of the application, unless the connection is closed."""
        if self._closed.done():
            return
        if message["type"] == "websocket.accept" and self._subprotocol and not message.get("subprotocol"):
            # Browsers close a connection whose server accepts none of the subprotocols that they offered.
            message = {**message, "subprotocol": self._subprotocol}
        await self._send(message)

    async def close(self, code: int) -> None:
        """Close the connection, for the client and for the application."""
        if not self._closed.done():
            self._closed.set_result(code)
            await self._send({"type": "websocket.close", "code": code})


def _request(scope: Scope, token: str | None) -> Any:
    """Return the handshake as a request of Django, with the token of the subprotocol as its credentials."""
    headers = [*scope["headers"]]
    if token is not None:
        # A server may pass on characters that no header can have, and lone surrogates.
        headers.append((b"authorization", f"Bearer {token}".encode(errors="replace")))
    return ASGIRequest({**scope, "type": "http", "method": "GET", "headers": headers}, BytesIO())


async def _deny(scope: Scope, send: Send, refusal: HttpResponseBase) -> None:
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": _close_code(refusal)})
        return
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in refusal.items()]
    await send({"type": "websocket.http.response.start", "status": refusal.status_code, "headers": headers})
    body = refusal.content if isinstance(refusal, HttpResponse) else b""
    await send({"type": "websocket.http.response.body", "body": body})


def _close_code(refusal: HttpResponseBase) -> int:
    if refusal.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        return _TRY_AGAIN_LATER
    return _UNAUTHORIZED if refusal.status_code == HTTPStatus.UNAUTHORIZED else _FORBIDDEN
