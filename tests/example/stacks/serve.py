"""``python -m tests.example.stacks.serve MODULE``: serve the ASGI applications of a module until stdin closes.

Prints the address of each as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from importlib import import_module

import django
import uvicorn


async def serve(applications):
    listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in applications}
    servers = {
        name: uvicorn.Server(uvicorn.Config(application, log_level="warning", ws="websockets-sansio"))
        for name, application in applications.items()
    }
    running = [asyncio.ensure_future(servers[name].serve(sockets=[listeners[name]])) for name in servers]
    # Requests wait in the listener until its server has started.
    addresses = {name: f"http://127.0.0.1:{each.getsockname()[1]}" for name, each in listeners.items()}
    sys.stdout.write(f"{json.dumps(addresses)}\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    for server in servers.values():
        server.should_exit = True
    await asyncio.gather(*running)


if __name__ == "__main__":
    if "DJANGO_SETTINGS_MODULE" in os.environ:
        django.setup()
    asyncio.run(serve(import_module(sys.argv[1]).APPLICATIONS))
