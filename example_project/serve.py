"""``python -m example_project.serve``: seed the database, run the example, and print its URLs and logins.

The server listens before the database is seeded, since the issuer, the audiences and the redirect URIs contain its
port.
"""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.db import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_BASE_URL: Final = "http://127.0.0.1:8000"
READY: Final = "The example runs at "
MCP_SERVER_READY: Final = "The MCP server runs at "
_PORTS_TO_TRY: Final = 50
_LAST_PORT: Final = 65535


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m example_project.serve", description="Run the example.")
    parser.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help="stop when standard input is closed, so that the server does not outlive its parent process",
    )
    options = parser.parse_args(arguments)
    wanted = os.environ.get("EXAMPLE_BASE_URL") or DEFAULT_BASE_URL
    try:
        server = listen(wanted)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"The example cannot be served at EXAMPLE_BASE_URL={wanted}: {error}\n")
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        # SIGINT too, since shells make background processes ignore it.
        signal.signal(number, signal.default_int_handler)
    try:
        with server:
            _prepare(server, wanted)
            if options.until_stdin_closes:
                threading.Thread(target=_stop_when_stdin_closes, args=[server], daemon=True).start()
            server.serve_forever()
    except KeyboardInterrupt:
        _say("\nStopped.")
    except (CommandError, DatabaseError, ImproperlyConfigured) as error:
        sys.stderr.write(f"The example cannot be served: {error}\n")
        return 1
    return 0


def listen(base_url: str) -> ThreadedWSGIServer:
    """Listen at the base URL's host and port, or at the next free port; at any free port if the port is 0.

    Raises:
        ValueError: this server cannot serve the base URL.
        OSError: the host is not an address of this machine, or no port is free.
    """
    parts = urlsplit(base_url)
    if parts.scheme != "http" or not parts.hostname or parts.path.strip("/"):
        raise ValueError("it must look like http://127.0.0.1:8000 (for https, use a reverse proxy)")
    first = 80 if parts.port is None else parts.port
    last = min(first + _PORTS_TO_TRY, _LAST_PORT) if first else 0
    for port in range(first, last + 1):
        try:
            return ThreadedWSGIServer((parts.hostname, port), WSGIRequestHandler, ipv6=":" in parts.hostname)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or port == last:
                raise
    raise ValueError("no port is free")


def _prepare(server: ThreadedWSGIServer, wanted: str) -> None:
    base_url = _with_port(wanted, server.server_port)
    os.environ["EXAMPLE_BASE_URL"] = base_url
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example_project.settings")
    import django  # noqa: PLC0415 - the settings read EXAMPLE_BASE_URL

    django.setup()
    from django.contrib.staticfiles.handlers import StaticFilesHandler  # noqa: PLC0415 - needs the apps
    from django.core.management import call_command  # noqa: PLC0415
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415

    from .seed import as_document, seed  # noqa: PLC0415

    call_command("migrate", verbosity=0, skip_checks=True)
    seed()
    call_command("check")
    server.set_app(StaticFilesHandler(get_wsgi_application()))
    for line in _summary(base_url, wanted, as_document()):
        _say(line)


def _with_port(base_url: str, port: int) -> str:
    parts = urlsplit(base_url)
    if port == parts.port or (parts.port is None and port == 80):  # noqa: PLR2004 - the default of http
        return base_url.rstrip("/")
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def _summary(base_url: str, wanted: str, document: dict[str, Any]) -> list[str]:
    issuer = urlsplit(document["issuer"])
    moved = urlsplit(wanted).port != 0 and base_url != wanted.rstrip("/")
    table = [
        *(("Administrator" if user["is_superuser"] else "User", _login_of(user)) for user in document["users"]),
        ("Log in", f"{base_url}/login/"),
        ("Admin", f"{base_url}/admin/"),
        *(("API", f"{each['url']} (audience {each['identifier']})") for each in document["resource_servers"]),
        ("Metadata", f"{base_url}/.well-known/oauth-authorization-server{issuer.path}"),
        ("JWK set", document["jwks_uri"]),
    ]
    return [
        *([f"The port of {wanted} is in use; using another one."] if moved else []),
        f"{READY}{base_url}",
        "",
        *(f"  {name:14} {value}" for name, value in table),
        "",
        f"For MCP clients: EXAMPLE_BASE_URL={base_url} python manage.py run_mcp_server",
        f"For programs: EXAMPLE_BASE_URL={base_url} python manage.py seed_example --json",
        "Stop it with Ctrl-C.",
    ]


def _login_of(user: dict[str, Any]) -> str:
    return f"{user['username']}, password {user['password']}"


def _stop_when_stdin_closes(server: ThreadedWSGIServer) -> None:
    sys.stdin.read()
    server.shutdown()


def _say(line: str) -> None:
    # Flushed, since another program may be waiting for the line.
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
