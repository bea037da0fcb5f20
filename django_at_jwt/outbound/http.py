"""Requests to other servers, with limits on time and size."""

from __future__ import annotations

import io
import re
import socket
import ssl
import time
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit

from django.views.decorators.debug import sensitive_variables

from django_at_jwt import __version__
from django_at_jwt.core.errors import UnacceptableDocument
from django_at_jwt.core.metadata import is_fetchable, read_document
from django_at_jwt.core.quotation import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    AddressFilter = Callable[[str], bool]

MAX_BYTES: Final = 512 * 1024
# For the headers and the framing of chunks.
_MAX_FRAMING_BYTES: Final = 128 * 1024
# application/json and structured types such as application/jwk-set+json (RFC 7517 section 8.5).
_JSON_TYPE: Final = re.compile(r"application/(?:[^/\s]+\+)?json")
_CHUNK: Final = 16 * 1024
_OK: Final = 200
_NOT_MODIFIED: Final = 304
_PORTS: Final = {"https": 443, "http": 80}


class FetchFailed(Exception):
    """A server cannot be reached or its answer must not be used. The message is safe to log."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A server's answer. Both ``document`` and ``text`` are ``None`` if the previous one is unchanged (304).

    Attributes:
        document: the JSON object.
        text: the text, if :func:`fetch_text` asked for it.
        etag, cache_control, age: the headers with these names, or ``None``.
    """

    document: Mapping[str, Any] | None
    text: str | None
    etag: str | None
    cache_control: str | None
    age: str | None


def fetch(
    address: str,
    *,
    etag: str | None,
    loopback_http: bool,
    deadline: float,
    max_bytes: int = MAX_BYTES,
    allows: AddressFilter | None = None,
) -> Answer:
    """Fetch a JSON object.

    Follows no redirect, uses no proxy, and sends no cookie and no credential.

    Args:
        address: an https URL, or http on a loopback address if ``loopback_http`` is true.
        etag: the entity tag of the previous answer, if any.
        deadline: when the last byte must have arrived, on the monotonic clock. Only the DNS lookup has a different
            time limit, the system's.
        max_bytes: a longer body is rejected.
        allows: returns whether a connection to an IP address is allowed. It is called for each address of the host, and
            the request fails if one is not allowed. The host name is resolved once, so its address cannot change.

    Raises:
        FetchFailed: the answer is neither a JSON object with status 200, nor a 304 to a request with ``etag``.
    """
    request = _Request(address, etag=etag, max_bytes=max_bytes, allows=allows)
    return _fetched(request, loopback_http=loopback_http, deadline=deadline)


def fetch_text(
    address: str, *, media_type: str, max_bytes: int, etag: str | None, loopback_http: bool, deadline: float
) -> Answer:
    """Fetch an ASCII text as :func:`fetch` fetches a JSON object.

    Args:
        media_type: the only accepted content type.
        max_bytes: a longer answer is refused.
        address, etag, loopback_http, deadline: as for :func:`fetch`.

    Raises:
        FetchFailed: the answer is neither such a text with status 200, nor a 304 to a request with ``etag``.
    """
    request = _Request(address, etag=etag, text_type=media_type, max_bytes=max_bytes)
    return _fetched(request, loopback_http=loopback_http, deadline=deadline)


@sensitive_variables()
def post_form(
    address: str, form: Mapping[str, str], *, authorization: str, loopback_http: bool, deadline: float
) -> Mapping[str, Any]:
    """Post a form, and return the JSON object of the answer.

    Follows no redirect, uses no proxy, and sends no cookie.

    Args:
        address: as for :func:`fetch`.
        authorization: the value of the ``Authorization`` header.
        deadline: as for :func:`fetch`.

    Raises:
        FetchFailed: the answer is not a JSON object with status 200. The message contains neither the form nor the
            header.
    """
    request = _Request(address, body=urlencode(form).encode(), authorization=authorization)
    return _fetched(request, loopback_http=loopback_http, deadline=deadline).document or {}


@sensitive_variables()
def _fetched(request: _Request, *, loopback_http: bool, deadline: float) -> Answer:
    address = request.address
    if not is_fetchable(address, loopback_http=loopback_http):
        raise FetchFailed(f"{quote(address)} is not an https URL")
    try:
        return _ask(request, deadline)
    except UnacceptableDocument as error:
        raise FetchFailed(f"the answer of {quote(address)} cannot be used: {error}") from None
    except (OSError, HTTPException, ValueError) as error:
        # An SSLError names the problem of the certificate; an HTTPException may quote the answer.
        raise FetchFailed(f"{quote(address)} cannot be fetched: {type(error).__name__}: {quote(str(error))}") from None


@dataclass(frozen=True, slots=True)
class _Request:
    address: str
    etag: str | None = None
    body: bytes | None = field(default=None, repr=False)
    authorization: str | None = field(default=None, repr=False)
    max_bytes: int = MAX_BYTES
    allows: AddressFilter | None = None
    # The content type of a text; None for a JSON object.
    text_type: str | None = None


@sensitive_variables()
def _ask(request: _Request, deadline: float) -> Answer:
    parts = urlsplit(request.address)
    connection = _Connection(
        str(parts.hostname),
        parts.port,
        is_https=parts.scheme == "https",
        deadline=deadline,
        max_bytes=request.max_bytes + _MAX_FRAMING_BYTES,
        allows=request.allows,
    )
    headers = {
        "Accept": request.text_type or "application/json",
        "Accept-Encoding": "identity",
        "Connection": "close",
        "User-Agent": f"django-at-jwt/{__version__}",
    }
    if request.etag is not None:
        headers["If-None-Match"] = request.etag
    if request.body is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    if request.authorization is not None:
        headers["Authorization"] = request.authorization
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("GET" if request.body is None else "POST", target, body=request.body, headers=headers)
        with connection.getresponse() as response:
            return _read(response, request)
    finally:
        connection.close()


def _read(response: HTTPResponse, request: _Request) -> Answer:
    document = text = None
    if response.status == _OK:
        body = _body(response, request)
        if request.text_type is None:
            document = read_document(body)
        elif body.isascii():
            text = body.decode("ascii")
        else:
            raise UnacceptableDocument("it is not ASCII")
    elif response.status != _NOT_MODIFIED or request.etag is None:
        raise UnacceptableDocument(f"its status is {response.status}")
    return Answer(
        document=document,
        text=text,
        etag=response.getheader("ETag"),
        cache_control=response.getheader("Cache-Control"),
        age=response.getheader("Age"),
    )


def _body(response: HTTPResponse, request: _Request) -> bytes:
    media_type = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
    is_wanted = _JSON_TYPE.fullmatch(media_type) if request.text_type is None else media_type == request.text_type
    if not is_wanted:
        wanted = request.text_type or "application/json"
        raise UnacceptableDocument(f"its content type is {quote(media_type or None)}, not {wanted}")
    if response.getheader("Content-Encoding", "identity").lower() != "identity":
        raise UnacceptableDocument("it is compressed, although identity was requested")
    body = bytearray()
    # A Content-Length above the limit is rejected at once; otherwise the bytes are counted.
    while (response.length or 0) + len(body) <= request.max_bytes and (chunk := response.read(_CHUNK)):
        body += chunk
    if (response.length or 0) + len(body) > request.max_bytes:
        raise UnacceptableDocument(f"it is longer than {request.max_bytes} bytes")
    if response.length:
        raise UnacceptableDocument("it ends too early")
    return bytes(body)


class _Connection(HTTPConnection):
    """A connection with one deadline for all steps. The standard library restarts its timeout with each read."""

    def __init__(
        self,
        host: str,
        port: int | None,
        *,
        is_https: bool,
        deadline: float,
        max_bytes: int,
        allows: AddressFilter | None,
    ) -> None:
        # Makes HTTPConnection omit the default port from the Host header.
        self.default_port = _PORTS["https" if is_https else "http"]
        super().__init__(host, port)
        self._is_https = is_https
        self._deadline = deadline
        self._allows = allows
        self._max_bytes = max_bytes
        # http.client only calls it.
        self.response_class = self._timed_response  # type: ignore[assignment]

    def connect(self) -> None:
        self.sock = self._connected()
        if self._is_https:
            self.sock.settimeout(_remaining(self._deadline))
            # Trust anchors are read each time, since they may change while this process runs.
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)
        self.sock.settimeout(_remaining(self._deadline))

    def _connected(self) -> socket.socket:
        problem = OSError("the host name has no address")
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        # If one address is refused, none of the host is used.
        refused = [str(where[0]) for *_, where in found if self._allows is not None and not self._allows(str(where[0]))]
        if refused:
            raise OSError(f"requests to {refused[0]} are not allowed")
        for family, kind, protocol, _, where in found:
            candidate = socket.socket(family, kind, protocol)
            try:
                candidate.settimeout(_remaining(self._deadline))
                candidate.connect(where)
            except OSError as error:
                candidate.close()
                problem = error
            else:
                return candidate
        raise problem

    def _timed_response(self, sock: socket.socket, *args: Any, **kwargs: Any) -> HTTPResponse:
        response = HTTPResponse(sock, *args, **kwargs)
        bounded = _BoundedReader(response.fp.detach(), sock, deadline=self._deadline, max_bytes=self._max_bytes)
        response.fp = io.BufferedReader(bounded)
        return response


class _BoundedReader(io.RawIOBase):
    """A socket's reader with one deadline for all reads, and a limit for all bytes.

    Without the limit, the standard library would read without bound for a chunk with the length -1.
    """

    def __init__(self, inner: Any, sock: socket.socket, *, deadline: float, max_bytes: int) -> None:
        self._inner, self._sock, self._deadline = inner, sock, deadline
        self._max_bytes = self._left = max_bytes

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_remaining(self._deadline))
        read: int | None = self._inner.readinto(buffer)
        self._left -= read or 0
        if self._left < 0:
            # Not a ValueError, which http.client would take for a chunk without a length.
            raise OSError(f"it is longer than {self._max_bytes} bytes")
        return read

    def close(self) -> None:
        self._inner.close()
        super().close()


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("timed out")
    return remaining
