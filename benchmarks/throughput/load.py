"""Load on a server on loopback: connections that each send a request after the other, for a bounded time."""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST_SECONDS: Final = 60
_TIMEOUT_SECONDS: Final = 30


class Request(NamedTuple):
    """A request."""

    method: str
    path: str
    body: str
    headers: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """The result of a load: how long it took, and the seconds that each request took, in no particular order."""

    seconds: float
    latencies: list[float]


def put_load(port: int, requests: Sequence[Request], *, connections: int, seconds: float) -> Load:
    """Send requests to 127.0.0.1, in turn, and wait for the last response.

    Args:
        port: of the server.
        requests: what to send.
        connections: how many requests are under way at a time.
        seconds: when to stop sending.

    Raises:
        RuntimeError: a response has another status than 200.
        OSError: the server does not answer.
    """
    assert seconds <= _LONGEST_SECONDS
    stop = threading.Event()
    started = time.monotonic()

    def send(number: int) -> list[float]:
        latencies = []
        connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
        try:
            for request in itertools.islice(itertools.cycle(requests), number, None):
                begun = time.monotonic()
                if stop.is_set() or begun > started + seconds:
                    break
                # It connects again if the server has closed the connection after the last response.
                connection.request(*request)
                response = connection.getresponse()
                content = response.read()
                if response.status != 200:
                    raise RuntimeError(f"{request.path} answered {response.status}: {content[:200]!r}")
                latencies.append(time.monotonic() - begun)
        finally:
            # An error makes the measurement useless: stop the others.
            stop.set()
            connection.close()
        return latencies

    with ThreadPoolExecutor(connections) as pool:
        latencies = [latency for each in pool.map(send, range(connections)) for latency in each]
    return Load(seconds=time.monotonic() - started, latencies=latencies)
