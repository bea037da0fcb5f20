from __future__ import annotations

import socket
import sys
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from example_project.mcp_server import app
from example_project.serve import MCP_SERVER_READY

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = "Run the MCP server at EXAMPLE_MCP_URL."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--until-stdin-closes",
            action="store_true",
            help="stop when standard input is closed, as example_project.serve",
        )

    def handle(self, **options: Any) -> None:
        address = urlsplit(settings.MCP_SERVER)
        try:
            listener = socket.create_server((address.hostname, address.port))
        except OSError as error:
            raise CommandError(f"Cannot listen at EXAMPLE_MCP_URL={settings.MCP_SERVER}: {error}") from error
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        if options["until_stdin_closes"]:
            threading.Thread(target=_stop_when_stdin_closes, args=[server], daemon=True).start()
        self.stdout.write(f"{MCP_SERVER_READY}{settings.MCP_SERVER}")
        self.stdout.flush()
        server.run(sockets=[listener])


def _stop_when_stdin_closes(server: uvicorn.Server) -> None:
    sys.stdin.read()
    server.should_exit = True
