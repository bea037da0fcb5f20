"""``manage.py rfc9700_readiness``: list the clients that the RFC 9700 profile would break on an existing site."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from django_at_jwt.authorization_server.rfc9700 import Effect, affected_clients, settings_off
from django_at_jwt.core.quotation import quote
from django_at_jwt.management.errors import as_command_error
from django_at_jwt.management.output import count

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator, Sequence

    from django_at_jwt.authorization_server.rfc9700 import AffectedClient


class Command(BaseCommand):
    """Report what ``oauth2_provider_settings(profile="rfc9700")`` would change. Nothing is changed."""

    help = (
        'Lists the settings of oauth2_provider_settings(profile="rfc9700") that are off on this site, and the clients '
        "that turning them on breaks or may break, as far as the database shows. Nothing is changed. Exit status: 0 no "
        "client certainly breaks, 1 otherwise."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--json", action="store_true", help="report as JSON")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Report.

        Raises:
            CommandError: exit status 1 and one line, if the database fails.
        """
        with as_command_error("Nothing was listed"):
            off, clients = settings_off(), affected_clients()
        if options["json"]:
            self.stdout.write(
                json.dumps({"settings_off": off, "clients": [asdict(each) for each in clients]}, indent=2)
            )
        else:
            self.stdout.write("\n".join(_lines(off, clients)))
        if any(each.effect is Effect.BREAKS for each in clients):
            sys.exit(1)


def _lines(off: Sequence[str], clients: Sequence[AffectedClient]) -> Iterator[str]:
    if not off:
        yield "All settings of the profile are on."
        return
    yield f"Off: {', '.join(off)}"
    for effect in Effect:
        affected = [each for each in clients if each.effect is effect]
        number = count(len({each.client_id for each in affected}), "client")
        yield f"Turning them on {effect} {number}{':' if affected else '.'}"
        yield from (f"  {_named(each)}: {each.setting}: {each.reason}." for each in affected)


def _named(client: AffectedClient) -> str:
    return f"{quote(client.client_id)} ({quote(client.name)})" if client.name else quote(client.client_id)
