"""``manage.py purge_signing_keys``: delete the rows of retired keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand

from django_at_jwt.authorization_server.client_secrets.keys import purge_client_secret_keys
from django_at_jwt.authorization_server.keys.rotation import purge_signing_keys
from django_at_jwt.management.errors import as_command_error
from django_at_jwt.management.history import add_history_arguments, origin_of

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Delete retired signing keys."""

    # The command may fix what the checks report.
    requires_system_checks = ()
    help = (
        "Deletes retired signing keys whose tokens have all expired, and former client secret keys that no secret "
        "needs. Revoked keys are kept."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument("--force", action="store_true", help="also delete retired keys with live tokens")
        add_history_arguments(parser)
        parser.add_argument("--dry-run", action="store_true", help="show what would be deleted, but change nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Delete, and report what was deleted.

        Raises:
            CommandError: exit status 1 and one line.
        """
        with as_command_error("Not all keys were deleted"):
            origin = origin_of("purge_signing_keys", options)
            kids = purge_signing_keys(force=options["force"], origin=origin, dry_run=options["dry_run"])
            client_secret_kids = purge_client_secret_keys(dry_run=options["dry_run"])
        did = "Would delete" if options["dry_run"] else "Deleted"
        lines = [f"{did} signing key {kid}." for kid in kids]
        lines += [f"{did} client secret key {kid}." for kid in client_secret_kids]
        self.stdout.write("\n".join(lines) or "Nothing to delete.")
