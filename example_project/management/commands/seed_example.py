"""``manage.py seed_example``: create the example's users, clients and first signing key, and list them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from example_project.seed import as_document, seed

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence


class Command(BaseCommand):
    help = "Create the example's users, clients and first signing key, and list them. Safe to run again."
    # Otherwise a check would report the missing signing key just before it is created.
    requires_system_checks: Sequence[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            seed()
        except DatabaseError as error:
            raise CommandError(f"The example cannot be seeded: {error}. Run manage.py migrate first.") from None
        self.check()
        document = as_document()
        self.stdout.write(json.dumps(document, indent=2) if options["json"] else "\n".join(_in_words(document)))


def _in_words(document: dict[str, Any]) -> list[str]:
    lines = [f"Issuer    {document['issuer']}", "", "Users"]
    lines += [
        f"  {user['username']}, password {user['password']}{', superuser' if user['is_superuser'] else ''}"
        for user in document["users"]
    ]
    lines += ["", "Clients"]
    for name, client in document["clients"].items():
        secret = f"secret {client['client_secret']}" if client["client_secret"] else "public, without a secret"
        lines.append(f"  {name}: {client['client_id']}, {secret}, scopes {' '.join(client['scopes'])}")
    lines += ["", "Resource servers"]
    lines += [
        f"  {each['identifier']}, scopes {' '.join(each['scopes'])}, try {each['url']}"
        for each in document["resource_servers"]
    ]
    server = document["mcp_server"]
    lines += [f"  {server['url']}, scopes {' '.join(server['scopes'])}, run manage.py run_mcp_server"]
    return lines
