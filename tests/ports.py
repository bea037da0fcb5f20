"""Ports on loopback that no other process takes between choosing one and listening there."""

from __future__ import annotations

import socket
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def reserved_port() -> Iterator[int]:
    """Reserve a port until the block ends, and yield its number.

    The port is bound without listening: the system gives it to no other process, and a connection to it is refused
    until a server listens. A server that sets ``SO_REUSEADDR``, as all servers of the tests do, may listen there, stop
    and listen again. Only Linux allows that; on other systems the port is merely free when the block begins.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        if sys.platform != "linux":
            holder.close()
        yield port
