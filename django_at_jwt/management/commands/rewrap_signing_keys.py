"""``manage.py rewrap_signing_keys``: encrypt the private keys with the newest key-encryption key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from django_at_jwt.authorization_server.keys.reencryption import rewrap_signing_keys
from django_at_jwt.management.errors import as_command_error

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Encrypt all private keys anew."""

    # What the checks complain of may be the very thing that this command mends.
    requires_system_checks = ()
    help = "Encrypts every private key with the first of AT_JWT['KEY_ENCRYPTION_KEYS']. Safe to run again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Encrypt, and say what was done.

        Raises:
            CommandError: exit status 1; a key could not be opened. The others were encrypted anew.
        """
        with as_command_error("The keys were not encrypted anew"):
            done = rewrap_signing_keys(dry_run=options["dry_run"])
        would = "Would encrypt" if options["dry_run"] else "Encrypted"
        self.stdout.write(f"{would} {len(done.rewrapped)} private keys anew; {len(done.up_to_date)} were up to date.")
        if done.failed:
            raise CommandError("; ".join(done.failed) + ".")
