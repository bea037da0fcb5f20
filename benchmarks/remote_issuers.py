"""Two remote issuers on a loopback address, of which an API only knows the URLs."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from . import workload

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES: Final = ("first", "second")


class RemoteIssuers(NamedTuple):
    """The identifiers of the issuers, and the settings of a project that accepts their tokens."""

    identifiers: tuple[str, ...]
    settings: Mapping[str, Any]


def serve(jwk_set: Mapping[str, Any]) -> RemoteIssuers:
    """Serve metadata and a JWK set for each issuer, until this process ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.rpartition("/")[2]
            issuer = f"{root}/{name}"
            is_metadata = self.path == f"/.well-known/oauth-authorization-server/{name}"
            body = json.dumps({"issuer": issuer, "jwks_uri": f"{root}/keys/{name}"} if is_metadata else jwk_set)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_arguments: Any) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    root = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    identifiers = tuple(f"{root}/{name}" for name in _NAMES)
    return RemoteIssuers(
        identifiers=identifiers,
        settings={
            "DEBUG": True,  # Allows plain http for issuers on a loopback address.
            "OAUTH2_PROVIDER": {},
            "AT_JWT": {"ISSUERS": {issuer: {"audience": workload.AUDIENCE} for issuer in identifiers}},
        },
    )
