"""``manage.py rewrap_signing_keys``: encrypt the private keys with the newest key-encryption key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from django_at_jwt.authorization_server.keys.reencryption import rewrap_signing_keys
from django_at_jwt.management.errors import as_command_error
from django_at_jwt.management.history import add_history_arguments, origin_of
from django_at_jwt.management.output import count

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Re-encrypt all private keys."""

    # The command may fix what the checks report.
    requires_system_checks = ()
    help = (
        "Re-encrypts every private key, and the key that hashes client secrets, with the first of "
        'AT_JWT["KEY_ENCRYPTION_KEYS"]. Safe to run repeatedly.'
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        add_history_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="show what would be done, but change nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Re-encrypt, and report what was done.

        Raises:
            CommandError: exit status 1; a key could not be decrypted. The others were re-encrypted.
        """
        with as_command_error("The keys were not re-encrypted"):
            origin = origin_of("rewrap_signing_keys", options)
            done = rewrap_signing_keys(origin=origin, dry_run=options["dry_run"])
        did = "Would re-encrypt" if options["dry_run"] else "Re-encrypted"
        keys = count(len(done.rewrapped), "key")
        self.stdout.write(f"{did} {keys}; {len(done.up_to_date)} already up to date.")
        if done.failed:
            raise CommandError("; ".join(done.failed) + ".")
